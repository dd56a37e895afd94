package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// AOF are the directives of a server that keeps every answered write through Kill and
// Restart.
const AOF = "appendonly yes\nappendfsync always"

// A Server is a redis-server.
type Server struct {
	Addr string // host and port; the same after a Restart

	dir  string
	args []string
	port int

	mu      sync.Mutex
	running *process // nil: it does not run
}

// Start starts a server without persistence, and ends it with the test. Directives
// are lines of redis.conf, such as [AOF].
func Start(t testing.TB, directives ...string) *Server {
	t.Helper()
	need(t)
	s, err := New(t.TempDir(), directives...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// New is Start for programs other than tests. The server keeps its files in dir, and the
// caller must Kill it.
func New(dir string, directives ...string) (*Server, error) {
	return start(dir, nil, directives...)
}

// need skips the test if there is no redis-server.
func need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		reason := "no redis-server (Debian: redis-server)"
		if os.Getenv("OTPCOURIER_REAL") == "require" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
}

// start finds a port, writes a configuration, and waits for the server. If another
// process took the port meanwhile, it tries the next.
func start(dir string, args []string, directives ...string) (*Server, error) {
	var err error
	for range tries {
		s := &Server{dir: dir, args: append([]string{"redis.conf"}, args...)}
		if s.port, err = freePort(); err != nil {
			break
		}
		s.Addr = loopback(s.port)
		if err = s.configure(directives); err != nil {
			break
		}
		if err = s.Restart(); err == nil {
			return s, nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log")) // the better part of the error, where there is one
	return nil, fmt.Errorf("redistest: %w\n%s", err, log)
}

func (s *Server) configure(directives []string) error {
	// A file, and not arguments: Sentinels rewrite theirs.
	conf := fmt.Sprintf("bind 127.0.0.1\nport %d\nsave \"\"\nappendonly no\ndaemonize no\nprotected-mode no\n", s.port)
	for _, d := range directives {
		conf += d + "\n"
	}
	return os.WriteFile(filepath.Join(s.dir, "redis.conf"), []byte(conf), 0o600)
}

// Restart kills the server if it runs, starts it at the same address with the
// same files, and waits until it answers.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	p, err := spawn(s.dir, s.args...)
	if err != nil {
		return err
	}
	if err := p.ready(s.Addr); err != nil {
		p.kill()
		return err
	}
	s.running = p
	return nil
}

// Kill ends the server at once (SIGKILL) and returns when it has.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	if s.running != nil {
		s.running.kill()
		s.running = nil
	}
}

// Pause stops the server (SIGSTOP): connections stay, and no command is answered
// until Resume. It returns an error on systems without that signal.
func (s *Server) Pause() error { return s.signal(pause) }

// Resume ends Pause (SIGCONT).
func (s *Server) Resume() error { return s.signal(resume) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return errors.New("redistest: the server does not run")
	}
	return s.running.cmd.Process.Signal(sig)
}

func (s *Server) portText() string { return strconv.Itoa(s.port) }
