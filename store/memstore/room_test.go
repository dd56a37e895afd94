package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// create stores the nth usual record, which lives for life.
func create(t *testing.T, s *memstore.Store, n uint64, now time.Time, life time.Duration) error {
	t.Helper()
	r := usual(n, now)
	r.Expires = now.Add(life)
	return s.Create(t.Context(), r, now)
}

func TestFull(t *testing.T) {
	t.Parallel()
	const room = 100
	s := memstore.New(memstore.Config{MaxChallenges: room})
	now := benchStart.Add(123456789)
	for n := range uint64(room) {
		life := time.Hour
		if n == 7 {
			life = 1500 * time.Millisecond // ends within a second that goes on
		}
		if err := create(t, s, n, now, life); err != nil {
			t.Fatal(err)
		}
	}
	expired := now.Add(1500 * time.Millisecond)
	if err := create(t, s, 1000, expired.Add(-1), time.Hour); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Create in a full store: error %v, want ErrFull", err)
	}
	if err := create(t, s, 1000, expired, time.Hour); err != nil {
		t.Fatalf("Create when one of a full store has expired: %v", err)
	}
	if err := create(t, s, 1001, expired, time.Hour); !errors.Is(err, store.ErrFull) {
		t.Fatalf("Create in a full store: error %v, want ErrFull", err)
	}
	for n := range uint64(room) {
		if _, err := s.Get(t.Context(), usual(n, now).ID, expired); (err != nil) != (n == 7) {
			t.Errorf("Get of %d of a full store: %v", n, err)
		}
	}
	// An ID that has expired is created in its own place.
	later := now.Add(time.Hour)
	for n := range uint64(room) {
		if n == 7 {
			continue
		}
		if err := create(t, s, n, later, time.Hour); err != nil {
			t.Fatalf("Create of an expired ID in a full store: %v", err)
		}
	}
	if n := s.Live(later.Add(2 * time.Hour).UnixNano()); n != 0 {
		t.Errorf("%d challenges are held when all have expired", n)
	}
}

func TestFullInParallel(t *testing.T) {
	t.Parallel()
	const room = 10
	s := memstore.New(memstore.Config{MaxChallenges: room, MaxSubjects: room})
	for round := range 20 {
		now := benchStart.Add(time.Duration(round) * time.Hour)
		var created, charged atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				n := uint64(round*64 + i)
				switch err := create(t, s, n, now, 30*time.Minute); {
				case err == nil:
					created.Add(1)
				case !errors.Is(err, store.ErrFull):
					t.Errorf("Create: %v", err)
				}
				if _, err := s.Attempt(t.Context(), usual(n, now).ID, token(), now); err == nil {
					charged.Add(1)
				}
			})
		}
		wg.Wait()
		if created.Load() != room || charged.Load() != room {
			t.Fatalf("round %d: %d created and %d charged in a store for %d", round, created.Load(), charged.Load(),
				room)
		}
	}
}

// TestNoRoomForFailures checks that a failure that could not be remembered is
// refused, and charges nothing.
func TestNoRoomForFailures(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{MaxSubjects: 1})
	now := benchStart
	for n := range uint64(2) {
		if err := create(t, s, n, now, 2*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Attempt(t.Context(), usual(0, now).ID, token(), now); err != nil {
		t.Fatal(err)
	}
	id := usual(1, now).ID
	r, err := s.Attempt(t.Context(), id, token(), now)
	if !errors.Is(err, store.ErrFull) || r == nil || r.Attempts != 0 {
		t.Fatalf("Attempt without room for its failure: %v, error %v, want ErrFull beside a record not charged", r, err)
	}
	if _, err := s.Attempt(t.Context(), id, token(), now.Add(30*time.Minute)); err != nil {
		t.Fatalf("Attempt when another subject's run is forgotten: %v", err)
	}
}

// TestBoundedSweep checks that no call collects much, however much has expired
// at once and however far the clock jumps, and that all is collected in time.
func TestBoundedSweep(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{6 * time.Minute, 100 * time.Hour, 1000 * time.Hour} {
		s := memstore.New(memstore.Config{})
		const n = 50_000
		for i := range uint64(n) {
			if err := create(t, s, i, benchStart, 5*time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		now := benchStart.Add(jump)
		held, calls := s.Held(), 0
		for ; held > 0 && calls < 2*n; calls++ {
			_, _ = s.Get(t.Context(), fmt.Sprint("abc-", calls), now)
			left := s.Held()
			if held-left > 8 {
				t.Fatalf("a Get collected %d challenges, want at most 8", held-left)
			}
			held = left
		}
		if held != 0 {
			t.Errorf("%v later, %d of %d challenges are left after %d calls", jump, held, n, calls)
		}
	}
}

// TestCollectionKeepsPace checks that calls collect as many entries as they add, in
// the long run, also those that live long beside those that live shortly.
func TestCollectionKeepsPace(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	const live = 60 + 3600 + 10800 // of one Take a second
	now := benchStart
	for i := range 30_000 {
		now = now.Add(time.Second)
		_, err := s.Take(t.Context(), now,
			store.Limit{Key: fmt.Sprint("a", i), Most: 5, Per: time.Minute},
			store.Limit{Key: fmt.Sprint("b", i), Most: 5, Per: time.Hour},
			store.Limit{Key: fmt.Sprint("c", i), Most: 5, Per: 3 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Entries() / 3; n > live*105/100 { // each is in a table, in a wheel, and reserved
		t.Errorf("%d limits are held, of which %d live", n, live)
	}
}

// TestMemory holds a pending challenge, with the run of failures of its
// subject, to 400 bytes.
func TestMemory(t *testing.T) { // not parallel: it measures the heap
	if per := perChallenge(t, 100_000, true); per > 400 {
		t.Errorf("a pending challenge takes %.0f bytes, want at most 400", per)
	}
}

func TestQueueFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{MaxJobs: 2})
		add := func(challenge string, life time.Duration) error {
			return s.Enqueue(t.Context(), store.Job{Challenge: challenge, Expires: time.Now().Add(life)})
		}
		if err := errors.Join(add("long", time.Hour), add("short", 1500*time.Millisecond), add("past", 0)); err != nil {
			t.Fatal(err)
		}
		if err := add("more", time.Hour); !errors.Is(err, store.ErrFull) {
			t.Fatalf("Enqueue in a full queue: error %v, want ErrFull", err)
		}
		<-time.After(1500 * time.Millisecond)
		if err := add("more", time.Hour); err != nil {
			t.Fatalf("Enqueue when one of a full queue has expired: %v", err)
		}
		ids := make(chan string, 10)
		start(t, s, func(_ context.Context, j store.Job) (again time.Time, err error) {
			ids <- j.Challenge
			return again, nil
		})
		if got := <-ids + " " + <-ids; got != "long more" {
			t.Errorf("jobs %s, want long more", got)
		}
	})
}

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
