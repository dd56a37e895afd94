package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL server.
type Server struct {
	place   place
	program string
	args    []string

	mu      sync.Mutex
	running *process // nil: it does not run
}

// Start starts a server, and ends it with the test. It answers writes before they are on the
// disk, so it keeps them when it is killed, but not when the machine is. Settings are lines
// of postgresql.conf, such as "fsync = on".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := New(settings...)
	need(t, err)
	t.Cleanup(s.Close)
	return s
}

// need skips the test if a program is missing, and fails it if err is another error.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("OTPCOURIER_REAL") != "require":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns a server that all tests of the process share, and starts it if need be.
// Tests must not end it; see [StopShared].
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := New()
		need(t, err)
		shared.server = s
	}
	return shared.server
}

// StopShared ends the server of [Shared], if there is one.
func StopShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.Close()
		shared.server = nil
	}
}

// Schema returns the name of a schema that no other test has.
func Schema() string { return "t" + strings.ToLower(rand.Text()) }

// New is Start for programs other than tests. The caller must Close the server.
func New(settings ...string) (*Server, error) {
	program, err := serverProgram("postgres")
	if err != nil {
		return nil, err
	}
	p, err := newPlace()
	if err != nil {
		return nil, err
	}
	s := &Server{place: p, program: program}
	if err = s.initialise(settings); err == nil {
		err = s.Restart()
	}
	if err != nil {
		err = fmt.Errorf("pgtest: %w\n%s", err, p.log())
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) initialise(settings []string) error {
	program, err := serverProgram("initdb")
	if err != nil {
		return err
	}
	data := filepath.Join(s.place.dir, "data")
	run, err := s.place.spawn(program, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
		"--no-sync", "--no-instructions")
	if err != nil {
		return err
	}
	if <-run.done; run.err != nil {
		return run.err
	}
	lines := append([]string{
		"listen_addresses = ''", "unix_socket_directories = '" + s.place.dir + "'", "max_connections = 400",
		"fsync = off", "full_page_writes = off", "shared_buffers = 64MB", "log_min_messages = fatal",
		"log_min_error_statement = panic",
	}, settings...)
	s.args = []string{"-D", data}
	return s.place.write("data/postgresql.conf", strings.Join(lines, "\n")+"\n")
}

// URL names the database postgres, and the user postgres, who may do everything.
func (s *Server) URL() string { return address(s.place.dir, 5432) }

func address(dir string, port int) string {
	q := url.Values{"host": {dir}, "port": {fmt.Sprint(port)}}
	return "postgres://postgres@/postgres?" + q.Encode()
}

// Restart kills the server if it runs, starts it at the same address with the
// same files, and waits until it answers.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	for end := time.Now().Add(startTime); ; time.Sleep(pollTime) {
		p, err := s.place.spawn(s.program, s.args...)
		if err != nil {
			return err
		}
		if err = p.ready(s.ping); err == nil {
			s.running = p
			return nil
		}
		p.kill()
		// Processes of a killed server may still hold its memory.
		if !strings.Contains(s.place.log(), "still in use") || time.Now().After(end) {
			return err
		}
	}
}

func (s *Server) ping(ctx context.Context) error { return ping(ctx, s.URL()) }

func ping(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}

// StandBy restarts the server as a standby of a primary that never comes.
func (s *Server) StandBy() error {
	s.mu.Lock()
	if s.running != nil {
		s.running.interrupt()
		s.running = nil
	}
	err := s.place.write("data/standby.signal", "")
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Restart()
}

// Kill ends the server at once (SIGKILL), and returns when its first process has ended. On
// Linux it also kills the processes of the connections, which otherwise may answer once more.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	if s.running != nil {
		s.running.killAll()
		s.running = nil
	}
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.interrupt()
		s.running = nil
	}
	_ = os.RemoveAll(s.place.dir)
}

// Pause stops the server's first process (SIGSTOP): no new connection is answered until
// Resume. It returns an error on systems without that signal.
func (s *Server) Pause() error { return s.signal(pause) }

// Resume ends Pause (SIGCONT).
func (s *Server) Resume() error { return s.signal(resume) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return errors.New("pgtest: the server does not run")
	}
	return s.running.cmd.Process.Signal(sig)
}
