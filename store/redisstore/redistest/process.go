package redistest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	startTime = 20 * time.Second      // for a server to get ready, on a busy machine
	pollTime  = 10 * time.Millisecond // between looks at it
	tries     = 20                    // of ports that others may take
)

// A process is one run of redis-server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// spawn starts redis-server. A goroutine of its own starts it and waits for
// its end, in one thread: the kernel takes that for the parent.
func spawn(dir string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(context.Background(), "redis-server", args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = dir, log, log, dieWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = log.Close() }()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
		}
		close(p.done)
	}()
	return p, <-started
}

// kill ends it without a warning, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// ready waits until this process answers at addr.
func (p *process) ready(addr string) error {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	return eventually(func() error {
		select {
		case <-p.done:
			return permanent{errors.New("redis-server has ended")}
		default:
		}
		info, err := ask(addr, "INFO")
		switch {
		case err != nil:
			return err
		case field(info, "process_id") != pid:
			return permanent{errors.New("the port is another's")}
		case field(info, "loading") == "1":
			return errors.New("redis-server loads what it has stored")
		}
		return nil
	})
}

// permanent ends eventually at once.
type permanent struct{ error }

// eventually calls try until it returns nil, and returns its last error.
func eventually(try func() error) error {
	for end := time.Now().Add(startTime); ; time.Sleep(pollTime) {
		err := try()
		if err == nil {
			return nil
		}
		if p, ok := errors.AsType[permanent](err); ok {
			return p.error
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v: %w", startTime, err)
		}
	}
}

// freePort returns a port that nobody listens on now. It is below those that
// systems give to outgoing connections, so that none of these takes it while a
// server is down.
func freePort() (int, error) {
	var err error
	for range tries {
		var l net.Listener
		port := 12000 + rand.IntN(20000)
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", loopback(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// field finds name in the "name:value" lines of an INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
