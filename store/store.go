package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Errors of a Store. When one is returned, nothing has been charged or changed.
var (
	ErrExists    = errors.New("store: challenge exists")
	ErrNotFound  = errors.New("store: no such challenge")
	ErrExpired   = errors.New("store: challenge expired")
	ErrClosed    = errors.New("store: challenge closed") // Record.Outcome says how
	ErrExhausted = errors.New("store: no attempts left") // of this challenge
	ErrLocked    = errors.New("store: subject locked")   // until Record.LockedUntil
	ErrConflict  = errors.New("store: revision has moved on")
	ErrFull      = errors.New("store: full") // no live record is ever evicted to make room
)

// Outcome is how a challenge ended.
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

// A Token names a call. A call that is repeated with the token of the first
// changes nothing more, and has the result of the first: a caller whose answer
// was lost asks again. Callers draw tokens at random, or derive them from all
// that the call is about. No token is zero.
type Token uint64

// A Record is one challenge. A store keeps it from Create until Expires.
type Record struct {
	// Written by Create, never changed.

	ID      string // bucket "-" random; the bucket is shared by the challenges of a Subject, as far as it can be
	Subject string // keyed hash of the subject: names its run of failures
	Group   string // keyed hash of what CancelAll may tell apart; at most 16 octets
	Key     string // names the application, and the key that derives the code and seals; opaque to a store
	Salt    []byte // random; with the key it gives the code; the token of Create
	Sealed  []byte // recipient, wording, binding; opaque to a store
	Created time.Time
	Expires time.Time // fixed: a resend does not extend it
	NewCode bool      // each send has a code of its own

	MaxAttempts int           // of this challenge, at least 1
	MaxFailures int           // in a row, of the subject; 0: no lock
	Lock        time.Duration // for how long MaxFailures lock the subject, and a run of failures is remembered

	// MaxRun failures of the subject without a Verified, locks
	// notwithstanding, lock it for RunLife. They are remembered for RunLife
	// after the latest (NIST SP 800-63B-4 §3.2.2). 0: no such lock.
	MaxRun  int
	RunLife time.Duration

	// Kept by the store.

	Attempts    int // charged so far
	Outcome     Outcome
	LockedUntil time.Time // of the subject; zero: not locked
	Delivery    []byte    // replaced by Update; opaque to a store
	Revision    uint64    // counts Updates
}

// A Store keeps challenges and, by subject, the run of consecutive failures.
//
// If a record exists, it is returned with an error too. Records handed in and
// out are the caller's own: a store copies.
//
// A challenge is found until now reaches its Expires. From then on a method
// returns ErrExpired, or ErrNotFound once the backend has collected it.
type Store interface {
	// Create stores r with Attempts 0 and Revision 0, and sets these fields in
	// r. Delivery is stored as it is. If a record of the same ID and the same
	// Salt exists, the call is a repeat and changes nothing.
	//
	// ErrExists: a record of this ID, and of another Salt, has not expired.
	// ErrLocked: the subject is locked; r.LockedUntil is set. ErrFull, in this
	// order.
	Create(ctx context.Context, r *Record, now time.Time) error

	// Get returns the challenge, closed or not, with LockedUntil as it is now.
	//
	// ErrNotFound, ErrExpired.
	Get(ctx context.Context, id string, now time.Time) (*Record, error)

	// Attempt charges one attempt to the challenge and one failure to the
	// subject's run, in one atomic step, and returns the record as charged.
	// Only then may the caller compare a code. The run outlives the challenge
	// and is forgotten Lock after its latest failure. The charge that brings
	// the run to MaxFailures locks the subject for Lock: LockedUntil is set in
	// the record, and this caller may still compare.
	//
	// An Attempt with a token that the challenge was charged for before is a
	// repeat: it charges nothing, and returns the record as it is now, closed
	// or not, with Attempts as it was after that charge.
	//
	// The failures since the latest Verified are counted, too, locks
	// notwithstanding. They are forgotten RunLife after the latest, and not
	// before the run is. The charge
	// that brings them to MaxRun locks the subject for RunLife, or for longer
	// if Lock is longer. When that lock ends, the subject starts anew.
	//
	// MaxFailures, Lock, MaxRun and RunLife are those of the challenge that is charged. If
	// challenges of one subject differ in them, the run is kept until the
	// latest expiry among its failures; the challenge that reaches MaxFailures
	// sets the lock, which ends at now + its Lock, and the run with it.
	//
	// ErrNotFound, ErrExpired, ErrClosed, ErrLocked, ErrExhausted (Attempts
	// has reached MaxAttempts), ErrFull (no room to remember the failure), in
	// this order.
	Attempt(ctx context.Context, id string, t Token, now time.Time) (*Record, error)

	// Finish closes the challenge as o, which is not Open. Of any number of
	// tokens exactly one gets a nil error, and gets it again if it repeats the
	// call with the same o. Verified ends the subject's run of failures, its
	// count for MaxRun, and its lock; a repeat does not.
	//
	// ErrNotFound, ErrExpired, ErrClosed.
	Finish(ctx context.Context, id string, o Outcome, t Token, now time.Time) (*Record, error)

	// Update replaces Delivery and counts Revision up, if Revision is still
	// revision. It is allowed on a closed challenge.
	//
	// ErrNotFound, ErrExpired, ErrConflict (with the newer record).
	Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*Record, error)

	// CancelAll closes, as Cancelled, the challenges of a subject that are open
	// and were created before now, those of one group or, if group is empty,
	// all. bucket begins their IDs. It holds for challenges that expire by
	// until: the store remembers the call until then, and needs no list of
	// challenges. ErrFull.
	CancelAll(ctx context.Context, bucket, subject, group string, until, now time.Time) error
}

// A Forgetter is a [Store] that can end a subject's run of failures without a
// Verified: to unlock a person who was identified in another way, and to erase.
type Forgetter interface {
	// Forget ends the subject's run of failures, its count for MaxRun, and its
	// lock. Marks of CancelAll stay. bucket begins the IDs of the subject's
	// challenges. A subject without a run is no error.
	Forget(ctx context.Context, bucket, subject string, now time.Time) error
}
