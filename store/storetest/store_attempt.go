package storetest

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

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
	f.finish(id, store.Verified, nil) // who was charged last may still have been right
}

func parallelAttempts(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 4 {
		id := f.create(maxAttempts(5), maxFailures(0))
		charged := count(racers, func() error {
			_, err := f.Attempt(f.Context(), id, f.now)
			return err
		}, nil, f, store.ErrExhausted)
		if r := f.get(id); charged != 5 || r.Attempts != 5 {
			f.Errorf("%d of %d parallel Attempts were charged, Attempts %d; want 5, 5", charged, racers, r.Attempts)
		}
	}
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
		f.resend(id, store.ErrClosed)
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
			r, err := f.Finish(f.Context(), id, o, f.now)
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
}

func lock(t tester, s store.Store) {
	f := newFixture(t, s)
	first := f.create(maxFailures(3))
	second := f.create(maxFailures(3), func(r *store.Record) { r.Key = "k2" })
	if r := f.attempt(first, nil); !r.LockedUntil.IsZero() {
		f.Errorf("LockedUntil %v after the first failure", r.LockedUntil)
	}
	f.attempt(second, nil)
	f.now = f.now.Add(time.Second)
	until := f.now.Add(30 * time.Minute)
	if r := f.attempt(first, nil); !r.LockedUntil.Equal(until) || r.Attempts != 2 {
		f.Errorf("the charge that locks: Attempts %d, LockedUntil %v, want 2, %v", r.Attempts, r.LockedUntil, until)
	}
	f.now = f.now.Add(time.Minute)
	for _, id := range []string{first, second} {
		for op, r := range map[string]*store.Record{
			"Get": f.get(id), "Attempt": f.attempt(id, store.ErrLocked), "Resend": f.resend(id, store.ErrLocked),
		} {
			if !r.LockedUntil.Equal(until) {
				f.Errorf("%s: LockedUntil %v, want %v", op, r.LockedUntil, until)
			}
		}
	}
	r := f.record()
	if err := f.Create(f.Context(), r, f.now); !errors.Is(err, store.ErrLocked) || !r.LockedUntil.Equal(until) {
		f.Errorf("Create: error %v, LockedUntil %v, want ErrLocked, %v", err, r.LockedUntil, until)
	}
	if _, err := f.Get(f.Context(), r.ID, f.now); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("Get of what Create refused: error %v, want ErrNotFound", err)
	}
	f.subject = unique("another-")
	f.attempt(f.create(), nil)
}

func lockingChargeWins(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(maxFailures(2))
	f.attempt(id, nil)
	if r := f.attempt(id, nil); r.LockedUntil.IsZero() {
		f.Fatalf("the second of two failures did not lock")
	}
	if r := f.finish(id, store.Verified, nil); !r.LockedUntil.IsZero() {
		f.Errorf("Finish as verified: LockedUntil %v, want zero", r.LockedUntil)
	}
	f.attempt(f.create(maxFailures(2)), nil)
}

func verifiedEndsRun(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 3 {
		id := f.create(maxFailures(3))
		f.attempt(id, nil)
		f.attempt(id, nil)
		f.finish(id, store.Verified, nil)
	}
	id := f.create(maxFailures(3))
	f.attempt(id, nil)
	if r := f.attempt(id, nil); !r.LockedUntil.IsZero() {
		f.Errorf("locked until %v by failures from before a success", r.LockedUntil)
	}
}

func verifiedEndsRunAtOnce(t tester, s store.Store) {
	f := newFixture(t, s)
	id, other := f.create(maxFailures(2)), f.create(maxFailures(2))
	f.attempt(id, nil)
	behind := f.now
	f.now = f.now.Add(time.Millisecond)
	f.attempt(id, nil) // and locks the subject
	f.finish(id, store.Verified, nil)
	f.now = behind
	if r := f.attempt(other, nil); !r.LockedUntil.IsZero() {
		f.Errorf("locked until %v by failures from before a success", r.LockedUntil)
	}
}

