package pgstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

// TestRealPostgresInterrupted: a call ends with its context, and its connection is closed; if the
// answer came first, the connection serves the next call.
func TestRealPostgresInterrupted(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.Shared(t).URL()+"&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s, err := New(Config{DB: pool})
	if err != nil {
		t.Fatal(err)
	}
	backend := func() (pid int) {
		if err := s.row(t.Context(), []any{&pid}, "SELECT pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
		return pid
	}
	first := backend()
	ctx, cancel := context.WithCancel(t.Context())
	err = s.on(ctx, func(ctx context.Context, db DB) error {
		_, err := db.Exec(ctx, "SELECT 1")
		cancel()
		return err
	})
	if err != nil {
		t.Errorf("the answer came before the context ended: %v", err)
	}
	if backend() != first {
		t.Error("the connection was closed after an answer")
	}
	other, err := pgx.Connect(t.Context(), pgtest.Shared(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.WithoutCancel(t.Context())) }()
	const lock = "SELECT pg_advisory_lock(1::bigint << 60)"
	if _, err := other.Exec(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = s.on(ctx, func(ctx context.Context, db DB) error {
		_, err := db.Exec(ctx, lock)
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
	if backend() == first {
		t.Error("the connection serves calls while its server is at an interrupted one")
	}
}
