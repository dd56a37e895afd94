package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

func TestMigrations(t *testing.T) {
	t.Parallel()
	if _, err := pgstore.Migrations("a b"); err == nil {
		t.Error("a schema with a space: no error")
	}
	all, err := pgstore.Migrations("shop")
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	for i, m := range all {
		if m.Number != i+1 || m.Name == "" || strings.Contains(m.SQL, "otpcourier") ||
			!strings.Contains(m.SQL, `"shop".`) || !strings.Contains(m.SQL, `INSERT INTO "shop".migrations`) {
			t.Errorf("step %d: number %d, name %q:\n%s", i+1, m.Number, m.Name, m.SQL)
		}
	}
}

// TestRealPostgresMigrate: processes may migrate at one time; each step is applied once.
func TestRealPostgresMigrate(t *testing.T) {
	t.Parallel()
	s, err := pgstore.New(pgstore.Config{DB: sharedPool(t), Schema: pgtest.Schema()})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checked(t, s, "", noFsync)
}

// TestRealPostgresMigrateInTransactions: each process migrates in a transaction of its own, and the
// first does the work.
func TestRealPostgresMigrateInTransactions(t *testing.T) {
	t.Parallel()
	schema := pgtest.Schema()
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			err := pgx.BeginFunc(t.Context(), sharedPool(t), func(tx pgx.Tx) error {
				s, err := pgstore.New(pgstore.Config{DB: tx, Schema: schema})
				if err != nil {
					return err
				}
				return s.Migrate(t.Context())
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checked(t, open(t, pgstore.Config{Schema: schema}).Store, "", noFsync)
}

// TestRealPostgresPsql: the files are plain SQL for the default schema, and each notes its number.
func TestRealPostgresPsql(t *testing.T) {
	t.Parallel()
	psql, err := exec.LookPath("psql")
	if err != nil && os.Getenv("OTPCOURIER_REAL") != "require" {
		t.Skip("no psql (Debian: postgresql-client)")
	}
	url := pgtest.Start(t).URL()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		s, err := pgstore.New(pgstore.Config{DB: dial(t, url)})
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			checked(t, s, fmt.Sprintf("at step %d of %d", i, len(files)))
		}
		run := exec.CommandContext(t.Context(), psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, url)
		out, err := run.CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Fatalf("%s: %s, error %v", file, out, err)
		}
	}
	s := open(t, pgstore.Config{DB: dial(t, url), Schema: "otpcourier"})
	checked(t, s.Store, "", noFsync)
	if err := s.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRealPostgresOlderAndNewer: Migrate goes on from each earlier step, and leaves a schema of a later
// release alone.
func TestRealPostgresOlderAndNewer(t *testing.T) {
	t.Parallel()
	for done := range 6 {
		schema := pgtest.Schema()
		all, err := pgstore.Migrations(schema)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all[:min(done, len(all))] {
			if _, err := sharedPool(t).Exec(t.Context(), m.SQL); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, pgstore.Config{Schema: schema})
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatalf("after step %d: %v", done, err)
		}
		checked(t, s.Store, "", noFsync)
		s.exec(t, "INSERT INTO SCHEMA.migrations VALUES (99)")
		if err := s.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
		checked(t, s.Store, "", noFsync)
	}
}

// TestRealPostgresReservedSchema: a schema may have the name of a word of SQL.
func TestRealPostgresReservedSchema(t *testing.T) {
	t.Parallel()
	s, err := pgstore.New(pgstore.Config{DB: sharedPool(t), Schema: "order"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	checked(t, s, "", noFsync) // also that it hears its notifications
	now := time.Now()
	if err := s.Create(t.Context(), challenge("abc-1", now), now); err != nil {
		t.Error(err)
	}
	if r, err := s.Attempt(t.Context(), "abc-1", token(), now); err != nil || r.Attempts != 1 {
		t.Errorf("Attempt: %+v, error %v", r, err)
	}
}

// TestRealPostgresPlainSQL: a migration tool applies the steps, and a user without any other
// right works with them.
func TestRealPostgresPlainSQL(t *testing.T) {
	t.Parallel()
	owner, schema := sharedPool(t), pgtest.Schema()
	all, err := pgstore.Migrations(schema)
	if err != nil {
		t.Fatal(err)
	}
	grants := `CREATE ROLE worker_of_NAME LOGIN;
		GRANT USAGE ON SCHEMA NAME TO worker_of_NAME;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA NAME TO worker_of_NAME;
		REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA NAME FROM PUBLIC;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA NAME TO worker_of_NAME;`
	for _, m := range append(all, pgstore.Migration{SQL: grants}) {
		if _, err := owner.Exec(context.Background(), strings.ReplaceAll(m.SQL, "NAME", schema)); err != nil {
			t.Fatalf("step %d: %v", m.Number, err)
		}
	}
	url := strings.Replace(pgtest.Shared(t).URL(), "postgres@", "worker_of_"+schema+"@", 1)
	s := open(t, pgstore.Config{DB: dial(t, url), Schema: schema})
	checked(t, s.Store, "", noFsync)
	if err := s.Migrate(t.Context()); err != nil {
		t.Errorf("Migrate when nothing is missing: %v", err)
	}
	now := time.Now()
	if err := s.Create(t.Context(), challenge("abc-1", now), now); err != nil {
		t.Error(err)
	}
	if _, err := s.Attempt(t.Context(), "abc-1", token(), now); err != nil {
		t.Error(err)
	}
	if _, err := s.Take(t.Context(), now, store.Limit{Key: "k", Most: 1, Per: time.Hour}); err != nil {
		t.Error(err)
	}
	if _, err := s.Match(t.Context(), "k", []byte("r"), now.Add(time.Hour), now); err != nil {
		t.Error(err)
	}
	if err := s.Swap(t.Context(), "s", nil, []byte("v")); err != nil {
		t.Error(err)
	}
	jobs := make(chan store.Job, 1)
	queuetest.Work(t, s, 1, queuetest.Forward(jobs))
	queuetest.Add(t, s, store.Job{Challenge: "abc-1"})
	queuetest.Receive(t, jobs, queuetest.Patience, "the job")
}

// TestRealPostgresNothingReadable: no table holds the name of a limit, of a provider's id or
// of a person.
func TestRealPostgresNothingReadable(t *testing.T) {
	t.Parallel()
	s, now := open(t, pgstore.Config{}), time.Now()
	if _, err := s.Take(t.Context(), now, store.Limit{Key: "secret", Most: 1, Per: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Track(t.Context(), "secret/1", "message", now.Add(time.Hour), now); err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(t.Context(), "secret@example.com", nil, []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	r := challenge("secret-id", now)
	r.Subject = "keyed hash"
	if err := s.Create(t.Context(), r, now); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, table := range []string{"challenges", "limits", "receipts", "credentials"} {
		all, err := sharedPool(t).Query(t.Context(), "SELECT t::text FROM "+s.schema+"."+table+" t")
		if err != nil {
			t.Fatal(err)
		}
		for all.Next() {
			var text string
			if err := all.Scan(&text); err != nil {
				t.Fatal(err)
			}
			rows++
			for _, form := range []string{"secret", "736563726574"} { // and in hexadecimal
				if strings.Contains(text, form) {
					t.Errorf("%s holds %q: %s", table, form, text)
				}
			}
		}
		if err := all.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if rows != 4 {
		t.Errorf("%d rows, want 4", rows)
	}
}
