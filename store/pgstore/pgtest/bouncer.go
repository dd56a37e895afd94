package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A Bouncer is a PgBouncer in front of a server.
type Bouncer struct {
	place place
	run   *process
}

// StartBouncer starts a PgBouncer, and ends it with the test. Settings are lines of
// pgbouncer.ini, such as "pool_mode = transaction".
func StartBouncer(t testing.TB, s *Server, settings ...string) *Bouncer {
	t.Helper()
	b, err := newBouncer(s, settings)
	need(t, err)
	t.Cleanup(b.close)
	return b
}

// bouncerPort names the socket. As the socket is in a directory of its own, any will do.
const bouncerPort = 6432

func newBouncer(s *Server, settings []string) (*Bouncer, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		return nil, fmt.Errorf("%w: no pgbouncer (Debian: pgbouncer)", errMissing)
	}
	p, err := newPlace()
	if err != nil {
		return nil, err
	}
	b := &Bouncer{place: p}
	lines := append([]string{
		"[databases]", fmt.Sprintf("postgres = host=%s port=5432 user=postgres", s.place.dir),
		"[pgbouncer]", "listen_addr =", fmt.Sprintf("listen_port = %d", bouncerPort), "unix_socket_dir = " + p.dir,
		"auth_type = any", "max_client_conn = 400", "default_pool_size = 20", "syslog = 0",
	}, settings...)
	if err = p.write("pgbouncer.ini", strings.Join(lines, "\n")+"\n"); err == nil {
		b.run, err = p.spawn(program, "pgbouncer.ini")
	}
	if err == nil {
		err = b.run.ready(func(ctx context.Context) error { return ping(ctx, b.URL()) })
	}
	if err != nil {
		err = fmt.Errorf("pgtest: %w\n%s", err, p.log())
		b.close()
		return nil, err
	}
	return b, nil
}

// URL names the database of the server, through the PgBouncer.
func (b *Bouncer) URL() string { return address(b.place.dir, bouncerPort) }

func (b *Bouncer) close() {
	if b.run != nil {
		b.run.kill()
	}
	_ = os.RemoveAll(b.place.dir)
}
