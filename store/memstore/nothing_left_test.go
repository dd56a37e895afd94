package memstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestLimitLeavesNothing checks that a limit whose takings were all given back is not
// held until its span is over, in whatever order they come back.
func TestLimitLeavesNothing(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	rnd := rand.New(rand.NewPCG(1, 2))
	type taking struct {
		at     time.Time
		limits []store.Limit
	}
	var takings []taking
	now := benchStart
	for i := range 20_000 {
		now = now.Add(time.Millisecond)
		limits := []store.Limit{
			{Key: fmt.Sprint("a", i%5000), Most: 10, Per: time.Hour},
			{Key: fmt.Sprint("b", i), Most: 1000, Per: 24 * time.Hour},
		}
		if d, err := s.Take(t.Context(), now, limits...); err != nil || !d.Allowed {
			t.Fatalf("Take: %+v, error %v", d, err)
		}
		takings = append(takings, taking{now, limits})
	}
	rnd.Shuffle(len(takings), func(i, j int) { takings[i], takings[j] = takings[j], takings[i] })
	for _, tk := range takings {
		if err := s.Give(t.Context(), tk.at, now, tk.limits...); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Entries(); n != 0 {
		t.Errorf("%d entries are held when all takings were given back", n)
	}
}

// TestLimitGivenBackExpires checks that a limit expires with the takings that it has,
// not with one that was given back.
func TestLimitGivenBackExpires(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	l := store.Limit{Key: "k", Most: 2, Per: time.Hour}
	first, second := benchStart, benchStart.Add(59*time.Minute)
	for _, at := range []time.Time{first, second} {
		if d, err := s.Take(t.Context(), at, l); err != nil || !d.Allowed {
			t.Fatalf("Take: %+v, error %v", d, err)
		}
	}
	if err := s.Give(t.Context(), second, second, l); err != nil {
		t.Fatal(err)
	}
	if n := s.Live(first.Add(time.Hour - time.Second).UnixNano()); n != 1 {
		t.Errorf("%d limits are held while a taking counts, want 1", n)
	}
	if n := s.Live(first.Add(time.Hour + time.Second).UnixNano()); n != 0 {
		t.Errorf("%d limits are held when the only taking counts no more", n)
	}
}

// TestJobsLeaveNothing checks that a job which is done, or has failed as often as it
// may, is not held until it expires.
func TestJobsLeaveNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		s := memstore.New(memstore.Config{MaxJobs: n, JobAttempts: 2})
		begin := time.Now()
		j := store.Job{Challenge: "abc-1", Expires: begin.Add(10000 * time.Hour)}
		calls := 0
		start(t, s, func(context.Context, store.Job) (again time.Time, err error) {
			switch calls++; calls % 3 {
			case 1:
				return again, errors.New("fails")
			case 2:
				return time.Now().Add(time.Minute), nil
			}
			return again, nil
		})
		for range 3 { // each needs the room of the last
			for range n {
				if err := s.Enqueue(t.Context(), j); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(time.Hour)
			if got := s.Entries(); got != 0 {
				t.Fatalf("%d entries are held when all jobs are done", got)
			}
		}
	})
}

// TestVerifiedRunLeavesNothing checks that a run of failures which a success ended is
// not held until it would have been forgotten.
func TestVerifiedRunLeavesNothing(t *testing.T) {
	t.Parallel()
	const n = 1000
	s := memstore.New(memstore.Config{MaxSubjects: 1})
	for i := range uint64(n) { // each needs the room of the last
		if err := create(t, s, i, benchStart, time.Minute); err != nil {
			t.Fatal(err)
		}
		id := usual(i, benchStart).ID
		if _, err := s.Attempt(t.Context(), id, token(), benchStart); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Finish(t.Context(), id, store.Verified, token(), benchStart); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Entries(); got != 3*n { // the challenges: in a table, in a wheel, reserved
		t.Errorf("%d entries are held, want the %d of %d challenges", got, 3*n, n)
	}
}

// TestMarksLeaveNothing checks that CancelAll is bounded by subjects and groups, not by
// calls, and that later calls for challenges collect it after its until.
func TestMarksLeaveNothing(t *testing.T) {
	t.Parallel()
	const subjects, groups = 500, 4
	s := memstore.New(memstore.Config{MaxSubjects: subjects * groups})
	now, until := benchStart, benchStart.Add(5*time.Minute)
	for range 3 { // the same again takes no room
		now = now.Add(time.Second)
		for i := range subjects * groups {
			subject, group := fmt.Sprint(i/groups), []string{"", "a", "b", "c"}[i%groups]
			if err := s.CancelAll(t.Context(), "abc", subject, group, until, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := s.Marks(); n != subjects*groups {
		t.Errorf("%d marks are held, want %d", n, subjects*groups)
	}
	if err := s.CancelAll(t.Context(), "abc", "0", "d", until, now); !errors.Is(err, store.ErrFull) {
		t.Errorf("CancelAll in a full store: error %v, want ErrFull", err)
	}
	if err := s.CancelAll(t.Context(), "abc", "0", "d", until.Add(time.Second), until); err != nil {
		t.Errorf("CancelAll when those of a full store have expired: %v", err)
	}
	now = until.Add(2 * time.Minute)
	calls := 0
	for ; s.Marks() > 0 && calls < 20*subjects*groups; calls++ {
		if err := create(t, s, uint64(calls), now, time.Minute); err != nil {
			t.Fatal(err)
		}
		held := s.Marks()
		if _, err := s.Get(t.Context(), usual(uint64(calls), now).ID, now); err != nil {
			t.Fatal(err)
		}
		if n := held - s.Marks(); n > 8 {
			t.Fatalf("a Get collected %d marks, want at most 8", n)
		}
	}
	if n := s.Marks(); n != 0 {
		t.Errorf("%d of %d marks are left after %d calls", n, subjects*groups, calls)
	}
	if n := s.Live(now.Add(time.Hour).UnixNano()); n != 0 {
		t.Errorf("%d entries are held when all have expired", n)
	}
}
