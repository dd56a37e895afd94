package pgstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

// rows counts the rows of a table.
func (o *opened) rows(t testing.TB, table string) (n int) {
	t.Helper()
	if err := o.db.QueryRow(t.Context(), "SELECT count(*) FROM "+o.schema+"."+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// fill stores n of each kind at now, for a minute or so.
func fill(t testing.TB, s *opened, n int, now time.Time) {
	t.Helper()
	for i := range n {
		r := challenge(fmt.Sprint("abc-", now.UnixNano(), i), now)
		r.Lock = time.Minute
		if err := s.Create(t.Context(), r, now); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Attempt(t.Context(), r.ID, token(), now); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Take(t.Context(), now, store.Limit{Key: r.ID, Most: 3, Per: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Track(t.Context(), "r/"+r.ID, "message", now.Add(time.Minute), now); err != nil {
			t.Fatal(err)
		}
	}
}

var sweptTables = []string{"challenges", "subjects", "limits", "receipts"}

// TestRealPostgresSweep: calls remove expired rows, and nothing else; not either if the
// clock of their process is ahead.
func TestRealPostgresSweep(t *testing.T) {
	t.Parallel()
	s, now := open(t, pgstore.Config{}), time.Now()
	fill(t, s, 20, now.Add(-12*time.Hour))
	for _, table := range sweptTables {
		if n := s.rows(t, table); n != 20 {
			t.Errorf("%d rows in %s before they expire, want 20", n, table)
		}
	}
	s.SweepAtOnce()
	fill(t, s, 1, now)
	for _, table := range sweptTables {
		if n := s.rows(t, table); n != 1 {
			t.Errorf("%d rows in %s, want the one that has not expired", n, table)
		}
	}
	s.SweepAtOnce()
	fill(t, s, 1, now.Add(1000*time.Hour)) // by a clock that is ahead
	for _, table := range sweptTables {
		if n := s.rows(t, table); n != 2 {
			t.Errorf("%d rows in %s, want both: the server's clock says that none has expired", n, table)
		}
	}
}

// TestRealPostgresSweepByVerifying: a process that only verifies, or only reads receipts, removes what
// has expired, too; also if all its calls are refused.
func TestRealPostgresSweepByVerifying(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, call := range map[string]func(*opened) error{
		"Attempt": func(s *opened) error {
			_, err := s.Attempt(t.Context(), "none", token(), now)
			return err
		},
		"Finish": func(s *opened) error {
			_, err := s.Finish(t.Context(), "none", store.Verified, token(), now)
			return err
		},
		"Match": func(s *opened) error {
			_, err := s.Match(t.Context(), "k", []byte("r"), now, now)
			return err
		},
	} {
		s := open(t, pgstore.Config{})
		fill(t, s, 3, now.Add(-12*time.Hour))
		s.SweepAtOnce()
		if err := call(s); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if n := s.rows(t, "challenges") + s.rows(t, "subjects") + s.rows(t, "limits"); n != 0 {
			t.Errorf("%d expired rows after %s", n, name)
		}
	}
}

// TestRealPostgresSweepInBatches: a backlog goes in batches, call by call.
func TestRealPostgresSweepInBatches(t *testing.T) {
	t.Parallel()
	s, now := open(t, pgstore.Config{}), time.Now()
	old := challenge("abc-old", now)
	old.Created, old.Expires = now.Add(-2*time.Hour), now.Add(-time.Hour)
	if err := s.Create(t.Context(), old, old.Created); err != nil {
		t.Fatal(err)
	}
	s.exec(t, `INSERT INTO SCHEMA.challenges SELECT (md5(i::text)::uuid), c.created, c.expires, c.lock, c.run_life, 0,
		0, 1, 1, 1, 0, c.subject, c.grp, c.salt, c.fixed, c.delivery
		FROM SCHEMA.challenges c, generate_series(1, 1499) AS i`)
	s.SweepAtOnce()
	for _, want := range []int{1000, 500, 0, 0} {
		if _, err := s.Take(t.Context(), now, store.Limit{Key: "k", Most: 99, Per: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if n := s.rows(t, "challenges"); n != want {
			t.Errorf("%d challenges are left, want %d", n, want)
		}
	}
}

// TestRealPostgresSweepJobs: without a Run, calls of Enqueue make dead letters of jobs that have
// expired, and leave those alone that have not, or that a worker has.
func TestRealPostgresSweepJobs(t *testing.T) {
	t.Parallel()
	s := open(t, pgstore.Config{})
	queuetest.Add(t, s, store.Job{Challenge: "held"}, store.Job{Challenge: "expired"}, store.Job{Challenge: "lives"})
	past := time.Now().Add(-2 * time.Minute).UnixNano()
	s.exec(t, `UPDATE SCHEMA.jobs SET expires = $1 WHERE challenge <> 'lives'`, past)
	s.exec(t, `UPDATE SCHEMA.jobs SET lease = 7, beat = now() WHERE challenge = 'held'`)
	s.SweepAtOnce()
	queuetest.Add(t, s, store.Job{Challenge: "new"})
	st, err := s.Stats(t.Context())
	if want := (store.Stats{Normal: 2, Running: 1, Dead: 1}); err != nil || st.Normal != want.Normal ||
		st.Running != want.Running || st.Dead != want.Dead {
		t.Fatalf("%+v, error %v; want %+v", st, err, want)
	}
	dead, err := s.Dead(t.Context(), 10)
	if err != nil || len(dead) != 1 || dead[0].Job.Challenge != "expired" || dead[0].Reason != store.Late {
		t.Errorf("dead letters %+v, error %v; want the expired job, late", dead, err)
	}
}