func cancelledKeepsRun(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(maxFailures(3))
	f.attempt(id, nil)
	f.attempt(id, nil)
	f.finish(id, store.Cancelled, nil)
	id, other := f.create(maxFailures(3)), f.create(maxFailures(3))
	if r := f.attempt(id, nil); r.LockedUntil.IsZero() {
		f.Fatalf("the third failure did not lock after a cancel")
	}
	if r := f.finish(id, store.Cancelled, nil); r.LockedUntil.IsZero() {
		f.Errorf("Finish as cancelled: LockedUntil zero, want the lock's end")
	}
	f.attempt(other, store.ErrLocked)
	f.refused(store.ErrLocked)
}

func runOutlives(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 2 {
		id := f.create(maxFailures(3), expires(f.now.Add(time.Minute)))
		f.attempt(id, nil)
		f.now = f.now.Add(10 * time.Minute)
	}
	if r := f.attempt(f.create(maxFailures(3)), nil); r.LockedUntil.IsZero() {
		f.Errorf("the third failure, on a third challenge, did not lock")
	}
	f.refused(store.ErrLocked)
}

func runForgotten(t tester, s store.Store) {
	f := newFixture(t, s)
	long := expires(f.now.Add(2 * time.Hour))
	remembered, forgotten := f.subject, unique("subject-")
	for _, c := range []struct {
		subject string
		after   time.Duration
		locks   bool
	}{
		{remembered, 30*time.Minute - time.Microsecond, true},
		{forgotten, 30 * time.Minute, false},
	} {
		f.subject = c.subject
		id := f.create(maxFailures(3), long)
		f.attempt(id, nil)
		f.now = f.now.Add(time.Minute)
		f.attempt(id, nil) // the latest failure counts, not the first
		f.now = f.now.Add(c.after)
		if r := f.attempt(id, nil); r.LockedUntil.IsZero() == c.locks {
			f.Errorf("a third failure %v after the second, with Lock 30m: LockedUntil %v", c.after, r.LockedUntil)
		}
	}
}

func lockEnds(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(maxFailures(2), expires(f.now.Add(2*time.Hour)))
	f.attempt(id, nil)
	until := f.attempt(id, nil).LockedUntil
	f.now = until.Add(-time.Microsecond)
	f.attempt(id, store.ErrLocked)
	f.refused(store.ErrLocked)
	f.now = until
	if r := f.get(id); !r.LockedUntil.IsZero() {
		f.Errorf("Get when the lock has ended: LockedUntil %v, want zero", r.LockedUntil)
	}
	if r := f.attempt(id, nil); !r.LockedUntil.IsZero() {
		f.Errorf("the first failure after a lock locks again, until %v", r.LockedUntil)
	}
	f.create()
}

func twoPolicies(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, c := range []struct{ first, locking time.Duration }{
		{24 * time.Hour, time.Minute},
		{time.Minute, 24 * time.Hour},
	} {
		f.subject = unique("subject-")
		first := f.create(maxFailures(10), lockFor(c.first))
		locking := f.create(maxFailures(2), lockFor(c.locking))
		f.attempt(first, nil)
		f.now = f.now.Add(time.Second)
		until := f.now.Add(c.locking)
		if r := f.attempt(locking, nil); !r.LockedUntil.Equal(until) {
			f.Errorf("locked until %v after a failure under Lock %v, want now + %v, %v", r.LockedUntil, c.first,
				c.locking, until)
		}
		if r := f.attempt(first, store.ErrLocked); !r.LockedUntil.Equal(until) {
			f.Errorf("with ErrLocked: LockedUntil %v, want %v", r.LockedUntil, until)
		}
		f.now = until
		if r := f.attempt(f.create(maxFailures(2)), nil); !r.LockedUntil.IsZero() {
			f.Errorf("the first failure after a lock locks again, until %v", r.LockedUntil)
		}
	}
	f.subject = unique("subject-")
	f.attempt(f.create(maxFailures(10), lockFor(24*time.Hour)), nil)
	f.attempt(f.create(maxFailures(3), lockFor(time.Minute)), nil)
	f.now = f.now.Add(24*time.Hour - time.Microsecond)
	r := f.attempt(f.create(maxFailures(3), lockFor(time.Minute)), nil)
	if !r.LockedUntil.Equal(f.now.Add(time.Minute)) {
		f.Errorf("the third failure, with the first remembered for 24h: LockedUntil %v, want %v", r.LockedUntil,
			f.now.Add(time.Minute))
	}
}

