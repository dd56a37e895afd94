package pgstore_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

// TestRealPostgresModes: every way in which pgx sends statements will do.
func TestRealPostgresModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		pool := dial(t, pgtest.Shared(t).URL(), "default_query_exec_mode="+mode)
		s := open(t, pgstore.Config{DB: pool})
		checked(t, s.Store, "", noFsync)
		callAll(t, s, "abc-"+mode, time.Now())
		jobs := make(chan store.Job, 1)
		queuetest.Work(t, s, 1, queuetest.Forward(jobs))
		queuetest.Receive(t, jobs, queuetest.Patience, "the job")
	}
}

// callAll makes a call of each kind.
func callAll(t *testing.T, s *opened, id string, now time.Time) {
	t.Helper()
	r := challenge(id, now)
	limit := store.Limit{Key: id, Most: 1, Per: time.Hour}
	_, opens := s.Open(t.Context(), challenge(id+"-opened", now), now, limit)
	for i, err := range []error{
		s.Create(t.Context(), r, now), opens,
		func() error { _, err := s.Attempt(t.Context(), id, token(), now); return err }(),
		func() error { _, err := s.Update(t.Context(), id, 0, nil, now); return err }(),
		func() error { _, err := s.Get(t.Context(), id, now); return err }(),
		func() error { _, err := s.Finish(t.Context(), id, store.Verified, token(), now); return err }(),
		s.CancelAll(t.Context(), "b", r.Subject, "", now.Add(time.Hour), now),
		s.Give(t.Context(), now, now, limit),
		func() error { _, err := s.Take(t.Context(), now, limit); return err }(),
		func() error { _, err := s.Track(t.Context(), id, "m", now.Add(time.Hour), now); return err }(),
		func() error { _, err := s.Match(t.Context(), id, []byte("r"), now.Add(time.Hour), now); return err }(),
		s.Swap(t.Context(), id, nil, []byte("v")),
		func() error { _, err := s.Load(t.Context(), id); return err }(),
		s.Enqueue(t.Context(), store.Job{Challenge: id, Expires: now.Add(time.Hour)}),
		func() error { _, err := s.Stats(t.Context()); return err }(),
		func() error { _, err := s.Dead(t.Context(), 1); return err }(),
	} {
		if err != nil {
			t.Errorf("%s, call %d: %v", id, i, err)
		}
	}
}

// TestRealPostgresLostStatements: calls do not fail if their connection has lost its prepared statements,
// if a type has changed since, or if the server has closed it.
func TestRealPostgresLostStatements(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{DB: dial(t, pgtest.Shared(t).URL(), "pool_max_conns=1")})
	now := time.Now()
	callAll(t, s, "abc-first", now)
	s.exec(t, "DISCARD ALL")
	callAll(t, s, "abc-discarded", now)
	s.exec(t, "ALTER TABLE SCHEMA.credentials ALTER value TYPE text USING 'changed'")
	if v, err := s.Load(t.Context(), "abc-first"); err != nil || string(v) != "changed" {
		t.Errorf("Load after a change of type: %q, error %v", v, err)
	}
	for range 3 {
		var pid int
		if err := s.db.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		if _, err := sharedPool(t).Exec(t.Context(), "SELECT pg_terminate_backend($1, 10000)", pid); err != nil {
			t.Fatal(err)
		}
		// The server may have closed the connection before the statement came, or after.
		_, err := s.Get(t.Context(), "abc-first", now)
		if ended, ok := errors.AsType[*pgconn.PgError](err); err != nil && (!ok || ended.Code != "57P01") {
			t.Errorf("Get on a connection that was ended: %v", err)
		}
		if _, err = s.Get(t.Context(), "abc-first", now); err != nil {
			t.Errorf("Get after it: %v", err)
		}
	}
}

