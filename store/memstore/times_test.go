package memstore_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestClocksApart checks that a run that is forgotten by one caller's clock is
// still there by that of another.
func TestClocksApart(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	ahead := benchStart.Add(30*time.Minute + 5*time.Second)
	behind := ahead.Add(-6 * time.Second)
	r := usual(0, benchStart)
	r.Expires, r.MaxFailures = benchStart.Add(time.Hour), 1
	if err := s.Create(t.Context(), r, benchStart); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attempt(t.Context(), r.ID, token(), benchStart); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), r.ID, ahead); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attempt(t.Context(), r.ID, token(), behind); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Attempt within the lock, by a clock that is behind: error %v, want ErrLocked", err)
	}
}

// TestCancelledAgesAgo checks that the age of a challenge does not matter to the
// CancelAll of another group, nor to one of its own.
func TestCancelledAgesAgo(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	for n, created := range []time.Time{{}, time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)} {
		r := usual(uint64(n), benchStart)
		r.Created, r.Group = created, "group"
		if err := s.Create(t.Context(), r, benchStart); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			group string
			want  store.Outcome
		}{{"another", store.Open}, {"group", store.Cancelled}} {
			if err := s.CancelAll(t.Context(), "abc", r.Subject, c.group, r.Expires, benchStart); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Get(t.Context(), r.ID, benchStart); err != nil || got.Outcome != c.want {
				t.Errorf("created %v, CancelAll of %s: %+v, error %v, want it %v", created, c.group, got, err, c.want)
			}
		}
	}
}

// TestNanoseconds checks that times come back whole, without their zone.
func TestNanoseconds(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	now := time.Now() // with a monotonic reading
	r := usual(0, now)
	r.Created = now.Add(-1).In(time.FixedZone("somewhere", 3600))
	r.Expires = time.Unix(0, math.MaxInt64)
	if err := s.Create(t.Context(), r, now); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), r.ID, now)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got); d != "" {
		t.Errorf("Get differs from what Create left (-want +got):\n%s", d)
	}
}
