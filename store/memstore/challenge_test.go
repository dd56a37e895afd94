package memstore_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
				if _, err := s.Attempt(t.Context(), usual(n, now).ID, now); err == nil {
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
	if _, err := s.Attempt(t.Context(), usual(0, now).ID, now); err != nil {
		t.Fatal(err)
	}
	id := usual(1, now).ID
	if r, err := s.Attempt(t.Context(), id, now); !errors.Is(err, store.ErrFull) || r == nil || r.Attempts != 0 {
		t.Fatalf("Attempt without room for its failure: %v, error %v, want ErrFull beside a record not charged", r, err)
	}
	if _, err := s.Attempt(t.Context(), id, now.Add(30*time.Minute)); err != nil {
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
	if _, err := s.Attempt(t.Context(), r.ID, benchStart); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), r.ID, ahead); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attempt(t.Context(), r.ID, behind); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Attempt within the lock, by a clock that is behind: error %v, want ErrLocked", err)
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

func TestRefused(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	for name, edit := range map[string]func(*store.Record){
		"no ID":        func(r *store.Record) { r.ID = "" },
		"MaxAttempts":  func(r *store.Record) { r.MaxAttempts = math.MaxInt64 },
		"MaxFailures":  func(r *store.Record) { r.MaxFailures = math.MaxInt64 },
		"Waits":        func(r *store.Record) { r.Waits = make([]time.Duration, 1<<16) },
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
		if _, err := s.Finish(t.Context(), usual(0, benchStart).ID, o, benchStart); err == nil {
			t.Errorf("Finish as %v succeeds, want an error", o)
		}
	}
	if _, err := s.Track(t.Context(), "route/1", "", benchStart.Add(time.Hour), benchStart); err == nil {
		t.Error("Track of an empty message succeeds, want an error")
	}
}

// TestManyPolicies checks records whose policies are too many to be shared.
func TestManyPolicies(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	for round := range 2 {
		for n := range 200 {
			r := usual(uint64(round*200+n), benchStart)
			r.MaxAttempts = 1 + n
			if err := s.Create(t.Context(), r, benchStart); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Get(t.Context(), r.ID, benchStart); err != nil || got.MaxAttempts != 1+n {
				t.Fatalf("Get: %v, error %v, want MaxAttempts %d", got, err, 1+n)
			}
		}
	}
}

// TestMemory holds a pending challenge, with the run of failures of its
// subject, to 400 bytes.
func TestMemory(t *testing.T) { // not parallel: it measures the heap
	if per := perChallenge(t, 100_000, true); per > 400 {
		t.Errorf("a pending challenge takes %.0f bytes, want at most 400", per)
	}
}
