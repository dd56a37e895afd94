package memstore_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	for name, edit := range map[string]func(*store.Record){
		"no ID":        func(r *store.Record) { r.ID = "" },
		"MaxAttempts":  func(r *store.Record) { r.MaxAttempts = math.MaxInt64 },
		"MaxFailures":  func(r *store.Record) { r.MaxFailures = math.MaxInt64 },
		"Group":        func(r *store.Record) { r.Group = "seventeen octets." },
		"far Expires":  func(r *store.Record) { r.Expires = time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC) },
		"early Create": func(r *store.Record) { r.Created = time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		r := usual(0, benchStart)
		edit(r)
		if err := s.Create(t.Context(), r, benchStart); err == nil {
			t.Errorf("%s: Create succeeds, want an error", name)
		}
	}
	if err := create(t, s, 0, benchStart, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, o := range []store.Outcome{store.Open, 9} {
		if _, err := s.Finish(t.Context(), usual(0, benchStart).ID, o, token(), benchStart); err == nil {
			t.Errorf("Finish as %v succeeds, want an error", o)
		}
	}
	if _, err := s.Finish(t.Context(), usual(0, benchStart).ID, store.Verified, 0, benchStart); err == nil {
		t.Error("Finish with token 0 succeeds, want an error")
	}
	if _, err := s.Attempt(t.Context(), usual(0, benchStart).ID, 0, benchStart); err == nil {
		t.Error("Attempt with token 0 succeeds, want an error")
	}
	if _, err := s.Track(t.Context(), "route/1", "", benchStart.Add(time.Hour), benchStart); err == nil {
		t.Error("Track of an empty message succeeds, want an error")
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	handle := func(context.Context, store.Job) (again time.Time, err error) { return again, nil }
	if err := s.Run(t.Context(), 0, handle); err == nil {
		t.Error("Run without workers: want an error")
	}
	if err := s.Run(t.Context(), 1, nil); err == nil {
		t.Error("Run without a handler: want an error")
	}
}
