package otp_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

// postgresAt is PostgreSQL as a backend, in a schema.
func postgresAt(url, schema string) (b *pgstore.Store, closeBackend func(), err error) {
	ctx := context.Background()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, err
	}
	cfg.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	b, err = pgstore.New(pgstore.Config{DB: pool, Schema: schema})
	if err == nil {
		err = b.Migrate(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return b, pool.Close, nil
}

// schemaOf returns a schema's name for the prefix of a test.
func schemaOf(prefix string) string {
	return "t_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(prefix))
}

// newPostgresStore is newStore on PostgreSQL. In a bubble the queue is that of memory.
func newPostgresStore(t testing.TB, url string, bubble bool, inMemory *memstore.Store) backend {
	t.Helper()
	var b *pgstore.Store
	schema, err := postgres.schema(url)
	if err == nil && bubble {
		b, err = pgstore.New(pgstore.Config{DB: &postgres, Schema: schema})
	} else if err == nil {
		var closeBackend func()
		if b, closeBackend, err = postgresAt(url, schema); err == nil {
			t.Cleanup(closeBackend)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.vacate(schema) })
	if bubble {
		return withQueue(b, inMemory)
	}
	return b
}

// postgres is what the tests of a process share, as connections and schemas take long to
// make: those that no test uses.
var postgres conns

// conns are connections for bubbles. They are made outside of all bubbles, so any bubble can
// use them.
type conns struct {
	mu      sync.Mutex
	outside *outside
	url     string
	idle    []*pgx.Conn
	schemas []string
}

// schema returns a schema without rows.
func (c *conns) schema(url string) (schema string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.url = url
	if n := len(c.schemas); n > 0 {
		schema, c.schemas = c.schemas[n-1], c.schemas[:n-1]
		return schema, nil
	}
	schema = pgtest.Schema()
	c.outside.do(func(context.Context) {
		var closeBackend func()
		if _, closeBackend, err = postgresAt(url, schema); err == nil {
			closeBackend()
		}
	})
	return schema, err
}

// vacate empties a schema, for another test.
func (c *conns) vacate(schema string) {
	var sql strings.Builder
	for _, table := range []string{"challenges", "subjects", "limits", "receipts", "jobs", "dead_letters"} {
		fmt.Fprintf(&sql, "DELETE FROM %s.%s;", schema, table)
	}
	if _, err := c.Exec(context.Background(), sql.String()); err == nil {
		c.mu.Lock()
		c.schemas = append(c.schemas, schema)
		c.mu.Unlock()
	}
}

func (c *conns) take() (conn *pgx.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.idle); n > 0 {
		conn, c.idle = c.idle[n-1], c.idle[:n-1]
		return conn, nil
	}
	c.outside.do(func(ctx context.Context) { conn, err = pgx.Connect(ctx, c.url) })
	return conn, err
}

func (c *conns) give(conn *pgx.Conn) {
	if conn.IsClosed() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, conn)
}

func (c *conns) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	conn, err := c.take()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	defer c.give(conn)
	return conn.Exec(ctx, sql, args...)
}

func (c *conns) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	conn, err := c.take()
	if err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		c.give(conn)
		return nil, err
	}
	return &rowsOf{Rows: rows, give: sync.OnceFunc(func() { c.give(conn) })}, nil
}

// rowsOf give their connection back when they are closed.
type rowsOf struct {
	pgx.Rows
	give func()
}

func (r *rowsOf) Close() {
	r.Rows.Close()
	r.give()
}

func (c *conns) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	conn, err := c.take()
	return &rowOf{c, conn, err, func(into ...any) error { return conn.QueryRow(ctx, sql, args...).Scan(into...) }}
}

// rowOf gives its connection back when it has been read.
type rowOf struct {
	from *conns
	conn *pgx.Conn
	err  error
	scan func(into ...any) error
}

func (r *rowOf) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.from.give(r.conn)
	return r.scan(into...)
}

