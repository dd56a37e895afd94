package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func openCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"open both", "if the limits allow, Open takes from each and creates the record as given", opening(openBoth)},
		{"open neither", "if a limit is over, Open creates nothing and takes from none", opening(openNeither)},
		{"open again", "an Open of the same ID and Salt is a repeat: allowed, it takes nothing", opening(openAgain)},
		{"open refused", "an Open that ErrExists or ErrLocked refuses takes nothing, and they come before the limits",
			opening(openRefused)},
		{"open given back", "Give finds the takings of an Open by its now", opening(openGivenBack)},
		{"parallel opens", "of parallel Opens as many create a record as the limits allow", opening(parallelOpens)},
	}
}

// A doorway is a fixture of a store.Opener.
type doorway struct {
	*fixture
	store.Opener
	gauge *gauge
}

// opening is for a store.Opener that takes limits and creates a record in one step.
func opening(run func(d *doorway)) func(t tester, s store.Store) {
	return func(t tester, s store.Store) {
		o, ok := s.(store.Opener)
		if !ok {
			t.Logf("not tested: the store is no Opener")
			return
		}
		f := newFixture(t, s)
		d := &doorway{f, o, &gauge{t, o, f.now}}
		r := f.record()
		if _, err := o.Open(f.Context(), r, f.now, limit(1, time.Hour)); errors.Is(err, errors.ErrUnsupported) {
			if _, err := s.Get(f.Context(), r.ID, f.now); err == nil {
				t.Errorf("Open returned ErrUnsupported, and created the record")
			}
			t.Logf("not tested: this store cannot open in one step")
			return
		}
		run(d)
	}
}

// open opens a record and checks whether it was allowed.
func (d *doorway) open(r *store.Record, allowed bool, limits ...store.Limit) store.Decision {
	d.Helper()
	passed := slices.Clone(limits)
	got, err := d.Opener.Open(d.fixture.Context(), r, d.now, passed...)
	if err != nil {
		d.Fatalf("Open: %v", err)
	}
	if !slices.Equal(passed, limits) {
		d.Fatalf("Open changed the limits that it was given")
	}
	if got.Allowed != allowed || (got.RetryAfter > 0) == allowed || (len(got.Over) > 0) == allowed {
		d.Fatalf("Open: %+v, want Allowed %v, and RetryAfter and Over if it is refused", got, allowed)
	}
	return got
}

// left checks how many takings a limit has left, by taking them.
func (d *doorway) left(n int, l store.Limit) {
	d.Helper()
	d.gauge.now = d.now
	d.gauge.allowed(n, l)
}

func openBoth(d *doorway) {
	a, b := limit(3, time.Minute), limit(5, time.Hour)
	r := d.record()
	r.Attempts, r.Revision = 7, 7
	d.open(r, true, a, b)
	if r.Attempts != 0 || r.Revision != 0 {
		d.Errorf("Open left Attempts %d and Revision %d in the record, want 0", r.Attempts, r.Revision)
	}
	stored := d.get(r.ID)
	if diff := diff(stored, r); diff != "" {
		d.Errorf("the record is not as it was given:%s", diff)
	}
	id := r.ID
	scribble(r)
	d.reads("Get after the caller changed what it had passed to Open", d.get(id), stored)
	bare := d.record()
	if got, err := d.Opener.Open(d.fixture.Context(), bare, d.now); !errors.Is(err, errors.ErrUnsupported) {
		if d.get(bare.ID); err != nil || !got.Allowed {
			d.Errorf("Open without limits: %+v, error %v", got, err)
		}
	}
	b.N = 2
	d.open(d.record(), true, a, b)
	b.N = 0
	d.left(1, a)
	d.left(2, b)
}

