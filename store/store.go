package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Errors of the contracts. If a method returns one of them, it has charged and changed
// nothing.
var (
	ErrExists    = errors.New("store: challenge exists")
	ErrNotFound  = errors.New("store: no such challenge")
	ErrExpired   = errors.New("store: challenge expired")
	ErrClosed    = errors.New("store: challenge closed")  // Record.Outcome is Verified or Cancelled
	ErrExhausted = errors.New("store: no attempts left")  // Record.Attempts has reached MaxAttempts
	ErrLocked    = errors.New("store: subject locked")    // until Record.LockedUntil
	ErrConflict  = errors.New("store: value has changed") // the revision or the old value is not current
	ErrFull      = errors.New("store: full")              // a backend must not evict a live record to make room
)

// An Outcome says whether and how a challenge was closed.
type Outcome uint8

// The outcomes.
const (
	Open Outcome = iota
	Verified
	Cancelled
)

var outcomeNames = [...]string{Open: "open", Verified: "verified", Cancelled: "cancelled"}

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	if int(o) >= len(outcomeNames) {
		return "invalid outcome"
	}
	return outcomeNames[o]
}

// MarshalText returns the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) {
	if int(o) >= len(outcomeNames) {
		return nil, fmt.Errorf("store: %d is not an outcome", uint8(o))
	}
	return []byte(outcomeNames[o]), nil
}

// UnmarshalText reads a name that MarshalText returns.
func (o *Outcome) UnmarshalText(text []byte) error {
	i := slices.Index(outcomeNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("store: %q is not an outcome: %s", text, strings.Join(outcomeNames[:], ", "))
	}
	*o = Outcome(i)
	return nil
}

// A Token names a call. A call that is repeated with the token of the first changes
// nothing more, and has the result of the first. So a caller whose answer was lost may
// call again. A token must not be zero. It must be random, or derived from all parameters
// of the call.
type Token uint64

// A Record is one challenge. A store keeps it from Create until Expires.
//
// Its ID begins with a bucket, which the challenges of a subject have in common, as far as
// possible, and which other subjects may have, too. A store on several servers may place
// challenges by it. Another store may ignore it.
type Record struct {
	// Written by Create, never changed.

	ID      string // bucket "-" random
	Subject string // keyed hash of the subject: the name of its run of failures; each octet counts
	Group   string // keyed hash of the purpose, for CancelAll; at most 16 octets
	Key     string // names the application, and the key that derives the code and seals; opaque to a store
	Salt    []byte // random; with the key it gives the code; the token of Create
	Sealed  []byte // recipient, wording, binding; opaque to a store
	Created time.Time
	Expires time.Time // a resend does not extend it
	NewCode bool      // each send has its own code

	MaxAttempts int           // of this challenge, at least 1
	MaxFailures int           // consecutive failures that lock the subject; 0: no lock
	Lock        time.Duration // length of that lock; a run of failures is kept for as long

	// MaxRun failures of the subject since its latest Verified lock the subject for
	// RunLife; a lock by MaxFailures does not end this count. The failures are kept for
	// RunLife after the latest (NIST SP 800-63B-4 §3.2.2). 0: no such lock.
	MaxRun  int
	RunLife time.Duration

	// Kept by the store.

	Attempts    int // charged so far
	Outcome     Outcome
	LockedUntil time.Time // end of the subject's lock; zero: not locked
	Delivery    []byte    // replaced by Update; opaque to a store
	Revision    uint64    // number of Updates
}

