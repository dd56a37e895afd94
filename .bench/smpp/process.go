package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A child is the server, in a process of its own.
type child struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer // closed: the child ends
}

func startServer(process func(role string, args ...string) (*exec.Cmd, error)) (*child, error) {
	cmd, err := process(roleServer)
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("server: %w", err)
	}
	c.addr = strings.TrimSpace(line)
	return c, nil
}

func (c *child) stop() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait()
}

// runChild does a job in a process of its own.
func runChild[R any](role string, j job) (R, error) {
	var r R
	arg, err := json.Marshal(j)
	if err != nil {
		return r, err
	}
	cmd, err := self(role, string(arg))
	if err != nil {
		return r, err
	}
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", j.Client, err)
	}
	return r, json.Unmarshal(out, &r)
}

func self(role string, args ...string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// single is self for a process that uses one core at most: the runtime of an idle
// process would look for work on the cores that the client needs.
func single(role string, args ...string) (*exec.Cmd, error) {
	cmd, err := self(role, args...)
	if err == nil {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	return cmd, err
}

// A usage is what this process has used up.
type usage struct {
	at     time.Time
	cpu    time.Duration
	allocs uint64
	octets uint64
	gcs    uint32
}

func usageNow() (usage, error) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	cpu := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return usage{at: time.Now(), cpu: cpu, allocs: mem.Mallocs, octets: mem.TotalAlloc, gcs: mem.NumGC}, nil
}
