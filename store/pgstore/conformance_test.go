package pgstore_test

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.pool != nil {
		shared.pool.Close()
	}
	pgtest.StopShared()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var shared struct {
	sync.Mutex
	pool *pgxpool.Pool
}

// sharedPool returns connections to the server that all tests share.
func sharedPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	server := pgtest.Shared(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.pool == nil {
		shared.pool = newPool(t, server.URL(), "pool_max_conns=100")
	}
	return shared.pool
}

// newPool returns a pool; options are like "pool_max_conns=4".
func newPool(t testing.TB, url string, options ...string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), strings.Join(append([]string{url}, options...), "&"))
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// dial returns a pool that ends with the test.
func dial(t testing.TB, url string, options ...string) *pgxpool.Pool {
	t.Helper()
	pool := newPool(t, url, options...)
	t.Cleanup(pool.Close)
	return pool
}

type opened struct {
	*pgstore.Store
	db     pgstore.DB
	schema string
}

// open returns a Store with a schema of its own, unless cfg has one. Without a DB, it is on
// the server that all tests share.
func open(t testing.TB, cfg pgstore.Config) *opened {
	t.Helper()
	if cfg.DB == nil {
		cfg.DB = sharedPool(t)
	}
	fresh := cfg.Schema == ""
	if fresh {
		cfg.Schema = pgtest.Schema()
	}
	s, err := pgstore.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if fresh {
		if err := s.Migrate(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return &opened{s, cfg.DB, cfg.Schema}
}

// exec runs a statement, with the schema's name in place of SCHEMA.
func (o *opened) exec(t testing.TB, sql string, args ...any) int64 {
	t.Helper()
	tag, err := o.db.Exec(context.Background(), strings.ReplaceAll(sql, "SCHEMA", o.schema), args...)
	if err != nil {
		t.Fatal(err)
	}
	return tag.RowsAffected()
}

// live returns how many rows are still needed at now.
func (o *opened) live(now time.Time) (n int) {
	err := o.db.QueryRow(context.Background(), strings.ReplaceAll(`SELECT
		(SELECT count(*) FROM SCHEMA.challenges WHERE expires > $1::bigint) +
		(SELECT count(*) FROM SCHEMA.subjects s WHERE SCHEMA.needed(s) > $1::bigint / 3600000000000) +
		(SELECT count(*) FROM SCHEMA.limits WHERE kept > $1::bigint / 3600000000000) +
		(SELECT count(*) FROM SCHEMA.receipts WHERE expires > $1::bigint) +
		(SELECT count(*) FROM SCHEMA.jobs WHERE expires > $1::bigint) +
		(SELECT count(*) FROM SCHEMA.credentials)`, "SCHEMA", o.schema), now.UnixNano()).Scan(&n)
	if err != nil {
		panic(err)
	}
	return n
}

// schemas are those of finished tests, without rows. A connection plans each function anew in
// a new schema, which takes longer than most tests.
type schemas struct {
	mu   sync.Mutex
	idle []string
}

// open returns a Store with a schema of its own. It empties the schema after the test.
func (v *schemas) open(t *testing.T, db pgstore.DB) *opened {
	t.Helper()
	v.mu.Lock()
	schema := ""
	if n := len(v.idle); n > 0 {
		schema, v.idle = v.idle[n-1], v.idle[:n-1]
	}
	v.mu.Unlock()
	o := open(t, pgstore.Config{DB: db, Schema: schema})
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		for _, table := range []string{"challenges", "subjects", "limits", "receipts", "credentials", "jobs"} {
			o.exec(t, "DELETE FROM SCHEMA."+table)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.idle = append(v.idle, o.schema)
	})
	return o
}

// harness runs the conformance suites on stores of db.
func harness(db func(t *testing.T) pgstore.DB) storetest.Harness {
	var vacant schemas
	fresh := func(t *testing.T) *opened { return vacant.open(t, db(t)) }
	return storetest.Harness{
		Store:       func(t *testing.T) store.Store { return fresh(t) },
		Limiter:     func(t *testing.T) store.Limiter { return fresh(t) },
		Tracker:     func(t *testing.T) store.Tracker { return fresh(t) },
		Credentials: func(t *testing.T) store.Credentials { return fresh(t) },
		Live:        func(backend any, now time.Time) int { return backend.(*opened).live(now) },
	}
}

func TestRealPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, harness(func(t *testing.T) pgstore.DB { return sharedPool(t) }))
}

// token returns a token that no other call has.
func token() store.Token { return store.Token(mathrand.Uint64() | 1) }

// challenge returns a record with room for many attempts.
func challenge(id string, now time.Time) *store.Record {
	return &store.Record{ID: id, Subject: "subject of " + id, Key: "k1", Salt: []byte("salt"),
		Sealed:  []byte(strings.Repeat("s", 120)),
		Created: now, Expires: now.Add(5 * time.Minute), MaxAttempts: 1000, MaxFailures: 1000, Lock: time.Hour,
		Group: "group of 16 byte", Delivery: []byte("delivery")}
}

// TestRealPostgresTransaction: what a program's transaction does not commit has not been.
func TestRealPostgresTransaction(t *testing.T) {
	t.Parallel()
	pool := sharedPool(t)
	s, now := open(t, pgstore.Config{}), time.Now()
	for _, commit := range []bool{false, true} {
		tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		within := open(t, pgstore.Config{DB: tx, Schema: s.schema})
		r := challenge("abc-in-a-transaction", now)
		if err := within.Create(t.Context(), r, now); err != nil {
			t.Fatal(err)
		}
		if _, err := within.Attempt(t.Context(), r.ID, token(), now); err != nil {
			t.Fatal(err)
		}
		if commit {
			err = tx.Commit(t.Context())
		} else {
			err = tx.Rollback(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), r.ID, now); (err == nil) != commit {
			t.Errorf("Get after the transaction, committed %v: error %v", commit, err)
		}
	}
}