func noLock(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create(maxAttempts(50), maxFailures(0))
	for range 50 {
		if r := f.attempt(id, nil); !r.LockedUntil.IsZero() {
			f.Fatalf("locked until %v, want no lock", r.LockedUntil)
		}
	}
	f.create(maxFailures(0))
}

func parallelFailures(t tester, s store.Store) {
	f := newFixture(t, s)
	var ids [8]string
	for i := range ids {
		ids[i] = f.create(maxAttempts(racers), maxFailures(10))
	}
	var next atomic.Int64
	charged := count(racers, func() error {
		_, err := f.Attempt(f.Context(), ids[next.Add(1)%int64(len(ids))], f.now)
		return err
	}, nil, f, store.ErrLocked)
	sum := 0
	for _, id := range ids {
		sum += f.get(id).Attempts
	}
	if charged != 10 || sum != 10 {
		f.Errorf("%d of %d parallel Attempts were charged, Attempts %d in all; want 10, 10", charged, racers, sum)
	}
}

func errorOrder(t tester, s store.Store) {
	f := newFixture(t, s)
	once := func(r *store.Record) { r.Waits = nil }
	closed := f.create(maxAttempts(1), maxFailures(2), once)
	exhausted := f.create(maxAttempts(1), maxFailures(2), once)
	soon := f.create(maxAttempts(1), maxFailures(2))
	f.attempt(closed, nil)
	f.finish(closed, store.Cancelled, nil)
	f.attempt(closed, store.ErrClosed) // exhausted too
	f.resend(closed, store.ErrClosed)
	f.resend(exhausted, store.ErrExhausted)
	f.attempt(exhausted, nil) // and locks the subject
	f.attempt(closed, store.ErrClosed)
	f.resend(closed, store.ErrClosed)
	f.attempt(exhausted, store.ErrLocked)
	f.resend(exhausted, store.ErrLocked)
	f.resend(soon, store.ErrLocked)
	again := f.record(func(r *store.Record) { r.ID = soon })
	if err := f.Create(f.Context(), again, f.now); !errors.Is(err, store.ErrExists) {
		f.Errorf("Create of a live ID of a locked subject: error %v, want ErrExists", err)
	}
	f.update(closed, 7, "", store.ErrConflict)
	f.update(closed, 0, "the lock is nothing to an Update", nil)
	f.update(soon, 0, "of an open challenge too", nil)
	f.now = f.now.Add(time.Hour) // past Expires and the lock
	for _, id := range []string{closed, exhausted, soon} {
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
	unchanged(other, func() { f.resend(other, store.ErrTooSoon) })
	unchanged(other, func() { f.update(other, 9, "conflict", store.ErrConflict) })
	f.attempt(other, nil)
	if r := f.attempt(other, nil); !r.LockedUntil.IsZero() { // the third charged of 4
		f.Fatalf("refused Attempts were counted as failures: locked until %v", r.LockedUntil)
	}
	until := f.attempt(other, nil).LockedUntil
	f.now = f.now.Add(time.Second)
	unchanged(other, func() { f.attempt(other, store.ErrLocked) })
	unchanged(other, func() { f.resend(other, store.ErrLocked) })
	unchanged(other, func() { f.refused(store.ErrLocked) })
	if r := f.get(other); !r.LockedUntil.Equal(until) {
		f.Errorf("refusals moved the lock's end from %v to %v", until, r.LockedUntil)
	}
	f.finish(other, store.Cancelled, nil)
	unchanged(other, func() { f.attempt(other, store.ErrClosed) })
	unchanged(other, func() { f.resend(other, store.ErrClosed) })
	unchanged(other, func() { f.finish(other, store.Verified, store.ErrClosed) })
	if until := f.get(exhausted).LockedUntil; until.IsZero() {
		f.Errorf("a Finish that lost ended the lock")
	}
}
