//go:build unix

package authenticator_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// users is a program's own table of users, by the statements that store.Credentials
// shows. Each connection is a psql, so that the module needs no driver.
type users struct{ idle chan *psql }

func (u *users) query(ctx context.Context, sql string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := <-u.idle
	defer func() { u.idle <- p }()
	return p.query(sql)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func orNull(b []byte) string {
	if len(b) == 0 {
		return "NULL"
	}
	return quote(string(b))
}

func (u *users) Load(ctx context.Context, subject string) ([]byte, error) {
	rows, err := u.query(ctx, "SELECT otp FROM users WHERE id = "+quote(subject))
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, errors.New("users: no such user")
	case rows[0] == "":
		return nil, nil
	}
	return []byte(rows[0]), nil
}

func (u *users) Swap(ctx context.Context, subject string, old, new []byte) error {
	rows, err := u.query(ctx,
		fmt.Sprintf("UPDATE users SET otp = %s WHERE id = %s AND otp IS NOT DISTINCT FROM %s RETURNING 1",
			orNull(new), quote(subject), orNull(old)))
	if err == nil && len(rows) == 0 {
		err = store.ErrConflict
	}
	return err
}

// add inserts a user, unless there is one.
func (u *users) add(subject string) {
	_, err := u.query(context.Background(), "INSERT INTO users (id) VALUES ("+quote(subject)+") ON CONFLICT DO NOTHING")
	if err != nil {
		panic(err)
	}
}

// anyUser is a users table with a row for each subject that it is asked for.
type anyUser struct{ *users }

func (a anyUser) Load(ctx context.Context, subject string) ([]byte, error) {
	a.add(subject)
	return a.users.Load(ctx, subject)
}

func (a anyUser) Swap(ctx context.Context, subject string, old, new []byte) error {
	a.add(subject)
	return a.users.Swap(ctx, subject, old, new)
}

// A psql is a connection.
type psql struct {
	in  io.Writer
	out *bufio.Reader
	n   int
}

// query returns the rows of a statement, of one column each.
func (p *psql) query(sql string) (rows []string, err error) {
	p.n++
	mark := fmt.Sprint("done ", p.n)
	if _, err := fmt.Fprintf(p.in, "%s;\n\\echo :ERROR %s\n", sql, mark); err != nil {
		return nil, err
	}
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			return nil, err
		}
		switch line = strings.TrimSuffix(line, "\n"); line {
		case "false " + mark:
			return rows, nil
		case "true " + mark:
			return nil, errors.New("users: the statement failed")
		}
		rows = append(rows, line)
	}
}

// startPostgres starts a server that listens on a socket of its own, and returns a table
// of users with n connections.
func startPostgres(t *testing.T, n int) *users {
	t.Helper()
	programs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	_, err := exec.LookPath("psql")
	need(t, "PostgreSQL", len(programs) > 0 && err == nil)
	bin := filepath.Dir(programs[len(programs)-1])
	dir, err := os.MkdirTemp("", "postgres") //nolint:usetesting // the user postgres cannot enter a TempDir of root's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		owner, err := user.Lookup("postgres")
		need(t, "the user postgres", err == nil)
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(t.Context(), filepath.Join(bin, "initdb"), "-D", data, "-U", "app", "-A", "trust",
		"-E",
		"UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c",
		"fsync=off")
	server.SysProcAttr, server.Dir = as, dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGINT)
		server.Wait()
	})
	u := &users{idle: make(chan *psql, n)}
	for range n {
		u.idle <- connect(t, dir)
	}
	if _, err := u.query(t.Context(), "CREATE TABLE users (id text PRIMARY KEY, otp text)"); err != nil {
		t.Fatal(err)
	}
	return u
}

// connect returns a connection once the server takes it.
func connect(t *testing.T, dir string) *psql {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		cmd := exec.Command("psql", "-h", dir, "-U", "app", "-d", "postgres", "-qAtX")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p := &psql{in: in, out: bufio.NewReader(out)}
		if rows, err := p.query("SELECT 1"); err == nil && len(rows) == 1 {
			t.Cleanup(func() {
				in.Close()
				cmd.Wait()
			})
			return p
		}
		in.Close()
		cmd.Wait()
		if time.Now().After(end) {
			t.Fatal("PostgreSQL does not start")
		}
	}
}

// TestRealPostgreSQL: two statements on a table of users fulfil the contract.
func TestRealPostgreSQL(t *testing.T) {
	t.Parallel()
	u := startPostgres(t, 16)
	storetest.Run(t, storetest.Harness{Credentials: func(*testing.T) store.Credentials { return anyUser{u} }})
}

// TestRealPostgreSQLParallel: a code counts once in a table of users.
func TestRealPostgreSQLParallel(t *testing.T) {
	t.Parallel()
	u := startPostgres(t, 16)
	r := newRig(t, func(c *authenticator.Config) { c.Store = u })
	parallelTrials(t, r, u.add)
	r.verify("nobody", "a user that is not in the table", "123456", otp.ReasonUnavailable)
}
