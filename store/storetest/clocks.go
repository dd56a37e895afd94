package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// behind is how far one process's clock is behind another's: nearly the minute that a
// backend must bear.
const behind = 59 * time.Second

func storeClockCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"clock goes back", "a call works whose time is before that of the calls before it", clockGoesBack},
		{"run and clocks", "a run is remembered as long as its latest failure asks for, if an earlier one follows too",
			runAndClocks},
		{"lock and clocks", "a lock locks for a caller whose clock is behind, too", lockAndClocks},
	}
}

func clockGoesBack(t tester, s store.Store) {
	f := newFixture(t, s)
	early := f.now
	f.now = early.Add(behind)
	id := f.create()
	f.attempt(id, nil)
	f.update(id, 0, "ahead", nil)
	f.now = early
	f.get(id)
	if r := f.attempt(id, nil); r.Attempts != 2 {
		f.Errorf("the second attempt, of a clock that is behind: Attempts %d, want 2", r.Attempts)
	}
	if r := f.update(id, 1, "behind", nil); r.Revision != 2 {
		f.Errorf("the second Update, of a clock that is behind: Revision %d, want 2", r.Revision)
	}
	f.finish(id, store.Verified, nil)
	f.now = early.Add(behind)
	f.outcome(id, "a challenge that a clock behind has finished", store.Verified)

	f.collected()
}

// collected has a backend collect a record and a lock by one clock, and asks by another that
// is behind.
func (f *fixture) collected() {
	f.Helper()
	open, locks := f.inBucket(unique("subject-")), f.create(maxFailures(1), lockFor(5*time.Minute))
	f.attempt(locks, nil)
	ends := f.now.Add(5 * time.Minute)
	f.now = ends.Add(behind / 2)
	f.busy()
	f.all(open, func(string, *store.Record, error) {})
	f.now = ends.Add(-behind / 2)
	f.get(open)
	f.attempt(open, nil)
	f.attempt(locks, store.ErrLocked)
	f.refused(store.ErrLocked)
}

// bustle is how many calls let a backend collect garbage.
const bustle = 32 * racers

// busy creates challenges of other subjects, so that the backend removes expired entries.
func (f *fixture) busy() {
	f.Helper()
	parallel(racers, func(int) {
		for range bustle / racers {
			r := newRecord(unique("subject-"), f.now, maxFailures(2))
			err := f.Create(f.Context(), r, f.now)
			if err == nil {
				_, err = f.Attempt(f.Context(), r.ID, newToken(), f.now)
			}
			if err != nil {
				f.Errorf("Create or Attempt: %v", err)
			}
		}
	})
}

func runAndClocks(t tester, s store.Store) {
	f := newFixture(t, s)
	early := f.now
	for field, policy := range map[string]func(*store.Record){
		"Lock":    func(r *store.Record) { r.MaxFailures, r.Lock = 3, 10*time.Minute },
		"RunLife": func(r *store.Record) { r.MaxFailures, r.Lock, r.MaxRun, r.RunLife = 0, 0, 3, 10*time.Minute },
	} {
		f.subject, f.now = unique("subject-"), early
		id := f.create(policy, expires(early.Add(time.Hour)))
		f.now = early.Add(behind)
		f.attempt(id, nil)
		f.now = early
		f.attempt(id, nil)
		f.now = early.Add(behind + 10*time.Minute - time.Microsecond)
		if r := f.attempt(id, nil); r.LockedUntil.IsZero() {
			f.Errorf("the third failure of three does not lock: the second was by a clock %v behind the first, "+
				"and both count for %s after the first", behind, field)
		}
	}
}

func lockAndClocks(t tester, s store.Store) {
	f := newFixture(t, s)
	early := f.now
	id := f.create(maxFailures(1))
	f.now = early.Add(behind)
	until := f.now.Add(30 * time.Minute)
	f.attempt(id, nil)
	f.now = early
	if r := f.attempt(id, store.ErrLocked); !r.LockedUntil.Equal(until) {
		f.Errorf("LockedUntil %v, want %v", r.LockedUntil, until)
	}
	f.refused(store.ErrLocked)
}

func limiterClockCases() []testCase[store.Limiter] {
	return []testCase[store.Limiter]{
		{"clock goes back", "takings count, and can be given back, for a caller whose clock is behind theirs",
			takingsAhead},
		{"spans apart", "limits of one Key and different Per have takings of their own", spansApart},
		{"thresholds of one key", "limits that differ only in Most, however much, and Shadow count the same takings",
			thresholds},
		{"large limits", "a Most of 2147483647 is counted as any, in steps that come near it", largeLimits},
	}
}

