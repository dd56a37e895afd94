package storetest

import (
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func lockCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"lock", "the charge that brings the subject's run to MaxFailures locks it, across challenges and keys", lock},
		{"locking charge wins",
			"the caller whose charge locks the subject may still compare, and Verified ends the lock",
			lockingChargeWins},
		{"subjects of a bucket", "a run, a lock, Verified and Forget are of one subject, whoever shares its bucket",
			subjectsOfBucket},
		{"verified ends run", "Verified ends the subject's run of failures", verifiedEndsRun},
		{"verified ends run at once",
			"a run that Verified has ended is over for a caller whose clock is a moment behind, too",
			verifiedEndsRunAtOnce},
		{"cancelled keeps run", "Cancelled does not end the subject's run of failures, nor its lock",
			cancelledKeepsRun},
		{"run outlives challenges", "the run of failures survives its challenges", runOutlives},
		{"run forgotten", "a run of failures is forgotten Lock after its latest failure, and not sooner", runForgotten},
		{"lock ends", "a subject is locked for Lock, and starts anew after", lockEnds},
		{"two policies", "the lock is that of the challenge whose charge locks; until then the longest memory counts",
			twoPolicies},
		{"no lock", "with MaxFailures 0 no number of failures locks", noLock},
		{"parallel failures",
			"parallel Attempts on several challenges of a subject get no more than MaxFailures, and no fewer",
			parallelFailures},
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
		for op, r := range map[string]*store.Record{"Get": f.get(id), "Attempt": f.attempt(id, store.ErrLocked)} {
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
	id, other := f.create(maxFailures(3)), f.create(maxFailures(3))
	f.attempt(id, nil) // the second failure since Verified
	f.attempt(other, nil)
	if r := f.finish(id, store.Verified, nil); !r.LockedUntil.IsZero() { // locked by the other
		f.Errorf("Finish as verified of a challenge that another has locked: LockedUntil %v, want zero", r.LockedUntil)
	}
	f.create()
}

// inBucket creates a challenge of a subject, in the bucket of the fixture's.
func (f *fixture) inBucket(subject string, edit ...func(*store.Record)) string {
	f.Helper()
	r := f.record(append(edit, func(r *store.Record) { r.Subject = subject })...)
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	return r.ID
}

func subjectsOfBucket(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, other := range []string{unique("subject-"), f.subject + "x", strings.ToLower(f.subject)} {
		id, others := f.create(maxFailures(3)), f.inBucket(other, maxFailures(3))
		f.attempt(others, nil)
		f.attempt(id, nil)
		if r := f.attempt(id, nil); !r.LockedUntil.IsZero() {
			f.Errorf("locked until %v by a failure of another subject", r.LockedUntil)
		}
		f.attempt(others, nil)
		f.finish(id, store.Verified, nil)
		if forgetter, ok := s.(store.Forgetter); ok {
			if err := forgetter.Forget(f.Context(), bucketOf(id), f.subject, f.now); err != nil {
				f.Fatalf("Forget: %v", err)
			}
		}
		if r := f.attempt(others, nil); r.LockedUntil.IsZero() {
			f.Errorf("Verified or Forget of a subject ended the run of another")
		}
		f.create()
	}
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
		{month, time.Minute},
		{time.Minute, month},
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
		_, err := f.Attempt(f.Context(), ids[next.Add(1)%int64(len(ids))], newToken(), f.now)
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
