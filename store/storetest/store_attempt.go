package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func attemptCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"attempts", "Attempt charges one attempt, returns the record as charged, and stops at MaxAttempts", attempts},
		{"many attempts", "the numbers of attempts, tokens and failures have room for hundreds", manyAttempts},
		{"parallel attempts", "64 parallel Attempts get no more than MaxAttempts, and no fewer", parallelAttempts},
		{"finish", "a closed challenge stays closed as it was", finish},
		{"parallel finishes", "of any number of Finishes exactly one gets a nil error", parallelFinishes},
		{"error order", "of several reasons to refuse, the first in the documented order is given", errorOrder},
		{"errors charge nothing", "if an error is returned, nothing is charged or changed", errorsChargeNothing},
	}
}

// racers is how many goroutines contend for one thing.
const racers = 64

// count calls f from n goroutines at one time and returns how many errors are
// want. All others must be one of allowed.
func count(n int, f func() error, want error, t tester, allowed ...error) int {
	var got atomic.Int64
	parallel(n, func(int) {
		err := f()
		if errors.Is(err, want) {
			got.Add(1)
			return
		}
		for _, a := range allowed {
			if errors.Is(err, a) {
				return
			}
		}
		t.Errorf("error %v, want %v or %v", err, want, allowed)
	})
	return int(got.Load())
}

func attempts(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(maxAttempts(3))
	for want := 1; want <= 3; want++ {
		if r := f.attempt(id, nil); r.Attempts != want {
			f.Errorf("Attempt %d returned Attempts %d", want, r.Attempts)
		}
		if r := f.get(id); r.Attempts != want {
			f.Errorf("Get after Attempt %d: Attempts %d", want, r.Attempts)
		}
	}
	for range 3 {
		if r := f.attempt(id, store.ErrExhausted); r.Attempts != 3 {
			f.Errorf("with ErrExhausted: Attempts %d, want 3", r.Attempts)
		}
	}
	f.finish(id, store.Verified, nil) // the caller that was charged last may compare
}

func manyAttempts(t tester, s store.Store) {
	const many = 300 // more than an octet counts
	f := newFixture(t, s)
	for what, policy := range map[string]func(*store.Record){
		"MaxAttempts": func(r *store.Record) { r.MaxFailures, r.MaxRun = 0, 0 },
		"MaxFailures": maxFailures(many),
		"MaxRun":      func(r *store.Record) { r.MaxFailures, r.MaxRun, r.RunLife = 0, many, month },
	} {
		f.subject = unique("subject-")
		then := store.ErrLocked
		if what == "MaxAttempts" {
			then = store.ErrExhausted
		}
		id, first := f.create(maxAttempts(many), policy), newToken()
		for n := 1; n <= many; n++ {
			token := newToken()
			if n == 1 {
				token = first
			}
			if r := f.attemptAs(id, token, nil); r.Attempts != n || !r.LockedUntil.IsZero() && n < many {
				f.Fatalf("Attempt %d, and %s %d: Attempts %d, LockedUntil %v", n, what, many, r.Attempts, r.LockedUntil)
			}
		}
		f.attempt(id, then)
		if r := f.attemptAs(id, first, nil); r.Attempts != 1 {
			f.Errorf("the first of %d Attempts, repeated: Attempts %d, want 1", many, r.Attempts)
		}
		f.finish(id, store.Verified, nil)
	}
}

func parallelAttempts(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 4 {
		id := f.create(maxAttempts(5), maxFailures(0))
		charged := count(racers, func() error {
			_, err := f.Attempt(f.Context(), id, newToken(), f.now)
			return err
		}, nil, f, store.ErrExhausted)
		if r := f.get(id); charged != 5 || r.Attempts != 5 {
			f.Errorf("%d of %d parallel Attempts were charged, Attempts %d; want 5, 5", charged, racers, r.Attempts)
		}
	}
	f.contend("Attempt of the last attempt", store.ErrExhausted, func(id string, _ int) error {
		_, err := f.Attempt(f.Context(), id, newToken(), f.now)
		return err
	}, maxAttempts(1), maxFailures(0), capped(0, 0))
}

// contend has two calls contend for each of many challenges.
func (f *fixture) contend(what string, refusal error, call func(id string, i int) error, edit ...func(*store.Record)) {
	f.Helper()
	run := unique("")
	id := func(round int) string { return bucketOf(newID(f.subject)) + "-" + fmt.Sprint(run, round) }
	duel(f, func(round, i int) {
		if i == 0 {
			f.create(append(edit, func(r *store.Record) { r.ID = id(round) })...)
		}
	})
	oneWins(f, what, func(round, i int) (bool, bool) {
		err := call(id(round), i)
		return err == nil, errors.Is(err, refusal)
	})
}

func finish(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, o := range []store.Outcome{store.Verified, store.Cancelled} {
		id := f.create()
		want := f.get(id)
		want.Outcome = o
		if d := diff(f.finish(id, o, nil), want); d != "" {
			f.Errorf("Finish as %v:%s", o, d)
		}
		for _, later := range []store.Outcome{store.Verified, store.Cancelled} {
			if r := f.finish(id, later, store.ErrClosed); r.Outcome != o {
				f.Errorf("Finish as %v of a %v challenge: Outcome %v", later, o, r.Outcome)
			}
		}
		f.attempt(id, store.ErrClosed)
		if d := diff(f.get(id), want); d != "" {
			f.Errorf("Get of a %v challenge:%s", o, d)
		}
	}
}

