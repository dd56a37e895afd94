package main

import (
	"context"
	"encoding/json"
	"fmt"
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
			"only show that they do not hinder each other.", callers),
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
		before := cpuTime()
		all, err := b.children(back.address, n)
		if err != nil {
			return err
		}
		servers := cpuTime().since(before).server // the children are gone, and their time with them
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

// children runs n processes of this program at the same time.
func (b *bench) children(address string, n int) ([]childFigure, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	all, errs := make([]childFigure, n), make(chan error, n)
	for i := range n {
		go func() {
			c := exec.CommandContext(b.ctx, program, "-each", b.each.String(), "-child", strconv.Itoa(i), address)
			c.Stderr = os.Stderr
			out, err := c.Output()
			if err == nil {
				err = json.Unmarshal(out, &all[i])
			}
			errs <- err
		}()
	}
	for range n {
		if bad := <-errs; err == nil {
			err = bad
		}
	}
	return all, err
}

// child sends and verifies codes over a server that another process started, and prints its figure.
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
	f, err := measure(callers, math.MaxInt, each, c.one)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(childFigure{f.rate, f.p99, f.cpu.client * time.Duration(c.made), c.made})
}
