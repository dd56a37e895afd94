package memstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func TestLimiterFull(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{MaxLimits: 3})
	now := benchStart.Add(time.Millisecond)
	limits := func(names ...string) (ls []store.Limit) {
		for _, name := range names {
			ls = append(ls, store.Limit{Key: name, Most: 2, Per: time.Second})
		}
		return ls
	}
	take := func(want error, names ...string) {
		t.Helper()
		d, err := s.Take(t.Context(), now, limits(names...)...)
		if !errors.Is(err, want) || d.Allowed != (want == nil) {
			t.Fatalf("Take of %v: %+v, error %v, want error %v", names, d, err, want)
		}
	}
	take(nil, "a", "a") // one entry
	take(store.ErrFull, "b", "c", "d")
	take(nil, "b", "c") // nothing was taken or held
	take(nil, "b", "c")
	take(store.ErrFull, "d")
	now = now.Add(time.Second)
	take(nil, "d", "e", "f")
	if n := s.Live(now.Add(time.Minute).UnixNano()); n != 0 {
		t.Errorf("%d limits are held when all takings are out of their span", n)
	}
}

// TestSpansApart checks that one Key with different spans is counted apart.
func TestSpansApart(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	minute := store.Limit{Key: "k", Most: 1, Per: time.Minute}
	hour := store.Limit{Key: "k", Most: 2, Per: time.Hour}
	now := benchStart
	for i := range 3 {
		d, err := s.Take(t.Context(), now, minute, hour)
		if err != nil || d.Allowed != (i < 2) {
			t.Fatalf("taking %d: %+v, error %v", i+1, d, err)
		}
		now = now.Add(time.Minute)
	}
}

// TestCoarseLimit checks how early a limit that is too high for an exact log
// refuses: by less than a hundredth of its span.
func TestCoarseLimit(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	l := store.Limit{Key: "k", Most: 1000, Per: 1000 * time.Second}
	allowed := 0
	for i := range 10_000 {
		d, err := s.Take(t.Context(), benchStart.Add(time.Duration(i)*500*time.Millisecond), l)
		if err != nil {
			t.Fatal(err)
		}
		if d.Allowed {
			allowed++
		}
	}
	if allowed < 4950 || allowed > 5000 { // 1000 in each of 5 spans
		t.Errorf("%d takings were allowed in 5000s, want 5000 or little less", allowed)
	}
}

func TestTrackerFull(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{MaxReceipts: 10})
	now := benchStart
	expires := now.Add(1500 * time.Millisecond)
	match := func(key string, receipt int, want error) {
		t.Helper()
		if _, err := s.Match(t.Context(), key, fmt.Append(nil, receipt), expires, now); !errors.Is(err, want) {
			t.Fatalf("Match of %s: error %v, want %v", key, err, want)
		}
	}
	match("a", 1, nil)
	match("a", 2, nil)
	match("b", 1, nil)
	match("b", 2, store.ErrFull)
	match("c", 1, store.ErrFull)
	match("b", 1, nil) // is parked already
	for i := range 6 { // parking takes half of the room
		var want error
		if i == 5 {
			want = store.ErrFull
		}
		if _, err := s.Track(t.Context(), fmt.Sprint("d", i), "message", expires, now); !errors.Is(err, want) {
			t.Fatalf("Track of d%d: error %v, want %v", i, err, want)
		}
	}
	if early, err := s.Track(t.Context(), "a", "message", expires, now); err != nil || len(early) != 2 {
		t.Fatalf("Track: %q, error %v, want both receipts", early, err)
	}
	match("b", 2, store.ErrFull)
	now = expires
	expires = now.Add(time.Second)
	match("a", 3, nil) // starts anew
	match("c", 1, nil)
	if early, err := s.Track(t.Context(), "a", "another", expires, now); err != nil || len(early) != 1 {
		t.Fatalf("Track of a key that has expired: %q, error %v, want the new receipt", early, err)
	}
	if n := s.Live(now.Add(time.Hour).UnixNano()); n != 0 {
		t.Errorf("%d keys and receipts are held when all have expired", n)
	}
}

// TestAnothersReceipts checks that a message is not told another's receipts.
func TestAnothersReceipts(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	expires := benchStart.Add(time.Hour)
	if _, err := s.Match(t.Context(), "route/1", []byte("delivered"), expires, benchStart); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		message string
		want    int
	}{{"first", 1}, {"second", 0}, {"first", 1}} {
		early, err := s.Track(t.Context(), "route/1", c.message, expires, benchStart)
		if err != nil || len(early) != c.want {
			t.Errorf("Track of %s: %q, error %v, want %d receipts", c.message, early, err, c.want)
		}
	}
}
