package storetest

import (
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// The cap of NIST SP 800-63B-4 §3.2.2 on consecutive failures.
func runCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"cap outlives locks", "MaxRun failures without a success lock the subject, however many locks have ended",
			capOutlivesLocks},
		{"cap locks for RunLife", "the lock of MaxRun lasts for RunLife, and the subject starts anew after", capLocks},
		{"capping charge wins", "the caller whose charge reaches MaxRun may still compare, and Verified ends the lock",
			cappingChargeWins},
		{"verified ends count", "Verified ends the count for MaxRun, of its own subject only", verifiedEndsCount},
		{"cancelled keeps count", "neither Cancelled nor CancelAll ends the count for MaxRun", cancelledKeepsCount},
		{"count forgotten", "the count for MaxRun is forgotten RunLife after the latest failure, and not sooner",
			countForgotten},
		{"repeat not counted", "an Attempt that is repeated is counted once for MaxRun", repeatNotCounted},
		{"forget", "Forget ends the subject's run, count and lock, and keeps the marks of CancelAll", forget},
		{"no cap", "with MaxRun 0 no number of failures locks for longer than Lock", noCap},
		{"cap and Lock", "the count is kept as long as the run, and the lock lasts for the longer of RunLife and Lock",
			capAndLock},
		{"two caps", "MaxRun and RunLife are those of the challenge that is charged", twoCaps},
		{"parallel cap", "parallel Attempts on several challenges of a subject get no more than MaxRun", parallelCap},
	}
}

// capped gives a record a cap on its subject's failures.
func capped(n int, life time.Duration) func(*store.Record) {
	return func(r *store.Record) { r.MaxRun, r.RunLife = n, life }
}

// month is more milliseconds than 31 bits count.
const month = 30 * 24 * time.Hour

// fail charges n failures, three on each challenge, and ends each lock of ten
// failures by waiting. It returns how many were charged before the subject was
// locked for longer.
func (f *fixture) fail(n int, change ...func(*store.Record)) (charged int) {
	f.Helper()
	change = append([]func(*store.Record){maxFailures(10), maxAttempts(3)}, change...)
	for charged < n {
		id := f.create(append(change, expires(f.now.Add(time.Minute)))...)
		for range min(3, n-charged) {
			r := f.attempt(id, nil)
			charged++
			if wait := r.LockedUntil.Sub(f.now); wait > time.Hour {
				return charged
			} else if wait > 0 {
				f.now = f.now.Add(wait)
				break
			}
		}
	}
	return charged
}

func capOutlivesLocks(t tester, s store.Store) {
	f := newFixture(t, s)
	if n := f.fail(1000, capped(100, month)); n != 100 {
		f.Errorf("%d failures in a row were charged, want 100", n)
	}
	f.refused(store.ErrLocked)
	f.now = f.now.Add(29 * 24 * time.Hour)
	f.refused(store.ErrLocked)
	f.subject = unique("another-")
	f.attempt(f.create(), nil)
}

func capLocks(t tester, s store.Store) {
	f := newFixture(t, s)
	f.fail(24, capped(25, month))
	until := f.now.Add(month)
	if r := f.attempt(f.create(capped(25, month)), nil); !r.LockedUntil.Equal(until) {
		f.Errorf("the charge that reaches MaxRun: LockedUntil %v, want %v", r.LockedUntil, until)
	}
	f.now = until.Add(-time.Microsecond)
	f.refused(store.ErrLocked)
	f.now = until
	if n := f.fail(1000, capped(25, month)); n != 25 {
		f.Errorf("%d failures were charged after the lock, want 25", n)
	}
}

func cappingChargeWins(t tester, s store.Store) {
	f := newFixture(t, s)
	f.fail(19, capped(20, month))
	id := f.create(capped(20, month))
	if r := f.attempt(id, nil); r.LockedUntil.IsZero() {
		f.Fatalf("the charge that reaches MaxRun did not lock")
	}
	if r := f.finish(id, store.Verified, nil); !r.LockedUntil.IsZero() {
		f.Errorf("Finish as verified: LockedUntil %v, want zero", r.LockedUntil)
	}
	if n := f.fail(1000, capped(20, month)); n != 20 {
		f.Errorf("%d failures were charged after a success, want 20", n)
	}
}

func verifiedEndsCount(t tester, s store.Store) {
	f := newFixture(t, s)
	victim := f.subject
	f.fail(15, capped(20, month))
	f.subject = unique("another-")
	f.fail(5, capped(20, month))
	f.finish(f.create(capped(20, month)), store.Verified, nil)
	if n := f.fail(1000, capped(20, month)); n != 20 {
		f.Errorf("%d failures were charged after a success, want 20", n)
	}
	f.subject = victim
	if n := f.fail(1000, capped(20, month)); n != 5 {
		f.Errorf("%d failures were charged after another subject's success, want the 5 that were left", n)
	}
}

func cancelledKeepsCount(t tester, s store.Store) {
	f := newFixture(t, s)
	f.fail(8, capped(20, month))
	f.finish(f.create(capped(20, month)), store.Cancelled, nil)
	f.cancelAll("")
	f.now = f.now.Add(time.Second)
	f.finish(f.create(capped(20, month)), store.Cancelled, nil)
	f.cancelAll("group")
	f.now = f.now.Add(time.Second)
	if n := f.fail(1000, capped(20, month)); n != 12 {
		f.Errorf("%d failures were charged, want the 12 that were left", n)
	}
}

