package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func cancelCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"cancel all",
			"what was created before and is open is Cancelled: Attempt and Finish return ErrClosed, Update works",
			cancelAll},
		{"cancel all created before",
			"CancelAll goes by Created: also for a Create that arrives later, and not for what was created at its now",
			cancelAllCreatedBefore},
		{"cancel all of a group", "a group leaves the others alone, and no group takes all", cancelAllOfGroup},
		{"cancel all of a subject", "other subjects are left alone, in the same bucket too", cancelAllOfSubject},
		{"cancel all spares", "what was Verified stays Verified, and its Finish may be repeated", cancelAllSpares},
		{"cancel all repeated", "a CancelAll that is repeated, or arrives after a later one, undoes and adds nothing",
			cancelAllRepeated},
		{"cancel all keeps run",
			"CancelAll changes neither the run of failures nor the lock, nor for how long they are kept",
			cancelAllKeepsRun},
		{"cancel all remembered",
			"CancelAll holds until its until, whether the subject has a run, loses it, or is verified",
			cancelAllRemembered},
		{"cancel all a moment behind", "what CancelAll has closed is closed for a caller whose clock is behind, too",
			cancelAllBehind},
		{"parallel cancels", "of parallel CancelAlls none is lost", parallelCancels},
		{"cancel all or finish", "a challenge is Verified if its Finish is nil, and else Cancelled", cancelAllOrFinish},
	}
}

func cancelAll(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, run := range []bool{false, true} {
		f.subject = unique("subject-")
		r, charged := f.record(), newToken()
		if err := f.Create(f.Context(), r, f.now); err != nil {
			f.Fatalf("Create: %v", err)
		}
		if run {
			f.attemptAs(r.ID, charged, nil)
		}
		want := f.get(r.ID)
		f.now = f.now.Add(time.Second)
		f.cancelAll("")
		want.Outcome = store.Cancelled
		f.reads("Get", f.get(r.ID), want)
		for range 2 {
			f.reads("Attempt", f.attempt(r.ID, store.ErrClosed), want)
		}
		if run {
			f.reads("a repeated Attempt", f.attemptAs(r.ID, charged, nil), want)
		}
		for _, o := range []store.Outcome{store.Verified, store.Cancelled} {
			token := newToken()
			for range 2 {
				f.reads("Finish", f.finishAs(r.ID, o, token, store.ErrClosed), want)
			}
		}
		again := *r
		again.Salt = bytes.Clone(r.Salt)
		if err := f.Create(f.Context(), &again, f.now); err != nil {
			f.Errorf("a repeated Create: %v", err)
		}
		f.reads("Update of another revision", f.update(r.ID, 7, "", store.ErrConflict), want)
		want.Delivery, want.Revision = []byte("recalled"), 1
		f.reads("Update", f.update(r.ID, 0, "recalled", nil), want)
		f.reads("Get after Update", f.get(r.ID), want)
		id := f.create()
		f.attempt(id, nil)
		f.finish(id, store.Verified, nil)
	}
}

func cancelAllCreatedBefore(t tester, s store.Store) {
	f := newFixture(t, s)
	at := f.now.Add(time.Second)
	before := f.create(created(at.Add(-time.Microsecond)))
	same, after := f.create(created(at)), f.create(created(at.Add(time.Microsecond)))
	f.now = at
	f.cancelAll("")
	late := f.create(created(at.Add(-time.Microsecond)))
	newer := f.create()
	f.outcome(before, "created 1µs before", store.Cancelled)
	f.outcome(late, "created 1µs before, by a Create that arrives later", store.Cancelled)
	f.attempt(late, store.ErrClosed)
	for what, id := range map[string]string{
		"at its now": same, "1µs after": after, "at its now, by a later Create": newer,
	} {
		f.outcome(id, "created "+what, store.Open)
		f.attempt(id, nil)
		f.finish(id, store.Verified, nil)
	}
}

func cancelAllOfGroup(t tester, s store.Store) {
	f := newFixture(t, s)
	groups := []string{"\x00 16 octets, \r\n\xff", "\x00 16 octets, \r\n\xfe", "\x00 16 octets, \r\n", "g", ""}
	check := func(ids map[string]string, what string, cancelled ...string) {
		f.Helper()
		want := map[string]store.Outcome{}
		for _, g := range cancelled {
			want[g] = store.Cancelled
		}
		for g, id := range ids {
			f.outcome(id, fmt.Sprintf("group %q, %s", g, what), want[g])
		}
	}
	create := func() map[string]string {
		f.Helper()
		ids := map[string]string{}
		for _, g := range groups {
			ids[g] = f.create(group(g))
		}
		f.now = f.now.Add(time.Second)
		return ids
	}
	first := create()
	f.cancelAll(groups[0])
	check(first, "after CancelAll of the first", groups[0])
	second := create()
	f.cancelAll(groups[2])
	check(first, "after CancelAll of the first and the third", groups[0], groups[2])
	check(second, "created between", groups[2])
	f.cancelAll("")
	check(first, "after CancelAll of all", groups...)
	check(second, "after CancelAll of all", groups...)
	third := create()
	check(third, "created after CancelAll of all")
	f.cancelAll(groups[3])
	check(third, "after CancelAll of the fourth", groups[3])
	check(first, "after CancelAll of all and of the fourth", groups...)
}

