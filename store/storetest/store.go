package storetest

import (
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func storeCases() []testCase[store.Store] {
	return []testCase[store.Store]{
		{"round trip", "every field comes back as it was stored, times as the same instants", roundTrip},
		{"create resets", "Create sets Sends 1, NextSend, Attempts 0 and Revision 0, in the record passed too",
			createResets},
		{"create exists", "Create returns ErrExists while a record of the ID has not expired, and changes nothing",
			createExists},
		{"create after expiry", "an ID whose record has expired can be created again, and starts anew",
			createAfterExpiry},
		{"copies", "records handed in and out are the caller's own", copies},
		{"not found", "an unknown ID is ErrNotFound", notFound},
		{"expiry", "a challenge is found until now reaches its Expires, and from then on is ErrExpired or ErrNotFound",
			expiry},
		{"update", "Update replaces Delivery and counts Revision, on a closed challenge too", update},
		{"update conflict", "Update returns ErrConflict and the newer record once Updates or Resends moved Revision on",
			updateConflict},
		{"parallel updates", "compare-and-swap: no update is lost", parallelUpdates},
		{"resend", "a send is claimed once NextSend has come; len(Waits)+1 in all; then NextSend is zero", resend},
		{"no resend", "without Waits there is one send and no NextSend", noResend},
		{"parallel resends", "of any number of callers at one time, one gets the send", parallelResends},
		{"attempts", "Attempt charges one attempt, returns the record as charged, and stops at MaxAttempts", attempts},
		{"parallel attempts", "64 parallel Attempts get no more than MaxAttempts, and no fewer", parallelAttempts},
		{"finish", "a closed challenge stays closed as it was", finish},
		{"parallel finishes", "of any number of Finishes exactly one gets a nil error", parallelFinishes},
		{"lock", "the charge that brings the subject's run to MaxFailures locks it, across challenges and keys", lock},
		{"locking charge wins",
			"the caller whose charge locks the subject may still compare, and Verified ends the lock",
			lockingChargeWins},
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
		{"error order", "of several reasons to refuse, the first in the documented order is given", errorOrder},
		{"errors charge nothing", "if an error is returned, nothing is charged or changed", errorsChargeNothing},
	}
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

// create stores a new record of the fixture's subject and returns its ID.
func (f *fixture) create(edit ...func(*store.Record)) string {
	f.Helper()
	r := f.record(edit...)
	if err := f.Create(f.Context(), r, f.now); err != nil {
		f.Fatalf("Create: %v", err)
	}
	return r.ID
}

// wants checks that a call returned an error that is want, and a record.
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

func (f *fixture) attempt(id string, want error) *store.Record {
	f.Helper()
	r, err := f.Attempt(f.Context(), id, f.now)
	return f.wants("Attempt", r, err, want)
}

func (f *fixture) finish(id string, o store.Outcome, want error) *store.Record {
	f.Helper()
	r, err := f.Finish(f.Context(), id, o, f.now)
	return f.wants("Finish", r, err, want)
}

func (f *fixture) resend(id string, want error) *store.Record {
	f.Helper()
	r, err := f.Resend(f.Context(), id, f.now)
	return f.wants("Resend", r, err, want)
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