func openNeither(d *doorway) {
	a, b := limit(5, time.Hour), limit(1, time.Minute)
	d.open(d.record(), true, a, b)
	r := d.record()
	if got := d.open(r, false, a, b); got.Over[0] != 1 || len(got.Waits) != 1 || got.Waits[0] != time.Minute {
		d.Errorf("Open: %+v, want it over the second limit for a minute", got)
	}
	if _, err := d.Get(d.fixture.Context(), r.ID, d.now); !errors.Is(err, store.ErrNotFound) {
		d.Errorf("Get after a refused Open: %v, want ErrNotFound", err)
	}
	d.left(4, a)
	twice := limit(3, time.Hour)
	d.open(d.record(), true, twice, twice)
	d.open(d.record(), false, twice, twice)
	d.left(1, twice)
	d.now = d.now.Add(time.Minute)
	d.open(r, true, b)
	bad, good := limit(0, time.Hour), limit(1, time.Hour)
	r = d.record()
	if got, err := d.Opener.Open(d.fixture.Context(), r, d.now, good, bad); err == nil || got.Allowed {
		d.Errorf("Open with a limit of Most 0: %+v, want an error", got)
	}
	if _, err := d.Get(d.fixture.Context(), r.ID, d.now); !errors.Is(err, store.ErrNotFound) {
		d.Errorf("Get after an Open with a limit of Most 0: %v, want ErrNotFound", err)
	}
	d.left(1, good)
}

func openAgain(d *doorway) {
	a, b := limit(3, time.Hour), limit(1, time.Hour)
	r := d.record()
	for range 12 { // more than a store remembers by other means
		same := *r
		d.open(&same, true, a, b)
		d.now = d.now.Add(time.Second)
	}
	d.attempt(r.ID, nil)
	same := *r
	d.open(&same, true, a, b)
	if n := d.get(r.ID).Attempts; n != 1 {
		d.Errorf("after a repeated Open the record has Attempts %d, want 1", n)
	}
	d.left(2, a)
	d.now = r.Expires
	d.open(&same, false, b) // no repeat: the record has expired
	same.Expires = d.now.Add(time.Minute)
	d.open(&same, true, limit(1, time.Hour))
	if n := d.get(r.ID).Attempts; n != 0 {
		d.Errorf("an Open of an expired ID has Attempts %d, want 0", n)
	}
}

func openRefused(d *doorway) {
	l, over := limit(3, time.Hour), limit(1, time.Hour)
	r := d.record()
	d.open(r, true, l, over)
	refuse := func(r *store.Record, want error) {
		d.Helper()
		if got, err := d.Opener.Open(d.fixture.Context(), r, d.now, l, over); !errors.Is(err, want) || got.Allowed {
			d.Errorf("Open: %+v, error %v, want %v", got, err, want)
		}
	}
	other := *r
	other.Salt = newSalt()
	refuse(&other, store.ErrExists)
	for range 10 {
		d.attempt(d.create(maxFailures(10)), nil)
	}
	locked := d.record()
	refuse(locked, store.ErrLocked)
	if !locked.LockedUntil.After(d.now) {
		d.Errorf("Open of a locked subject set LockedUntil %v, want it after %v", locked.LockedUntil, d.now)
	}
	d.now = locked.LockedUntil
	d.left(2, l)
}

func openGivenBack(d *doorway) {
	l := limit(2, time.Hour)
	first := d.now
	for range 2 {
		d.open(d.record(), true, l)
		d.now = d.now.Add(time.Second)
	}
	d.gauge.now = d.now
	d.gauge.give(first, l)
	d.gauge.give(first, l) // there is no other of that time
	d.open(d.record(), true, l)
	d.open(d.record(), false, l)
}

func parallelOpens(d *doorway) {
	a, b := limit(10, time.Hour), limit(1000, time.Hour)
	var allowed, created atomic.Int64
	parallel(racers, func(int) {
		r := newRecord(unique("subject-"), d.now)
		got, err := d.Opener.Open(d.fixture.Context(), r, d.now, a, b)
		if err != nil {
			d.Errorf("Open: %v", err)
		}
		if got.Allowed {
			allowed.Add(1)
		}
		if _, err := d.Get(d.fixture.Context(), r.ID, d.now); err == nil {
			created.Add(1)
		}
	})
	c, r := limit(2, time.Hour), d.record()
	parallel(racers, func(int) { // of one record
		same := *r
		if got, err := d.Opener.Open(d.fixture.Context(), &same, d.now, c); err != nil || !got.Allowed {
			d.Errorf("Open of one record by many: %+v, error %v", got, err)
		}
	})
	d.left(1, c)
	if allowed.Load() != 10 || created.Load() != 10 {
		d.Fatalf("of %d parallel Opens %d were allowed and %d created a record, want 10", racers, allowed.Load(),
			created.Load())
	}
	d.left(990, b)
}