// A Store keeps challenges and, for each subject, the run of consecutive failures.
//
// Until now reaches its Expires, a challenge is found. From then on a method returns
// ErrExpired, or ErrNotFound once the backend has collected the challenge.
//
// If the challenge's record exists, a method must return it with each error of this package,
// also with ErrExpired. With another error the caller must not use the record. A store must
// copy records: a caller may change the records that it passed or got.
type Store interface {
	// Create stores r with Attempts 0 and Revision 0, and sets these fields in r, also
	// if the call is a repeat. Delivery is stored as given. If an expired record has
	// this ID, r takes its place.
	//
	// If a record of the same ID and the same Salt exists, open or closed, the call is
	// a repeat: it returns nil, and the stored record stays as it is.
	//
	// Errors, in this order: ErrExists, if a record that has not expired has this ID
	// and another Salt; ErrLocked, if the subject is locked (r.LockedUntil is set);
	// ErrFull.
	Create(ctx context.Context, r *Record, now time.Time) error

	// Get returns the challenge, open or closed, with LockedUntil as it is now.
	//
	// Errors: ErrNotFound, ErrExpired.
	Get(ctx context.Context, id string, now time.Time) (*Record, error)

	// Attempt charges one attempt to the challenge and one failure to the subject, in
	// one atomic step, and returns the charged record. The caller must not compare a
	// code before.
	//
	// A failure counts twice. First, it counts in the subject's run. The run outlives
	// the challenge, and is forgotten Lock after its latest failure. The failure that
	// brings the run to MaxFailures locks the subject for Lock: LockedUntil is set in
	// the record, and this caller may still compare.
	//
	// Second, it counts among the failures since the latest Verified, which a lock
	// does not end. They are forgotten RunLife after the latest, and not before the
	// run is. The failure that brings them to MaxRun locks the subject for RunLife,
	// or for Lock if that is longer. When that lock ends, the count begins anew.
	//
	// MaxFailures, Lock, MaxRun and RunLife are taken from the charged challenge. If
	// challenges of one subject differ in them, each of the two counts is kept until
	// the latest expiry among its failures. The challenge that reaches MaxFailures or
	// MaxRun sets the lock, and the count that it reached ends with the lock, even if
	// an earlier failure was to be kept for longer.
	//
	// If the challenge was charged with the same token before, and has not expired, the
	// call is a repeat: it charges nothing, and returns the record as it is now, open
	// or closed, with Attempts as it was after that charge.
	//
	// Errors, in this order: ErrNotFound, ErrExpired, ErrClosed, ErrLocked,
	// ErrExhausted (Attempts has reached MaxAttempts), ErrFull (no room for the
	// failure).
	Attempt(ctx context.Context, id string, t Token, now time.Time) (*Record, error)

	// Finish closes the challenge with the outcome o, which must not be Open. Exactly
	// one token gets a nil error. It gets a nil error again if it repeats the call
	// with the same o. Verified ends the subject's run of failures, its count for
	// MaxRun, and its lock; a repeat does not.
	//
	// Errors: ErrNotFound, ErrExpired, ErrClosed.
	Finish(ctx context.Context, id string, o Outcome, t Token, now time.Time) (*Record, error)

	// Update replaces Delivery and adds one to Revision, if Revision is still
	// revision. The challenge may be closed.
	//
	// Errors: ErrNotFound, ErrExpired, ErrConflict (with the newer record).
	Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*Record, error)

	// CancelAll closes, with the outcome Cancelled, the open challenges of a subject
	// that were created before now: those of the group or, if group is empty, all.
	// bucket begins their IDs. The store keeps a mark of the call until the time
	// until, so it needs no list of challenges; a challenge that expires later may
	// stay open. Calls may arrive in any order: of the calls for one group, the latest
	// now and the latest until count.
	//
	// Errors: ErrFull.
	CancelAll(ctx context.Context, bucket, subject, group string, until, now time.Time) error
}

// A Forgetter is a [Store] that can end a subject's run of failures without a Verified:
// to unlock a person who was identified in another way, and to erase a person's data.
type Forgetter interface {
	// Forget ends the subject's run of failures, its count for MaxRun, and its lock.
	// Marks of CancelAll stay. bucket begins the IDs of the subject's challenges. If
	// the subject has no run, Forget returns nil.
	Forget(ctx context.Context, bucket, subject string, now time.Time) error
}
