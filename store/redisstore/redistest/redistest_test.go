package redistest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("REDISTEST_DIR"); dir != "" { // the process of TestRealRedisDiesWithTheTest
		s, err := New(dir)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "addr"), []byte(s.Addr), 0o600)
		}
		if err != nil {
			panic(err)
		}
		select {}
	}
	goleak.VerifyTestMain(m)
}

// want asks for a reply.
func want(t *testing.T, addr, reply string, command ...string) {
	t.Helper()
	if got, err := ask(addr, command...); err != nil || got != reply {
		t.Fatalf("%q answers %q, %v, want %q", command, got, err, reply)
	}
}

func TestRealRedisRestart(t *testing.T) {
	t.Parallel()
	for kept, directives := range map[string][]string{"": nil, "v": {AOF}} {
		s := Start(t, directives...)
		want(t, s.Addr, "OK", "SET", "k", "v")
		s.Kill()
		s.Kill()
		if _, err := ask(s.Addr, "PING"); err == nil {
			t.Error("a killed server answers")
		}
		if err := s.Pause(); err == nil {
			t.Error("a killed server can be paused")
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		want(t, s.Addr, kept, "GET", "k")
	}
}

func TestRealRedisPause(t *testing.T) {
	t.Parallel()
	s := Start(t)
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr) // the kernel accepts it
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	b := make([]byte, 7)
	if n, err := conn.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a paused server says %q, %v", b[:n], err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := conn.Read(b); string(b[:n]) != "+PONG\r\n" {
		t.Errorf("after Resume: %q, %v", b[:n], err)
	}
}

// What is wrong with a directive is in the error.
func TestRealRedisBadDirective(t *testing.T) {
	t.Parallel()
	need(t)
	if _, err := New(t.TempDir(), "maxmemory-policy mine"); err == nil ||
		!strings.Contains(err.Error(), "maxmemory-policy") {
		t.Error(err)
	}
}

func TestRealRedisClusterIsWhole(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	for key, node := range map[string]int{"foo": 2, "hello": 0, "x": 2, "key0": -1} { // slots 12182, 866, 16287
		for i, addr := range c.Addrs {
			_, err := ask(addr, "SET", key, "v")
			if node >= 0 && (err == nil) != (i == node) {
				t.Errorf("node %d and key %s: %v", i, key, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "MOVED ") {
				t.Error(err)
			}
		}
	}
}

func TestRealSentinelElects(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t)
	first, err := s.Master()
	if err != nil || first != s.Servers[0] {
		t.Fatal(first, err)
	}
	want(t, first.Addr, "OK", "SET", "k", "v")
	want(t, first.Addr, "1", "WAIT", "1", "5000")
	first.Kill()
	err = eventually(func() error {
		second, err := s.Master()
		if err == nil && second == first {
			err = errors.New("the dead master is still named")
		}
		if err == nil {
			_, err = ask(second.Addr, "SET", "k2", "v")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Master()
	if err != nil {
		t.Fatal(err)
	}
	want(t, second.Addr, "v", "GET", "k")
}

// A lost reply is that of a request that was carried out.
func TestRealRedisProxy(t *testing.T) {
	t.Parallel()
	s := Start(t)
	p := NewProxy(t, s.Addr)
	want(t, p.Addr, "1", "INCR", "n")
	p.LoseReplies(1, "incr")
	want(t, p.Addr, "1", "GET", "n") // is not one of them
	if got, err := ask(p.Addr, "INCR", "n"); err == nil || p.Lost() != 1 {
		t.Errorf("reply %q, %d lost", got, p.Lost())
	}
	want(t, p.Addr, "3", "INCR", "n")
	p.LoseReplies(1)
	if got, err := ask(p.Addr, "GET", "n"); err == nil || p.Lost() != 1 {
		t.Errorf("reply %q, %d lost", got, p.Lost())
	}

	p.LoseEvery(3)
	for i := range 6 {
		if _, err := ask(p.Addr, "GET", "n"); (err == nil) != (i%3 != 2) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	p.LoseReplies(0)

	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := make([]byte, 7)
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(b); err != nil {
		t.Fatal(err)
	}
	p.Down()
	if n, err := conn.Read(b); err == nil {
		t.Errorf("a connection that was cut reads %q", b[:n])
	}
	if _, err := ask(p.Addr, "PING"); err == nil {
		t.Error("a proxy that is down answers")
	}
	p.Up()
	want(t, p.Addr, "PONG", "PING")
}

// A test that is killed leaves no server behind.
func TestRealRedisDiesWithTheTest(t *testing.T) {
	t.Parallel()
	need(t)
	if dieWithParent() == nil {
		t.Skip("only Linux ends processes with their parents")
	}
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "REDISTEST_DIR="+dir)
	parent.SysProcAttr = dieWithParent()
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var addr, pid string
	err := eventually(func() error {
		b, err := os.ReadFile(filepath.Join(dir, "addr"))
		if addr = string(b); err != nil {
			return err
		}
		info, err := ask(addr, "INFO", "server")
		pid = field(info, "process_id")
		return err
	})
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	err = eventually(func() error {
		if _, err := ask(addr, "PING"); err == nil {
			return errors.New("the server lives on")
		}
		return nil
	})
	if err != nil {
		t.Errorf("%v as process %d", err, n)
		if left, err := os.FindProcess(n); err == nil {
			_ = left.Kill()
		}
	}
}