// transactions tells how many transactions a server has had.
func transactions(t *testing.T, s *pgtest.Server) func() int64 {
	return func() (n int64) {
		conn, err := pgx.Connect(t.Context(), s.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		const sum = "SELECT sum(xact_commit)::bigint FROM pg_stat_database"
		if err := conn.QueryRow(t.Context(), sum).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestRealPostgres runs the tests of this package once more, on PostgreSQL.
func TestRealPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	rerun(t, transactions(t, server), "postgres", server.URL())
}

// TestRealPgBouncerRerun runs them through a PgBouncer that gives a connection to a client for one
// transaction only.
func TestRealPgBouncerRerun(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	bouncer := pgtest.StartBouncer(t, server, "pool_mode = transaction")
	rerun(t, transactions(t, server), "postgres", bouncer.URL()+"&default_query_exec_mode=exec")
}

func TestRealPostgresParallelCodes(t *testing.T) {
	t.Parallel()
	parallelCodes(t, []string{"postgres", pgtest.Start(t).URL()})
}

// TestRealPostgresCrash is TestRealRedisCrash on PostgreSQL, which is killed and restarted.
//
//	OTPCOURIER_CRASH_MESSAGES=20000 go test -run TestRealPostgresCrash -v ./otp
func TestRealPostgresCrash(t *testing.T) {
	server := pgtest.Start(t)
	messages := setting("OTPCOURIER_CRASH_MESSAGES", 8000)
	passThroughCrashes(t, server, []string{"postgres", server.URL()}, messages)
}

// TestRealPostgresHistories plays random histories on PostgreSQL, in virtual time, as
// TestRealRedisHistories does.
func TestRealPostgresHistories(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t).URL()
	o, stop := newOutside(nil)
	defer stop()
	began := time.Now()
	var last func()
	playHistories(t, setting("OTPCOURIER_SEED", 1), setting("OTPCOURIER_HISTORIES", 30), func() newBackend {
		if last != nil {
			last()
		}
		b, closeBackend, err := postgresAt(url, pgtest.Schema()) // each history has rows of its own
		if err != nil {
			t.Fatal(err)
		}
		o.keeper, last = b, closeBackend
		return o.inside
	})
	if last != nil {
		last()
	}
	t.Logf("in %v", time.Since(began).Round(time.Second))
}

// While PostgreSQL is down nothing is sent and nobody is verified, and callers are told soon.
func TestRealPostgresDown(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	r, _ := sharedRig(t, []string{"postgres", server.URL()}, nil)
	c := r.send(t, otp.Request{})
	v := otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code}
	server.Kill()
	for range 3 {
		began := time.Now()
		wantReason(t, verify(t.Context(), r, v), otp.ReasonUnavailable, otp.ErrUnavailable)
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the refusals took %v", took)
		}
	}
	if n := r.a.count(); n != 1 {
		t.Errorf("%d messages, want the one before", n)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the code passes", func() bool { return verify(t.Context(), r, v) == nil })
	wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
}

// TestRealPostgresTables: no table shows a code, an address, a subject or a key, in no way that
// anyone would write them.
func TestRealPostgresTables(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t).URL()
	r, _ := sharedRig(t, []string{"postgres", url}, func(c *otp.Config) {
		c.Generator = otp.Random{Length: 10, Alphabet: "GHJKLMNPQRSTUVWXYZ"}
	})
	const subject = "customer-ann@example.com"
	c := r.send(t, otp.Request{Subject: subject, Purpose: "login", IdempotencyKey: "a click of ann's",
		Details: "10 EUR to Bob"})
	code := r.a.messages()[0].Code
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-2", State: channel.Delivered}) // early
	_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Purpose: "login", Code: "GGGGGGGGGG"})
	job := store.Job{Challenge: c.ID, Expires: time.Now().Add(time.Hour)}
	if err := r.store.Enqueue(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	all := tables(t, url, schemaOf(t.Name()))
	if !strings.Contains(all, hex.EncodeToString([]byte(c.ID))) {
		t.Error("the job's challenge is not there: nobody looked")
	}
	for what, secret := range map[string]string{"code": code, "phone number": "7912345678", "mailbox": "ann@example",
		"subject": subject, "details": "10 EUR", "idempotency key": "a click", "key": string(r.cfg.Keys.Keys["k1"]),
		"index": string(r.cfg.Keys.Index)} {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)),
			hex.EncodeToString([]byte(base64.RawStdEncoding.EncodeToString([]byte(secret)))),
			hex.EncodeToString([]byte(hex.EncodeToString([]byte(secret))))} {
			if strings.Contains(strings.ToUpper(all), strings.ToUpper(form)) {
				t.Errorf("a %s is there as %q", what, form)
			}
		}
	}
}

// tables returns the rows of a schema as text, and octets as hexadecimal digits.
func tables(t *testing.T, url, schema string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var all strings.Builder
	for _, table := range []string{"challenges", "subjects", "limits", "receipts", "jobs"} {
		rows, err := conn.Query(t.Context(), fmt.Sprintf("SELECT t::text FROM %s.%s t", schema, table))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(lines) == 0 {
			t.Errorf("%s has %d rows, error %v", table, len(lines), err)
		}
		all.WriteString(strings.Join(lines, "\n"))
	}
	return all.String()
}