// TestRealPostgresOneConnection: a pool of one connection is enough for Run and what its handler calls;
// a job also comes if the connection that listens is ended each time.
func TestRealPostgresOneConnection(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{DB: dial(t, pgtest.Shared(t).URL(), "pool_max_conns=1")})
	jobs := make(chan store.Job, 10)
	queuetest.Work(t, s, 2, func(ctx context.Context, j store.Job) (time.Time, error) {
		if j.Challenge == "first" {
			if err := s.Enqueue(ctx, store.Job{Challenge: "next", Expires: j.Expires}); err != nil {
				t.Error(err)
			}
		}
		jobs <- j
		return time.Time{}, nil
	})
	for range 3 {
		queuetest.Add(t, s, store.Job{Challenge: "first"})
		queuetest.Receive(t, jobs, queuetest.Patience, "the job")
		queuetest.Receive(t, jobs, queuetest.Patience, "the job of its handler")
		if _, err := sharedPool(t).Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE query LIKE 'LISTEN "' || $1 || '%'`, s.schema); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRealPostgresAborted: in a transaction that has failed, calls fail.
func TestRealPostgresAborted(t *testing.T) {
	t.Parallel()
	s, now := open(t, pgstore.Config{}), time.Now()
	tx, err := sharedPool(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	within := open(t, pgstore.Config{DB: tx, Schema: s.schema})
	callAll(t, within, "abc-1", now)
	if _, err := tx.Exec(t.Context(), "SELECT 1 / 0"); err == nil {
		t.Fatal("no error")
	}
	limit := store.Limit{Key: "k", Most: 1, Per: time.Hour}
	if d, err := within.Take(t.Context(), now, limit); err == nil || d.Allowed {
		t.Errorf("Take: %+v, error %v", d, err)
	}
	if r, err := within.Attempt(t.Context(), "abc-1", token(), now); err == nil || r != nil {
		t.Errorf("Attempt: %+v, error %v", r, err)
	}
}

// TestRealPostgresTypedErrors: the server's errors can be told apart by their SQLSTATE.
func TestRealPostgresTypedErrors(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "max_connections = 4", "superuser_reserved_connections = 0", "max_wal_senders = 0")
	s := open(t, pgstore.Config{DB: dial(t, server.URL(), "pool_max_conns=1")})
	var others []*pgx.Conn
	for len(others) < 4 {
		conn, err := pgx.Connect(t.Context(), server.URL())
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		others = append(others, conn)
	}
	full := open(t, pgstore.Config{DB: dial(t, server.URL(), "pool_max_conns=1"), Schema: s.schema})
	_, err := full.Load(t.Context(), "nobody")
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "53300" {
		t.Errorf("Load with too many connections: %v, want SQLSTATE 53300", err)
	}
	slow := open(t, pgstore.Config{DB: dial(t, pgtest.Shared(t).URL(), "lock_timeout=50")})
	now := time.Now()
	callAll(t, slow, "abc-1", now)
	err = pgx.BeginFunc(t.Context(), sharedPool(t), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SELECT FROM "+slow.schema+".subjects FOR UPDATE"); err != nil {
			return err
		}
		_, err := slow.Attempt(t.Context(), "abc-1-opened", token(), now)
		return err
	})
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "55P03" {
		t.Errorf("Attempt of a locked subject: %v, want SQLSTATE 55P03", err)
	}
}

// TestRealPostgresHugeLimits: takings of any number are counted or refused.
func TestRealPostgresHugeLimits(t *testing.T) {
	t.Parallel()
	s, now := open(t, pgstore.Config{}), time.Now()
	huge := store.Limit{Key: "k", Most: math.MaxInt, Per: math.MaxInt64, N: math.MaxInt32}
	more := store.Limit{Key: "few", Most: 3, Per: time.Hour, N: math.MaxInt}
	for range 3 {
		if d, err := s.Take(t.Context(), now, huge, huge, huge); err != nil || !d.Allowed {
			t.Errorf("%+v, error %v", d, err)
		}
		if d, err := s.Take(t.Context(), now, more, more); err != nil || d.Allowed {
			t.Errorf("%+v, error %v", d, err)
		}
	}
	all := huge
	all.N = math.MaxInt
	if d, err := s.Take(t.Context(), now, all, all); err != nil || d.Allowed {
		t.Errorf("%+v, error %v", d, err)
	}
}
