package storetest

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func storeCases() []testCase[store.Store] {
	return slices.Concat(recordCases(), attemptCases(), repeatCases(), lockCases(), runCases(), cancelCases(),
		openCases(), storeClockCases(), storeContextCases())
}

// A fixture is a store under test at a time that the case moves.
type fixture struct {
	tester
	store.Store
	now     time.Time
	subject string
}

func newFixture(t tester, s store.Store) *fixture {
	return &fixture{tester: t, Store: s, now: start(), subject: unique("subject-")}
}

// record returns a new record of the fixture's subject.
func (f *fixture) record(edit ...func(*store.Record)) *store.Record {
	return newRecord(f.subject, f.now, edit...)
}

// newToken returns a token that no other call has.
func newToken() store.Token { return store.Token(rand.Uint64() | 1) }

// create stores a new record of the fixture's subject and returns its ID.
func (f *fixture) create(edit ...func(*store.Record)) string {
	f.Helper()
	r := f.record(edit...)
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	return r.ID
}

// wants checks that a call returned the error want, and a record.
func (f *fixture) wants(op string, r *store.Record, err, want error) *store.Record {
	f.Helper()
	if !errors.Is(err, want) {
		f.Fatalf("%s: error %v, want %v", op, err, want)
	}
	if r == nil {
		f.Fatalf("%s: no record with error %v", op, err)
	}
	return r
}

func (f *fixture) get(id string) *store.Record {
	f.Helper()
	r, err := f.Get(f.Context(), id, f.now)
	return f.wants("Get", r, err, nil)
}

// attempt calls Attempt with a token of its own.
func (f *fixture) attempt(id string, want error) *store.Record {
	f.Helper()
	return f.attemptAs(id, newToken(), want)
}

func (f *fixture) attemptAs(id string, t store.Token, want error) *store.Record {
	f.Helper()
	r, err := f.Attempt(f.Context(), id, t, f.now)
	return f.wants("Attempt", r, err, want)
}

// finish calls Finish with a token of its own.
func (f *fixture) finish(id string, o store.Outcome, want error) *store.Record {
	f.Helper()
	return f.finishAs(id, o, newToken(), want)
}

func (f *fixture) finishAs(id string, o store.Outcome, t store.Token, want error) *store.Record {
	f.Helper()
	r, err := f.Finish(f.Context(), id, o, t, f.now)
	return f.wants("Finish", r, err, want)
}

// cancelAll calls CancelAll for the challenges that expire within an hour.
func (f *fixture) cancelAll(group string) {
	f.Helper()
	f.cancelUntil(group, f.now.Add(time.Hour))
}

func (f *fixture) cancelUntil(group string, until time.Time) {
	f.Helper()
	if err := f.CancelAll(f.Context(), bucketOf(newID(f.subject)), f.subject, group, until, f.now); err != nil {
		f.Fatalf("CancelAll: %v", err)
	}
}

// outcome checks how a challenge ended, or that it is open.
func (f *fixture) outcome(id, what string, want store.Outcome) {
	f.Helper()
	if r := f.get(id); r.Outcome != want {
		f.Errorf("%s: Outcome %v, want %v", what, r.Outcome, want)
	}
}

// reads checks that r, which op returned, is want.
func (f *fixture) reads(op string, r, want *store.Record) {
	f.Helper()
	if d := diff(r, want); d != "" {
		f.Errorf("%s:%s", op, d)
	}
}

func (f *fixture) update(id string, revision uint64, delivery string, want error) *store.Record {
	f.Helper()
	r, err := f.Update(f.Context(), id, revision, []byte(delivery), f.now)
	return f.wants("Update", r, err, want)
}

// refused checks that a new challenge of the subject is refused with want.
func (f *fixture) refused(want error) {
	f.Helper()
	r := f.record()
	if err := f.Create(f.Context(), r, f.now); !errors.Is(err, want) {
		f.Fatalf("Create: error %v, want %v", err, want)
	}
	if errors.Is(want, store.ErrLocked) && !r.LockedUntil.After(f.now) {
		f.Fatalf("Create: ErrLocked until %v, want a time after %v", r.LockedUntil, f.now)
	}
}

func maxAttempts(n int) func(*store.Record) {
	return func(r *store.Record) { r.MaxAttempts = n }
}

func maxFailures(n int) func(*store.Record) {
	return func(r *store.Record) { r.MaxFailures = n }
}

func lockFor(d time.Duration) func(*store.Record) {
	return func(r *store.Record) { r.Lock = d }
}

func expires(t time.Time) func(*store.Record) {
	return func(r *store.Record) { r.Expires = t }
}

func group(g string) func(*store.Record) {
	return func(r *store.Record) { r.Group = g }
}

func created(t time.Time) func(*store.Record) {
	return func(r *store.Record) { r.Created = t }
}
