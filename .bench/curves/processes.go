package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// measureProcesses: one table of processes that share a server, for all backends with a server.
func measureProcesses(b *bench) ([]table, error) {
	t := table{
		title: fmt.Sprintf("**Processes** that share a server, %d goroutines each. A code is as above. The Cluster is "+
			"of three masters. Processes and servers share the processors here: beyond those, more processes can "+
			"only show that they do not hinder each other. Each has warmed up for %v.", callers, b.each),
		heads: []string{"store", "processes", "codes/s", "p99 of a code, µs", "CPU of a code, µs: processes",
			"servers", "SHA-256, million/s"},
	}
	for _, kind := range backends {
		back, err := kind.open(b.ctx, 0)
		if err == nil && back.address != "" {
			err = b.processesOf(&t, back)
		}
		if back != nil {
			back.close()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return []table{t}, nil
}

func (b *bench) processesOf(t *table, back *backend) error {
	for _, n := range []int{1, 2, 4} {
		machine := speed()
		all, servers, err := b.children(back.address, n)
		if err != nil {
			return err
		}
		var rate float64
		var own, worst time.Duration
		calls := 0
		for _, c := range all {
			rate += c.Rate
			own += c.CPU
			worst = max(worst, c.P99)
			calls += c.Calls
		}
		each := time.Duration(calls)
		t.add(back.name, n, thousands(rate), micros(worst), micros(own/each), micros(servers/each), machine)
	}
	return nil
}

// A childFigure is what one process showed.
type childFigure struct {
	Rate     float64
	P99, CPU time.Duration // CPU of all calls
	Calls    int
}

// A childProcess runs this program once more.
type childProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// children measures n processes of this program at the same time, and the CPU of their servers.
// Each begins when all have warmed up, and lives until the last has ended.
func (b *bench) children(address string, n int) (all []childFigure, servers time.Duration, err error) {
	var started []childProcess
	defer func() {
		for _, c := range started {
			_ = c.in.Close()
			err = errors.Join(err, c.cmd.Wait())
		}
	}()
	for i := range n {
		c, err := b.start(i, address)
		if err != nil {
			return nil, 0, err
		}
		started = append(started, c)
	}
	if err := await(started, make([]bool, n)); err != nil {
		return nil, 0, err
	}
	before := cpuTime()
	for _, c := range started {
		if _, err := io.WriteString(c.in, "begin\n"); err != nil {
			return nil, 0, err
		}
	}
	all = make([]childFigure, n)
	if err := await(started, all); err != nil {
		return nil, 0, err
	}
	servers = cpuTime().since(before).server
	for _, c := range all {
		servers -= c.CPU
	}
	return all, servers, nil
}

func (b *bench) start(number int, address string) (c childProcess, err error) {
	program, err := os.Executable()
	if err != nil {
		return c, err
	}
	c.cmd = exec.CommandContext(b.ctx, program, "-each", b.each.String(), "-child", strconv.Itoa(number), address)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return c, err
	}
	out, err := c.cmd.StdoutPipe()
	c.out = json.NewDecoder(out)
	return c, errors.Join(err, c.cmd.Start())
}

// await reads what each process prints next.
func await[T any](all []childProcess, into []T) error {
	for i, c := range all {
		if err := c.out.Decode(&into[i]); err != nil {
			return fmt.Errorf("process %d: %w", i, err)
		}
	}
	return nil
}

// child sends and verifies codes over a server that another process started. When its connections
// have warmed up, it prints true. Then it waits for a line, prints its figure, and waits for its
// input to end.
func child(ctx context.Context, number, address string, each time.Duration) error {
	s, closes, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer closes()
	c, err := newCodes(ctx, s, 0)
	if err != nil {
		return err
	}
	c.name = "of-" + number + "-"
	in, out := bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)
	if _, err := measure(callers, math.MaxInt, each, c.one); err != nil {
		return err
	}
	warm := c.made
	if err := out.Encode(true); err != nil {
		return err
	}
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	f, err := measure(callers, math.MaxInt, each, c.one)
	if err != nil {
		return err
	}
	calls := c.made - warm
	if err := out.Encode(childFigure{f.rate, f.p99, f.cpu.client * time.Duration(calls), calls}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}
