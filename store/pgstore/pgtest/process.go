package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"
)

const (
	startTime = 60 * time.Second      // for a server to get ready, on a busy machine
	stopTime  = 10 * time.Second      // for a server to end when it is asked to
	pollTime  = 10 * time.Millisecond // between looks at it
)

// errMissing tells that a program is not there.
var errMissing = errors.New("pgtest: not installed")

// serverProgram returns the path of a program of the server.
func serverProgram(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is right
	if len(found) > 0 {
		slices.Sort(found)
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: no %s (Debian: postgresql)", errMissing, name)
	}
	return path, nil
}

// A place is a directory for the files of servers, and the user who runs them.
type place struct {
	dir      string
	uid, gid int // -1: the user of this process
}

// newPlace makes a directory that the user of servers can enter. The names of sockets are
// short, so it is not in a directory of the test.
func newPlace() (place, error) {
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return place{}, err
	}
	p := place{dir, -1, -1}
	if os.Getuid() != 0 {
		return p, nil
	}
	owner, err := user.Lookup("postgres")
	if err != nil {
		return place{}, errors.Join(fmt.Errorf("%w: no user postgres", errMissing), os.RemoveAll(dir))
	}
	p.uid, _ = strconv.Atoi(owner.Uid)
	p.gid, _ = strconv.Atoi(owner.Gid)
	return p, os.Chown(dir, p.uid, p.gid)
}

// write writes a file that the user of servers may read.
func (p place) write(name, text string) error {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if p.uid < 0 {
		return nil
	}
	return os.Chown(path, p.uid, p.gid)
}

// log returns the output of the servers.
func (p place) log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log")) // the better part of an error, where there is one
	return string(text)
}

// A process is one run of a program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended
}

// spawn starts a program. A goroutine of its own starts it and waits for
// its end, in one thread: the kernel takes that for the parent.
func (p place) spawn(name string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	run := &process{cmd: exec.CommandContext(context.Background(), name, args...), done: make(chan struct{})}
	run.cmd.Dir, run.cmd.Stdout, run.cmd.Stderr = p.dir, log, log
	run.cmd.SysProcAttr = attributes(p.uid, p.gid)
	run.cmd.Env = append(os.Environ(), "LC_ALL=C")
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = log.Close() }()
		err := run.cmd.Start()
		started <- err
		if err == nil {
			run.err = run.cmd.Wait()
		}
		close(run.done)
	}()
	return run, <-started
}

// kill ends it without a warning, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// killAll is kill, also of the processes that it has started, where these can be found.
func (p *process) killAll() {
	_ = p.cmd.Process.Signal(pause) // so that it starts no more
	children := childrenOf(p.cmd.Process.Pid)
	p.kill()
	for _, pid := range children {
		if child, err := os.FindProcess(pid); err == nil {
			_ = child.Kill()
		}
	}
}

// interrupt asks it to end, kills it if it does not, and waits for that.
func (p *process) interrupt() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(stopTime):
		p.kill()
	}
}

// ready waits until connect succeeds, or the process has ended.
func (p *process) ready(connect func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		err := connect(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("it has ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("after %v: %w", startTime, err)
		case <-time.After(pollTime):
		}
	}
}
