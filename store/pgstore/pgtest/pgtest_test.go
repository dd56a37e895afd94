package pgtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

// ask runs a statement over a connection of its own, and returns the number that it yields.
func ask(t *testing.T, url, sql string) (n int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, sql).Scan(&n)
	return n, err
}

// TestRealPostgresServer: a server keeps what it answered when it is killed, takes settings,
// and is another than the shared one.
func TestRealPostgresServer(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, "max_connections = 23")
	if n, err := ask(t, s.URL(), "SELECT current_setting('max_connections')::int"); err != nil || n != 23 {
		t.Errorf("max_connections %d, error %v; want the setting, 23", n, err)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := conn.Ping(ctx); err == nil {
		t.Error("a server that was killed answers")
	}
	if err := s.Pause(); err == nil {
		t.Error("Pause of a server that does not run: no error")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if n, err := ask(t, s.URL(), "SELECT n FROM kept"); err != nil || n != 7 {
		t.Errorf("after a restart: %d, error %v; want 7", n, err)
	}
}

func TestRealPostgresShared(t *testing.T) {
	t.Parallel()
	t.Cleanup(pgtest.StopShared)
	if a, b := pgtest.Shared(t), pgtest.Shared(t); a != b {
		t.Error("two servers are shared")
	}
	if a, b := pgtest.Schema(), pgtest.Schema(); a == b {
		t.Error("two schemas have one name")
	}
	bouncer := pgtest.StartBouncer(t, pgtest.Shared(t), "pool_mode = transaction")
	if n, err := ask(t, bouncer.URL()+"&default_query_exec_mode=exec", "SELECT 3"); err != nil || n != 3 {
		t.Errorf("through PgBouncer: %d, error %v; want 3", n, err)
	}
}