func parallelFinishes(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 8 {
		id := f.create()
		var won [3]atomic.Int64
		parallel(racers, func(i int) {
			o := store.Verified
			if i%2 == 1 {
				o = store.Cancelled
			}
			r, err := f.Finish(f.Context(), id, o, newToken(), f.now)
			switch {
			case err == nil:
				won[o].Add(1)
			case !errors.Is(err, store.ErrClosed) || r == nil || r.Outcome == store.Open:
				f.Errorf("a Finish that lost: %v, error %v", r, err)
			}
		})
		verified, cancelled := won[store.Verified].Load(), won[store.Cancelled].Load()
		if verified+cancelled != 1 {
			f.Fatalf("%d of %d parallel Finishes won, want 1", verified+cancelled, racers)
		}
		if r := f.get(id); won[r.Outcome].Load() != 1 {
			f.Errorf("Outcome %v is not the winner's", r.Outcome)
		}
	}
	f.contend("Finish", store.ErrClosed, func(id string, i int) error {
		_, err := f.Finish(f.Context(), id, []store.Outcome{store.Verified, store.Cancelled}[i], newToken(), f.now)
		return err
	})
}

func errorOrder(t tester, s store.Store) {
	f := newFixture(t, s)
	cancelled := f.create(group("another"), maxAttempts(1), maxFailures(3))
	closed, open := f.create(maxAttempts(1), maxFailures(3)), f.create()
	exhausted := f.create(maxAttempts(1), maxFailures(3))
	f.attempt(cancelled, nil)
	f.attempt(closed, nil)
	f.finish(closed, store.Cancelled, nil)
	f.now = f.now.Add(time.Second)
	f.cancelAll("another")
	f.attempt(closed, store.ErrClosed) // exhausted too
	f.attempt(cancelled, store.ErrClosed)
	f.attempt(exhausted, nil) // and locks the subject
	f.attempt(closed, store.ErrClosed)
	f.attempt(cancelled, store.ErrClosed)
	f.attempt(exhausted, store.ErrLocked)
	again := f.record(func(r *store.Record) { r.ID = open })
	if err := f.Create(f.Context(), again, f.now); !errors.Is(err, store.ErrExists) {
		f.Errorf("Create of a live ID of a locked subject: error %v, want ErrExists", err)
	}
	f.update(closed, 7, "", store.ErrConflict)
	f.update(closed, 0, "the lock is nothing to an Update", nil)
	f.update(open, 0, "of an open challenge too", nil)
	f.now = f.now.Add(time.Hour) // past Expires and the lock
	for _, id := range []string{cancelled, closed, exhausted, open} {
		f.all(id, func(op string, _ *store.Record, err error) {
			if !errors.Is(err, store.ErrExpired) && !errors.Is(err, store.ErrNotFound) {
				f.Errorf("%s of an expired challenge: error %v, want ErrExpired or ErrNotFound", op, err)
			}
		})
	}
}

func errorsChargeNothing(t tester, s store.Store) {
	f := newFixture(t, s)
	exhausted, other := f.create(maxAttempts(1), maxFailures(4)), f.create(maxFailures(4))
	f.attempt(exhausted, nil)
	unchanged := func(id string, refuse func()) {
		f.Helper()
		before := f.get(id)
		for range 3 {
			refuse()
		}
		if d := diff(f.get(id), before); d != "" {
			f.Errorf("Get after refusals:%s", d)
		}
	}
	unchanged(exhausted, func() { f.attempt(exhausted, store.ErrExhausted) })
	unchanged(other, func() { f.update(other, 9, "conflict", store.ErrConflict) })
	f.attempt(other, nil)
	if r := f.attempt(other, nil); !r.LockedUntil.IsZero() { // the third charged of 4
		f.Fatalf("refused Attempts were counted as failures: locked until %v", r.LockedUntil)
	}
	until := f.attempt(other, nil).LockedUntil
	f.now = f.now.Add(time.Second)
	unchanged(other, func() { f.attempt(other, store.ErrLocked) })
	unchanged(other, func() { f.refused(store.ErrLocked) })
	if r := f.get(other); !r.LockedUntil.Equal(until) {
		f.Errorf("refusals moved the lock's end from %v to %v", until, r.LockedUntil)
	}
	f.finish(other, store.Cancelled, nil)
	unchanged(other, func() { f.attempt(other, store.ErrClosed) })
	unchanged(other, func() { f.finish(other, store.Verified, store.ErrClosed) })
	if until := f.get(exhausted).LockedUntil; until.IsZero() {
		f.Errorf("a Finish that lost ended the lock")
	}
	f.expiredChargesNothing()
}

// expiredChargesNothing has calls on an expired challenge come between the failures of others.
func (f *fixture) expiredChargesNothing() {
	f.Helper()
	f.subject = unique("subject-")
	id, last := f.create(maxFailures(3), expires(f.now.Add(time.Minute))), f.create(maxFailures(3))
	f.attempt(id, nil)
	f.now = f.now.Add(time.Minute)
	none := func(string, *store.Record, error) {}
	f.all(id, none)
	if r := f.attempt(last, nil); !r.LockedUntil.IsZero() {
		f.Errorf("an Attempt on an expired challenge was counted as a failure: locked until %v", r.LockedUntil)
	}
	f.all(id, none)
	if r := f.attempt(last, nil); r.LockedUntil.IsZero() {
		f.Errorf("a Finish of an expired challenge ended the run")
	}
}
