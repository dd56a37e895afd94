package pgstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

// touched returns how many rows and index entries the statements so far have read.
func (o *opened) touched(t testing.TB) (n int) {
	t.Helper()
	o.exec(t, "SELECT pg_stat_force_next_flush()")
	if err := o.db.QueryRow(t.Context(), `SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables
		WHERE schemaname = $1) + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE schemaname = $1)`,
		o.schema).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// planned returns a call of each kind.
func planned(t *testing.T, s *opened, now time.Time) map[string]func(id string) error {
	return map[string]func(id string) error{
		"Create": func(id string) error { return s.Create(t.Context(), challenge("abc-new"+id, now), now) },
		"Open": func(id string) error {
			limit := store.Limit{Key: id, Most: 1, Per: time.Hour}
			_, err := s.Open(t.Context(), challenge("abc-open"+id, now), now, limit)
			return err
		},
		"Get":     func(id string) error { _, err := s.Get(t.Context(), id, now); return err },
		"Attempt": func(id string) error { _, err := s.Attempt(t.Context(), id, token(), now); return err },
		"Attempts": func(id string) error {
			var calls sync.WaitGroup
			for i := range 6 {
				calls.Go(func() { _, _ = s.Attempt(t.Context(), fmt.Sprint(id, i), token(), now) })
			}
			calls.Wait()
			return nil
		},
		"Update": func(id string) error { _, err := s.Update(t.Context(), id, 0, nil, now); return err },
		"Finish": func(id string) error {
			_, err := s.Finish(t.Context(), id, store.Verified, token(), now)
			return err
		},
		"CancelAll": func(id string) error { return s.CancelAll(t.Context(), "b", id, "", now.Add(time.Hour), now) },
		"Take": func(id string) error {
			_, err := s.Take(t.Context(), now, store.Limit{Key: "k" + id, Most: 1, Per: time.Hour})
			return err
		},
		"Give": func(id string) error {
			return s.Give(t.Context(), now, now, store.Limit{Key: "k" + id, Most: 1, Per: time.Hour})
		},
		"Match": func(id string) error {
			_, err := s.Match(t.Context(), "r"+id, []byte("r"), now.Add(time.Hour), now)
			return err
		},
		"Enqueue": func(id string) error {
			return s.Enqueue(t.Context(), store.Job{Challenge: id, Expires: now.Add(time.Hour)})
		},
		"fetch": func(string) error { snatch(t, s, 7); return nil },
		"heartbeat": func(string) error {
			s.exec(t, "SELECT SCHEMA.heartbeat('{1}', '{7}', '9s', 9, 0)")
			return nil
		},
		"ack": func(string) error {
			const four = "'{7, 7, 7, 7}'"
			s.exec(t, "SELECT SCHEMA.ack('{1, 2, 3, 4}', "+four+", '{0, 1, 2, 3}', "+four+", "+four+", 0)")
			return nil
		},
	}
}

// fillTables adds n rows to each table.
func fillTables(t *testing.T, s *opened, n int, now time.Time) {
	t.Helper()
	s.exec(t, `INSERT INTO SCHEMA.challenges SELECT md5(i::text)::uuid, $1, $2, 60, 60, 0, 0, 1, 1, 1, 0,
		md5(i::text)::bytea, '', '', '', '' FROM generate_series(1, $3::integer) AS i`,
		now.UnixNano(), now.Add(time.Hour).UnixNano(), n)
	s.exec(t, `INSERT INTO SCHEMA.subjects SELECT md5(i::text)::bytea, 0, 0, 0, 0, 2000000
		FROM generate_series(1, $1::integer) AS i`, n)
	s.exec(t, `INSERT INTO SCHEMA.limits SELECT md5(i::text)::uuid, 1, 2000000, ARRAY[1], ARRAY[1]
		FROM generate_series(1, $1::integer) AS i`, n)
	s.exec(t, `INSERT INTO SCHEMA.receipts SELECT md5(i::text)::uuid, $1, 500, 0, ''
		FROM generate_series(1, $2::integer) AS i`, now.Add(time.Hour).UnixNano(), n)
	s.exec(t, `INSERT INTO SCHEMA.jobs (due, expires, not_before, rank, challenge) SELECT $1, $1, 0, 1, ''
		FROM generate_series(1, $2::integer) AS i`, now.Add(time.Hour).UnixNano(), n)
}

// TestRealPostgresPlans: statements that were planned while the tables were empty, and known to be,
// read no whole table later.
func TestRealPostgresPlans(t *testing.T) {
	t.Parallel()
	const rows = 3000
	pool := dial(t, pgtest.Shared(t).URL(), "pool_max_conns=1")
	s, now := open(t, pgstore.Config{DB: pool}), time.Now()
	for _, table := range []string{"challenges", "subjects", "limits", "receipts", "jobs"} {
		s.exec(t, "VACUUM ANALYZE SCHEMA."+table)
	}
	calls := planned(t, s, now)
	for range 8 { // after five runs the server keeps the plan
		for _, call := range calls {
			_ = call("abc-none") // most find nothing
		}
	}
	fillTables(t, s, rows, now)
	for name, call := range calls {
		for _, id := range []string{"abc-a" + name, "abc-b" + name} {
			if err := s.Create(t.Context(), challenge(id, now), now); err != nil {
				t.Fatal(err)
			}
			before := s.touched(t)
			if err := call(id); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if n := s.touched(t) - before; n > rows/3 {
				t.Errorf("%s read %d rows and entries of indexes", name, n)
			}
		}
	}
}
