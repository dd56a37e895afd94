package pgstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// checked runs Check, and wants an error that holds refusal, or warnings that hold want.
func checked(t *testing.T, s *pgstore.Store, refusal string, want ...string) {
	t.Helper()
	warnings, err := s.Check(t.Context())
	if refusal == "" && err != nil || refusal != "" && (err == nil || !strings.Contains(err.Error(), refusal)) {
		t.Fatalf("Check: error %v, want %q", err, refusal)
	}
	if len(warnings) != len(want) {
		t.Fatalf("Check: warnings %q, want %q", warnings, want)
	}
	for i, w := range want {
		if !strings.Contains(warnings[i], w) {
			t.Errorf("Check: warnings %q, want %q", warnings, want)
		}
	}
}

const noFsync = "fsync or full_page_writes is off" // as in all tests

func TestRealPostgresCheck(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).URL()
	checked(t, open(t, pgstore.Config{}).Store, "", noFsync)
	missing, err := pgstore.New(pgstore.Config{DB: sharedPool(t), Schema: pgtest.Schema()})
	if err != nil {
		t.Fatal(err)
	}
	checked(t, missing, "is missing: call Store.Migrate")
	old := open(t, pgstore.Config{})
	old.exec(t, "DELETE FROM SCHEMA.migrations WHERE number > 3")
	checked(t, old.Store, "at step 3 of")
	if _, err := missing.Get(t.Context(), "id", time.Now()); err == nil || !strings.Contains(err.Error(), "Migrate") {
		t.Errorf("Get without a schema: %v, want a hint at Migrate", err)
	}
	for options, want := range map[string]struct{ refusal, warning string }{
		"synchronous_commit=off":                     {"", "synchronous_commit is off"},
		"default_transaction_isolation=serializable": {"", "default_transaction_isolation is serializable"},
		"default_transaction_read_only=on":           {"default_transaction_read_only is on", ""},
	} {
		s := open(t, pgstore.Config{Schema: old.schema, DB: dial(t, url, options)})
		if want.refusal != "" {
			checked(t, s.Store, want.refusal)
			continue
		}
		ok := open(t, pgstore.Config{})
		s = open(t, pgstore.Config{Schema: ok.schema, DB: dial(t, url, options)})
		checked(t, s.Store, "", noFsync, want.warning)
	}
}

// TestRealPostgresCheckRights: a user who may not write a table is refused.
func TestRealPostgresCheckRights(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	s.exec(t, `CREATE ROLE reader_of_SCHEMA LOGIN; GRANT USAGE ON schema SCHEMA TO reader_of_SCHEMA;
		GRANT SELECT ON ALL TABLES IN schema SCHEMA TO reader_of_SCHEMA`)
	url := strings.Replace(pgtest.Shared(t).URL(), "postgres@", "reader_of_"+s.schema+"@", 1)
	reader := open(t, pgstore.Config{DB: dial(t, url), Schema: s.schema})
	checked(t, reader.Store, "UPDATE on subjects")
	s.exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN schema SCHEMA TO reader_of_SCHEMA;
		REVOKE DELETE ON SCHEMA.limits FROM reader_of_SCHEMA`)
	checked(t, reader.Store, ": DELETE on limits;")
	s.exec(t, `GRANT DELETE ON SCHEMA.limits TO reader_of_SCHEMA`)
	checked(t, reader.Store, "", noFsync)
}

// TestRealPostgresStandby: a server that follows another is refused.
func TestRealPostgresStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := open(t, pgstore.Config{DB: dial(t, server.URL())})
	checked(t, s.Store, "", noFsync)
	if err := server.StandBy(); err != nil {
		t.Fatal(err)
	}
	standby := open(t, pgstore.Config{DB: dial(t, server.URL()), Schema: s.schema})
	checked(t, standby.Store, "the server is a standby")
	if err := standby.Create(t.Context(), challenge("abc-1", time.Now()), time.Now()); err == nil ||
		!strings.Contains(err.Error(), "standby") {
		t.Errorf("Create on a standby: %v", err)
	}
}

// TestRealPgBouncer runs the suites through a PgBouncer that gives a connection to a client
// for one transaction only. The tests of package otp do so with limits, too.
func TestRealPgBouncer(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	bouncer := pgtest.StartBouncer(t, server, "pool_mode = transaction")
	pool := dial(t, bouncer.URL(), "pool_max_conns=60", "default_query_exec_mode=exec")
	direct := func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, server.URL()) }
	h := harness(func(*testing.T) pgstore.DB { return pool })
	h.Limiter, h.Credentials = nil, nil
	h.Queue = func(t *testing.T) store.Queue {
		return open(t, pgstore.Config{DB: pool, JobAttempts: 3, Listen: direct})
	}
	storetest.Run(t, h)
}

// TestRealPgBouncerCheck: Check tells what a PgBouncer spoils.
func TestRealPgBouncerCheck(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	schema := open(t, pgstore.Config{}).schema
	direct := func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, server.URL()) }
	for _, c := range []struct {
		settings []string
		options  string
		listen   func(context.Context) (*pgx.Conn, error)
		refusal  string
		warnings []string
	}{
		{settings: []string{"pool_mode = session"}, warnings: []string{noFsync}},
		{settings: []string{"pool_mode = transaction"}, refusal: "max_prepared_statements"},
		{settings: []string{"pool_mode = transaction", "default_pool_size = 2"},
			options: "default_query_exec_mode=describe_exec", refusal: "default_query_exec_mode to exec"},
		{settings: []string{"pool_mode = transaction"}, options: "default_query_exec_mode=cache_describe",
			listen: direct, warnings: []string{noFsync}},
		{settings: []string{"pool_mode = transaction"}, options: "default_query_exec_mode=exec", listen: direct,
			warnings: []string{noFsync}},
		{settings: []string{"pool_mode = statement"}, options: "default_query_exec_mode=exec", listen: direct,
			warnings: []string{noFsync}},
		{settings: []string{"pool_mode = transaction"}, options: "default_query_exec_mode=exec",
			warnings: []string{noFsync, "notifications do not arrive"}},
	} {
		bouncer := pgtest.StartBouncer(t, server, c.settings...)
		pool := dial(t, bouncer.URL(), "pool_max_conns=10", c.options)
		s := open(t, pgstore.Config{DB: pool, Schema: schema, Listen: c.listen})
		checked(t, s.Store, c.refusal, c.warnings...)
	}
}
