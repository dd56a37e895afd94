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