func cancelAllOfSubject(t tester, s store.Store) {
	f := newFixture(t, s)
	own := f.create()
	others := []string{f.inBucket(unique("subject-")), f.inBucket(f.subject + "x"),
		f.inBucket(f.subject[:len(f.subject)-1]), f.inBucket(strings.ToLower(f.subject))}
	f.attempt(others[0], nil)
	f.now = f.now.Add(time.Second)
	f.cancelAll("")
	f.cancelAll("\x00a group\xff")
	f.outcome(own, "of the subject", store.Cancelled)
	for _, id := range others {
		f.outcome(id, "of another subject", store.Open)
		f.attempt(id, nil)
		f.finish(id, store.Verified, nil)
	}
}

func cancelAllSpares(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, o := range []store.Outcome{store.Verified, store.Cancelled} {
		id, won := f.create(), newToken()
		f.attempt(id, nil)
		f.finishAs(id, o, won, nil)
		want := f.get(id)
		f.now = f.now.Add(time.Second)
		f.cancelAll("")
		f.reads("Get", f.get(id), want)
		f.reads("Finish, repeated", f.finishAs(id, o, won, nil), want)
		f.reads("Finish of another", f.finish(id, o, store.ErrClosed), want)
		f.reads("Attempt", f.attempt(id, store.ErrClosed), want)
	}
}

func cancelAllRepeated(t tester, s store.Store) {
	f := newFixture(t, s)
	for _, g := range []string{"", "\x00a group\xff"} {
		f.subject = unique("subject-")
		until := f.now.Add(30 * time.Minute)
		old, unread := f.create(expires(until)), f.create(expires(until))
		begin := f.now
		f.now = begin.Add(2 * time.Second)
		f.cancelUntil(g, until)
		newer := f.create()
		f.cancelUntil(g, until)
		f.outcome(newer, "created at the now of a CancelAll that was repeated", store.Open)
		f.now = begin.Add(time.Second)
		between := f.create() // arrives late, as the next does
		f.now = begin.Add(time.Millisecond)
		f.cancelUntil(g, until)
		f.now = begin.Add(3 * time.Second)
		f.outcome(newer, "created after both", store.Open)
		f.outcome(old, "created before both", store.Cancelled)
		f.outcome(between, "created before the later of two that came out of order", store.Cancelled)
		f.cancelUntil(g, f.now.Add(5*time.Minute))
		f.outcome(newer, "created before the third", store.Cancelled)
		f.now = until.Add(-time.Microsecond)
		f.outcome(old, "after a third CancelAll, of a shorter until", store.Cancelled)
		f.outcome(unread, "after a third CancelAll, of a shorter until, and read for the first time", store.Cancelled)
		f.attempt(old, store.ErrClosed)
	}
}

func cancelAllKeepsRun(t tester, s store.Store) {
	f := newFixture(t, s)
	// One CancelAll ends before the run, another after it.
	for _, kept := range []time.Duration{time.Minute, 2 * time.Hour} {
		for _, after := range []time.Duration{30*time.Minute - time.Microsecond, 30 * time.Minute} {
			f.subject = unique("subject-")
			id := f.create(maxFailures(3))
			f.attempt(id, nil)
			f.attempt(id, nil)
			failed := f.now
			f.now = f.now.Add(time.Second)
			f.cancelUntil("", f.now.Add(kept))
			f.now = failed.Add(after)
			r := f.attempt(f.create(maxFailures(3)), nil)
			if locked := !r.LockedUntil.IsZero(); locked != (after < 30*time.Minute) {
				f.Errorf("a third failure %v after the second, Lock 30m, a CancelAll of %v between: LockedUntil %v",
					after, kept, r.LockedUntil)
			}
		}
		f.subject = unique("subject-")
		until := f.attempt(f.create(maxFailures(1)), nil).LockedUntil
		f.now = f.now.Add(time.Second)
		f.cancelUntil("", f.now.Add(kept))
		f.refused(store.ErrLocked)
		f.now = until.Add(-time.Microsecond)
		f.refused(store.ErrLocked)
		f.now = until
		f.attempt(f.create(maxFailures(2)), nil)
	}
}