func takingsAhead(t tester, l store.Limiter) {
	for _, most := range fewAndMany {
		g := &gauge{t, l, start()}
		lim, early := limit(most, time.Hour), g.now
		g.now = early.Add(behind)
		g.take(of(most, lim))
		g.now = early
		d := g.take(lim)
		if d.Allowed || d.RetryAfter < time.Hour+behind {
			g.Fatalf("%+v, want it refused until an hour after takings that are %v ahead", d, behind)
		}
		g.give(early.Add(behind), of(1, lim))
		g.allowed(1, lim)

		passed := g.now.Add(time.Hour + behind)
		g.now = passed.Add(behind / 2)
		parallel(racers, func(int) {
			for range bustle / racers {
				if _, err := g.Take(g.Context(), g.now, limit(most, time.Hour)); err != nil {
					g.Errorf("Take: %v", err)
				}
			}
		})
		g.now = passed.Add(-behind / 2)
		if d := g.take(of(2, lim)); d.Allowed {
			g.Fatalf("%+v, want it refused: only the taking of the clock that was behind has passed", d)
		}
	}
}

func spansApart(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	minute := limit(2, time.Minute)
	hour := minute
	hour.Per = time.Hour
	g.allowed(2, minute)
	if d := g.take(hour, minute); d.Allowed || !slices.Equal(d.Over, []int{1}) {
		g.Errorf("%+v, want it refused with Over [1]", d)
	}
	g.allowed(2, hour)
}

func thresholds(t tester, l store.Limiter) {
	for _, most := range fewAndMany {
		g := &gauge{t, l, start()}
		hard := limit(most, time.Hour)
		soft := hard
		soft.Most, soft.Shadow, soft.Peek = 5, true, true
		for i := range most {
			d := g.take(soft, hard)
			if over := i >= soft.Most; !d.Allowed || slices.Equal(d.Over, []int{0}) != over {
				g.Fatalf("taking %d of %d, peeking at %d: %+v", i+1, most, soft.Most, d)
			}
			g.now = g.now.Add(time.Millisecond)
		}
		if d := g.take(soft, hard); d.Allowed || !slices.Equal(d.Over, []int{0, 1}) {
			g.Errorf("%+v, want it refused with Over [0 1]", d)
		}
		low := hard
		low.Most = 5
		if d := g.take(low); d.Allowed {
			g.Errorf("%d taken, and Most 5: %+v, want it refused", most, d)
		}
		g.allowed(0, hard)
		g.give(time.Time{}, of(8, low))
		g.allowed(8, hard)
	}
}

func largeLimits(t tester, l store.Limiter) {
	const third = math.MaxInt32 / 3
	g := &gauge{t, l, start()}
	lim := limit(math.MaxInt32, time.Hour)
	for i := range 3 {
		if d := g.take(of(third, lim)); !d.Allowed {
			g.Fatalf("%d times a third of %d: %+v, want it allowed", i+1, lim.Most, d)
		}
		g.now = g.now.Add(time.Minute)
	}
	if d := g.take(of(third, lim)); d.Allowed {
		g.Fatalf("four times a third of %d: %+v, want it refused", lim.Most, d)
	}
	if d := g.take(of(math.MaxInt32, lim)); d.Allowed {
		g.Fatalf("%d of %d that are taken: %+v, want it refused", lim.Most, lim.Most, d)
	}
	g.give(time.Time{}, of(third, lim))
	if d := g.take(of(third, lim)); !d.Allowed {
		g.Fatalf("a third of %d that was given back: %+v, want it allowed", lim.Most, d)
	}
}

func parkedByClocks(t tester, tr store.Tracker) {
	d := newDesk(t, tr)
	key := unique("route/")
	early := d.now
	d.now = early.Add(behind)
	d.match(key, "first", "")
	d.now = early
	d.match(key, "second", "")
	d.track(key, "message", "first", "second")

	ends := early.Add(behind + time.Hour)
	d.now = ends.Add(behind / 2)
	parallel(racers, func(i int) {
		for n := range bustle / racers {
			other := fmt.Sprint(key, " ", i, n%4) // a backend that is full may collect more
			_, err := d.Track(d.Context(), other, "message", d.now.Add(time.Hour), d.now)
			if err != nil && !errors.Is(err, store.ErrFull) {
				d.Errorf("Track: %v", err)
			}
		}
	})
	d.now = ends.Add(-behind / 2)
	d.match(key, "delivered", "message")
}