func countForgotten(t tester, s store.Store) {
	f := newFixture(t, s)
	kept, forgotten := f.subject, unique("subject-")
	for _, c := range []struct {
		subject string
		after   time.Duration
		want    int
	}{{kept, month - time.Microsecond, 5}, {forgotten, month, 20}} {
		f.subject = c.subject
		f.fail(14, capped(20, month))
		f.now = f.now.Add(time.Hour)
		f.fail(1, capped(20, month)) // the latest failure counts, not the first
		f.now = f.now.Add(c.after)
		if n := f.fail(1000, capped(20, month)); n != c.want {
			f.Errorf("%d failures were charged %v after 15 of 20, with RunLife a month; want %d", n, c.after, c.want)
		}
	}
}

func repeatNotCounted(t tester, s store.Store) {
	f := newFixture(t, s)
	id, token := f.create(capped(20, month)), newToken()
	for range 50 {
		f.attemptAs(id, token, nil)
	}
	if n := f.fail(1000, capped(20, month)); n != 19 {
		f.Errorf("%d failures were charged after one that was repeated, want 19", n)
	}
}

// forget is for a store.Forgetter.
func forget(t tester, s store.Store) {
	forgetter, ok := s.(store.Forgetter)
	if !ok {
		t.Logf("not tested: the store is no Forgetter")
		return
	}
	f := newFixture(t, s)
	end := func() {
		f.Helper()
		if err := forgetter.Forget(f.Context(), bucketOf(newID(f.subject)), f.subject, f.now); err != nil {
			f.Fatalf("Forget: %v", err)
		}
	}
	end() // of nothing
	for range 2 {
		f.fail(20, capped(20, month))
		f.refused(store.ErrLocked)
		end()
		open := f.create(capped(20, month))
		f.now = f.now.Add(time.Second)
		f.cancelAll("")
		f.now = f.now.Add(time.Second)
		f.fail(9, capped(20, month))
		end()
		f.outcome(open, "after CancelAll and Forget", store.Cancelled)
	}
	if n := f.fail(1000, capped(20, month)); n != 20 {
		f.Errorf("%d failures were charged after Forget, want 20", n)
	}
}

func noCap(t tester, s store.Store) {
	f := newFixture(t, s)
	if n := f.fail(150, capped(0, 0)); n != 150 {
		f.Errorf("locked for long after %d failures, want no cap", n)
	}
}

func parallelCap(t tester, s store.Store) {
	f := newFixture(t, s)
	var ids [8]string
	for i := range ids {
		ids[i] = f.create(maxAttempts(racers), maxFailures(0), capped(10, month))
	}
	charged := count(racers, func() error {
		_, err := f.Attempt(f.Context(), ids[int(newToken()%8)], newToken(), f.now)
		return err
	}, nil, f, store.ErrLocked)
	if charged != 10 {
		f.Errorf("%d of %d parallel Attempts were charged, want 10: each must see the failures of all before it, "+
			"also if the subject has no failure yet", charged, racers)
	}
}

func capAndLock(t tester, s store.Store) {
	f := newFixture(t, s)
	policy := func(r *store.Record) { // a RunLife under Lock
		r.MaxFailures, r.Lock, r.MaxRun, r.RunLife = 0, 30*time.Minute, 3, 10*time.Minute
	}
	for n := 1; n <= 3; n++ {
		r := f.attempt(f.create(policy), nil)
		if until := f.now.Add(30 * time.Minute); n == 3 && !r.LockedUntil.Equal(until) {
			f.Errorf("the third failure of three in 40m, with RunLife 10m and Lock 30m: LockedUntil %v, want %v",
				r.LockedUntil, until)
		}
		f.now = f.now.Add(20 * time.Minute)
	}
}

func twoCaps(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, c := range []struct{ first, charged int }{{1000, 4}, {4, 1000}} {
		f.subject = unique("subject-")
		first, charged := f.create(capped(c.first, month)), f.create(capped(c.charged, time.Hour))
		for range 3 {
			f.attempt(first, nil)
		}
		until := time.Time{}
		if c.charged == 4 {
			until = f.now.Add(time.Hour)
		}
		if r := f.attempt(charged, nil); !r.LockedUntil.Equal(until) {
			f.Errorf("the fourth failure, of MaxRun %d after others of MaxRun %d: LockedUntil %v, want %v",
				c.charged, c.first, r.LockedUntil, until)
		}
	}
	f.subject = unique("subject-")
	f.attempt(f.create(capped(1000, month)), nil)
	f.attempt(f.create(capped(2, time.Hour)), nil) // and locks the subject
	f.now = f.now.Add(time.Hour)
	if r := f.attempt(f.create(capped(2, time.Hour)), nil); !r.LockedUntil.IsZero() {
		f.Errorf("the first failure after a lock by MaxRun locks again, until %v: the count begins anew, "+
			"although an earlier failure had a longer RunLife", r.LockedUntil)
	}
}