func cancelAllRemembered(t tester, s store.Store) {
	f := newFixture(t, s)
	fail := func(lock time.Duration, failures int) func() string {
		return func() string {
			id := f.create(maxFailures(failures), lockFor(lock))
			f.attempt(id, nil)
			return id
		}
	}
	for what, use := range map[string]func() string{
		"without a run":              func() string { return "" },
		"with a run that is shorter": fail(time.Minute, 9),
		"with a run that is longer":  fail(time.Hour, 9),
		"with a lock":                fail(time.Minute, 1),
		"with a challenge verified": func() string {
			id := fail(time.Minute, 9)()
			f.finish(id, store.Verified, nil)
			return id
		},
		"with a challenge verified, and no run": func() string {
			id := f.create()
			f.finish(id, store.Verified, nil)
			return id
		},
	} {
		for _, first := range []bool{true, false} {
			f.subject = unique("subject-")
			until := f.now.Add(30 * time.Minute)
			old, unread := f.create(expires(until)), f.create(expires(until))
			if first {
				use()
			}
			f.now = f.now.Add(time.Second)
			f.cancelUntil("", until)
			f.now = f.now.Add(time.Second)
			if !first {
				use()
			}
			f.outcome(old, what, store.Cancelled)
			f.now = f.now.Add(2 * time.Minute)
			f.outcome(old, what+", later", store.Cancelled)
			f.now = until.Add(-time.Microsecond)
			f.outcome(old, what+", at the end", store.Cancelled)
			f.outcome(unread, what+", at the end, and read for the first time", store.Cancelled)
			f.attempt(old, store.ErrClosed)
		}
	}
}

func cancelAllBehind(t tester, s store.Store) {
	f := newFixture(t, s)
	id := f.create()
	behind := f.now.Add(time.Millisecond)
	f.now = f.now.Add(time.Second)
	f.cancelAll("")
	f.now = behind
	f.outcome(id, "by a clock that is behind", store.Cancelled)
	f.attempt(id, store.ErrClosed)
	f.finish(id, store.Verified, store.ErrClosed)
}

func parallelCancels(t tester, s store.Store) {
	f := newFixture(t, s)
	const groups = 24
	for range 4 {
		f.subject = unique("subject-")
		var ids [groups]string
		for i := range ids {
			ids[i] = f.create(group(fmt.Sprint("group ", i)))
		}
		spared := f.create(group("spared"))
		failing := f.create(group("spared"), maxAttempts(racers), maxFailures(racers))
		f.now = f.now.Add(time.Second)
		parallel(racers, func(i int) {
			g := fmt.Sprint("group ", i%groups)
			err := f.CancelAll(f.Context(), bucketOf(ids[0]), f.subject, g, f.now.Add(time.Hour), f.now)
			if err != nil {
				f.Errorf("CancelAll: %v", err)
			}
			if _, err := f.Attempt(f.Context(), failing, newToken(), f.now); err != nil {
				f.Errorf("Attempt: %v", err)
			}
		})
		for _, id := range ids {
			f.outcome(id, "after parallel CancelAlls", store.Cancelled)
		}
		f.outcome(spared, "of none of their groups", store.Open)
		if r := f.get(failing); r.LockedUntil.IsZero() {
			f.Errorf("%d failures, each after a CancelAll, did not lock", racers)
		}
	}
}

func cancelAllOrFinish(t tester, s store.Store) {
	f := newFixture(t, s)
	for range 8 {
		f.subject = unique("subject-")
		id := f.create()
		f.now = f.now.Add(time.Second)
		var won atomic.Int64
		parallel(racers, func(i int) {
			if i%8 == 0 {
				err := f.CancelAll(f.Context(), bucketOf(id), f.subject, "", f.now.Add(time.Hour), f.now)
				if err != nil {
					f.Errorf("CancelAll: %v", err)
				}
				return
			}
			switch r, err := f.Finish(f.Context(), id, store.Verified, newToken(), f.now); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, store.ErrClosed) || r == nil || r.Outcome == store.Open:
				f.Errorf("a Finish that lost: %v, error %v", r, err)
			}
		})
		want := store.Cancelled
		if n := won.Load(); n == 1 {
			want = store.Verified
		} else if n > 1 {
			f.Errorf("%d Finishes won, want one at most", n)
		}
		f.outcome(id, fmt.Sprint("after ", won.Load(), " Finishes that won"), want)
	}
}
