package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Errors of a Store. If one of them is returned, nothing has changed.
var (
	ErrExists    = errors.New("store: challenge exists")
	ErrNotFound  = errors.New("store: no such challenge")
	ErrExpired   = errors.New("store: challenge expired")
	ErrClosed    = errors.New("store: challenge closed")          // Record.Outcome says how
	ErrExhausted = errors.New("store: no attempts or sends left") // of this challenge
	ErrLocked    = errors.New("store: subject locked")            // until Record.LockedUntil
	ErrTooSoon   = errors.New("store: too soon for another send") // until Record.NextSend
	ErrConflict  = errors.New("store: revision has moved on")     // the newer record is returned, too
	ErrFull      = errors.New("store: full")                      // no live record is ever evicted to make room
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

// A Record is one challenge. A store keeps it from Create until Expires.
type Record struct {
	// Written by Create, never changed.

	ID      string // bucket "-" random; the bucket is shared by all challenges of a Subject
	Subject string // keyed hash of the subject: names its run of failures
	Key     string // name of the key that derives the code and seals
	Salt    []byte // random; with the key it gives the code
	Sealed  []byte // recipient, wording, binding; opaque to a store
	Created time.Time
	Expires time.Time // fixed: a resend does not extend it
	NewCode bool      // each send has a code of its own: all Sends of them are valid

	MaxAttempts int             // of this challenge, at least 1
	MaxFailures int             // in a row, of the subject; 0: no lock
	Lock        time.Duration   // how long a lock lasts, and a run of failures after its latest failure
	Waits       []time.Duration // before the second send, the third…: len+1 sends in all

	// Kept by the store.

	Attempts    int       // charged so far
	Sends       int       // claimed so far, the first included
	NextSend    time.Time // earliest next Resend; zero once sends are used up
	Outcome     Outcome
	LockedUntil time.Time // of the subject; zero: not locked
	Delivery    []byte    // replaced by Update; opaque to a store
	Revision    uint64    // counts Updates and Resends
}

// A Store keeps challenges and, by subject, the run of consecutive failures.
//
// If a record exists, it is returned with an error, too. Records passed in and
// returned belong to the caller: a store must copy them.
//
// A challenge is found until now reaches its Expires. From then on a method returns
// ErrExpired, or ErrNotFound once the backend has collected the record.
type Store interface {
	// Create stores r with Sends 1, NextSend, Attempts 0 and Revision 0, and
	// sets these fields in r. Delivery is stored as it is.
	//
	// ErrExists: a record of this ID has not expired. ErrLocked: the subject
	// is locked; r.LockedUntil is set. ErrFull, in this order.
	Create(ctx context.Context, r *Record, now time.Time) error

	// Get returns the challenge, closed or not, with LockedUntil as it is now.
	//
	// ErrNotFound, ErrExpired.
	Get(ctx context.Context, id string, now time.Time) (*Record, error)

	// Attempt charges one attempt to the challenge and one failure to the
	// subject's run, in one atomic step, and returns the record as charged;
	// only then may the caller compare a code. The run survives the challenge
	// and is forgotten Lock after its latest failure. The charge that brings
	// the run to MaxFailures locks the subject for Lock: LockedUntil is set
	// in the record it returns, and that caller may still compare.
	//
	// MaxFailures and Lock are those of the challenge that is charged. If
	// challenges of one subject differ in them, the run is kept until the
	// latest expiry among its failures. The challenge that reaches MaxFailures
	// sets the lock: lock and run end at now + its Lock, whatever the Lock of
	// the others.
	//
	// ErrNotFound, ErrExpired, ErrClosed, ErrLocked, ErrExhausted (Attempts
	// has reached MaxAttempts), ErrFull (no room for the run of failures), in
	// this order.
	Attempt(ctx context.Context, id string, now time.Time) (*Record, error)

	// Finish closes the challenge as o, which is not Open. Of any number of
	// callers exactly one gets a nil error. Verified ends the subject's run
	// of failures, and its lock.
	//
	// ErrNotFound, ErrExpired, ErrClosed.
	Finish(ctx context.Context, id string, o Outcome, now time.Time) (*Record, error)

	// Resend claims the next send: it counts Sends and Revision up and sets
	// NextSend. Of any number of callers at one time, one gets it.
	//
	// ErrNotFound, ErrExpired, ErrClosed, ErrLocked, ErrExhausted (Sends has
	// reached len(Waits)+1), ErrTooSoon, in this order.
	Resend(ctx context.Context, id string, now time.Time) (*Record, error)

	// Update replaces Delivery and counts Revision up, if Revision is still
	// revision. It is allowed on a closed challenge.
	//
	// ErrNotFound, ErrExpired, ErrConflict.
	Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*Record, error)
}
