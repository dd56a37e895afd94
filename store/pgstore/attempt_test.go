package pgstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

// TestRealPostgresAttemptWaits: an Attempt that waited while its challenge was closed, and
// then another of the subject, charges nothing.
func TestRealPostgresAttemptWaits(t *testing.T) {
	t.Parallel()
	s, now := open(t, pgstore.Config{Timeout: queuetest.Patience}), time.Now()
	a, b := challenge("abc-a", now), challenge("abc-b", now)
	b.Subject = a.Subject
	a.MaxRun, a.RunLife = 100, time.Hour
	for _, r := range []*store.Record{a, b} {
		if err := s.Create(t.Context(), r, now); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := sharedPool(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	within := open(t, pgstore.Config{DB: tx, Schema: s.schema})
	if _, err := within.Finish(t.Context(), a.ID, store.Verified, token(), now); err != nil {
		t.Fatal(err)
	}
	if _, err := within.Finish(t.Context(), b.ID, store.Cancelled, token(), now); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.Attempt(t.Context(), a.ID, token(), now)
		done <- err
	}()
	awaitBlocked(t, s)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := queuetest.Receive(t, done, queuetest.Patience, "the Attempt"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Attempt of a closed challenge: %v, want ErrClosed", err)
	}
	if r, err := s.Get(t.Context(), a.ID, now); err != nil || r.Attempts != 0 {
		t.Errorf("Get: %+v, error %v; want no attempt charged", r, err)
	}
}

// TestRealPostgresChargesOfExpired: charges of a challenge that has expired do not count for a later one
// of its subject, nor for one of its ID, and are dropped when the row has too many.
func TestRealPostgresChargesOfExpired(t *testing.T) {
	t.Parallel()
	for _, most := range []int{3, 70} { // a row should have up to 64
		s, now := open(t, pgstore.Config{}), time.Now()
		for i, id := range []string{"abc-a", "abc-b", "abc-a", "abc-a"} {
			r := challenge(id, now)
			r.Subject, r.MaxAttempts, r.MaxRun, r.RunLife = "subject", most, 1000, 24*time.Hour
			if err := s.Create(t.Context(), r, now); err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= most; n++ {
				if r, err := s.Attempt(t.Context(), id, token(), now); err != nil || r.Attempts != n {
					t.Fatalf("%s, challenge %d: %+v, error %v; want %d attempts", id, i, r, err, n)
				}
			}
			if _, err := s.Attempt(t.Context(), id, token(), now); !errors.Is(err, store.ErrExhausted) {
				t.Errorf("%s, challenge %d: %v, want ErrExhausted", id, i, err)
			}
			if n := s.exec(t, "SELECT FROM SCHEMA.subjects WHERE length(charges) = $1::integer", 32*most); n != 1 {
				t.Errorf("%s, challenge %d: the row has not %d charges", id, i, most)
			}
			now = now.Add(time.Hour)
		}
	}
}
