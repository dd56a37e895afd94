package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

const endedRule = "a call whose context has ended does nothing, and returns the context's error"

func storeContextCases() []testCase[store.Store] {
	return []testCase[store.Store]{{"ended context", endedRule, storeEnded}, {"open ended context", endedRule,
		opening(openEnded)}}
}

func limiterContextCases() []testCase[store.Limiter] {
	return []testCase[store.Limiter]{{"ended context", endedRule, limiterEnded}}
}

func trackerContextCases() []testCase[store.Tracker] {
	return []testCase[store.Tracker]{{"ended context", endedRule, trackerEnded}}
}

// ended returns a context that has ended.
func ended(t tester) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// wantEnded checks that an error is that of an ended context.
func wantEnded(t tester, op string, err error) {
	t.Helper()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%s with an ended context: error %v, want context.Canceled", op, err)
	}
}

func storeEnded(t tester, s store.Store) {
	f, ctx := newFixture(t, s), ended(t)
	id, fresh, token := f.create(maxFailures(2)), f.record(), newToken()
	f.attempt(id, nil)
	before := f.get(id)
	f.now = f.now.Add(time.Second)
	wantEnded(f, "Create", f.Create(ctx, fresh, f.now))
	_, err := f.Get(ctx, id, f.now)
	wantEnded(f, "Get", err)
	_, err = f.Attempt(ctx, id, token, f.now)
	wantEnded(f, "Attempt", err)
	_, err = f.Finish(ctx, id, store.Verified, token, f.now)
	wantEnded(f, "Finish", err)
	_, err = f.Update(ctx, id, 0, []byte("new"), f.now)
	wantEnded(f, "Update", err)
	bucket := bucketOf(id)
	wantEnded(f, "CancelAll", f.CancelAll(ctx, bucket, f.subject, "", f.now.Add(time.Hour), f.now))
	if forgetter, ok := s.(store.Forgetter); ok {
		wantEnded(f, "Forget", forgetter.Forget(ctx, bucket, f.subject, f.now))
	}
	f.reads("Get after calls whose context had ended", f.get(id), before)
	if _, err := f.Get(f.Context(), fresh.ID, f.now); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("Get after a Create whose context had ended: error %v, want ErrNotFound", err)
	}
	if r := f.attemptAs(id, token, nil); r.Attempts != 2 || r.LockedUntil.IsZero() {
		f.Errorf("the second failure of two: Attempts %d, LockedUntil %v, want 2 and a lock", r.Attempts, r.LockedUntil)
	}
}

func openEnded(d *doorway) {
	r, l := d.record(), limit(2, time.Hour)
	got, err := d.Opener.Open(ended(d), r, d.now, l)
	wantEnded(d, "Open", err)
	if _, err := d.Get(d.fixture.Context(), r.ID, d.now); got.Allowed || !errors.Is(err, store.ErrNotFound) {
		d.Errorf("Open with an ended context: %+v, and Get returns %v, want ErrNotFound", got, err)
	}
	d.left(2, l)
}

func limiterEnded(t tester, l store.Limiter) {
	g, ctx := &gauge{t, l, start()}, ended(t)
	lim := limit(2, time.Hour)
	taken := g.takeAt([]time.Duration{0}, lim)
	d, err := g.Take(ctx, g.now, lim)
	if wantEnded(g, "Take", err); d.Allowed {
		g.Errorf("Take with an ended context: %+v, want it not allowed", d)
	}
	wantEnded(g, "Give", g.Give(ctx, taken[0], g.now, lim))
	g.allowed(1, lim)
}

func trackerEnded(t tester, tr store.Tracker) {
	d, ctx := newDesk(t, tr), ended(t)
	key, expires := unique("route/"), d.now.Add(time.Hour)
	_, err := d.Match(ctx, key, []byte("sent"), expires, d.now)
	wantEnded(d, "Match", err)
	_, err = d.Track(ctx, key, "another", expires, d.now)
	wantEnded(d, "Track", err)
	d.track(key, "message")
}
