package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Priority orders jobs that are due: higher first, however long jobs of a lower
// priority have been due. A job that waits too long expires, and becomes a
// [DeadLetter].
type Priority int8

// The priorities: a payment before a newsletter sign-up.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

// priorityNames are in the priorities' order, from Low.
var priorityNames = [...]string{"low", "normal", "high"}

// Valid reports whether p is one of the three priorities.
func (p Priority) Valid() bool { return Low <= p && p <= High }

// String returns the priority's name in lower case.
func (p Priority) String() string {
	if !p.Valid() {
		return "invalid priority"
	}
	return priorityNames[p-Low]
}

// MarshalText returns the priority's name.
func (p Priority) MarshalText() ([]byte, error) {
	if !p.Valid() {
		return nil, fmt.Errorf("store: %d is not a priority", int8(p))
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads a name that MarshalText returns.
func (p *Priority) UnmarshalText(text []byte) error {
	i := slices.Index(priorityNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("store: %q is not a priority: %s", text, strings.Join(priorityNames[:], ", "))
	}
	*p = Low + Priority(i)
	return nil
}

// A Job asks for one step of a challenge's delivery. It holds no code and no
// address: its handler reads the challenge, and drops the job if the challenge is
// verified, cancelled or expired.
type Job struct {
	ID        string // names the cause; until Expires there is one job of an ID, done or not
	Challenge string
	Step      int
	Priority  Priority
	NotBefore time.Time // zero: at once
	Expires   time.Time // required; from then on the job is not handed out
	Attempt   int       // set by the queue: 1 on the first delivery
}

// A Queue hands jobs to workers, each at least once.
type Queue interface {
	// Enqueue adds j. If a job of its ID was added before and has not expired,
	// or if j could not be due before it expires, it does nothing. It refuses
	// a job without ID or Expires, or of another priority than the three.
	//
	// ErrFull: there is no room for j.
	Enqueue(ctx context.Context, j Job) error

	// Run calls handle for jobs that are due, in at most workers goroutines,
	// until ctx ends; then it waits for the handlers that run, whose context
	// is ctx's without its cancellation, and returns ctx.Err(). A job whose
	// handler returns an error or panics is due again after a growing pause,
	// until it expires or has been handed out as often as the backend says.
	// Several Runs, in several processes, share the jobs.
	Run(ctx context.Context, workers int, handle func(context.Context, Job) error) error
}

// An Inspector is a Queue that counts its jobs and lists dead letters. A Queue need
// not be an Inspector; those of this module are.
type Inspector interface {
	// Stats counts the jobs.
	Stats(ctx context.Context) (Stats, error)

	// Dead returns up to n dead letters, the newest first. The newest 1000
	// are kept, for a day each.
	Dead(ctx context.Context, n int) ([]DeadLetter, error)
}

// Stats counts the jobs of a Queue at a moment. An expired job may count as before
// until a worker finds it.
type Stats struct {
	High, Normal, Low int           // jobs that are due and have no worker yet
	Delayed           int           // jobs that wait for NotBefore, or for the pause after a failure
	Running           int           // jobs with a worker
	Oldest            time.Duration // how long the first job without a worker has been due; 0: there is none
	Dead              int           // dead letters
}

// A DeadLetter is a job that ended without success. It is kept for operators and is
// not tried again: another job does its work, or the work has become pointless.
type DeadLetter struct {
	Job    Job // its Attempt is how often it was handed out
	Reason Reason
	At     time.Time // when it ended
}

// Reason is why a job ended without success.
type Reason uint8

// The reasons.
const (
	Late   Reason = iota + 1 // it expired while it waited for a worker, or would have before another attempt
	Failed                   // none of the attempts that it may have succeeded
)

var reasonNames = [...]string{Late: "late", Failed: "failed"}

// String returns the reason's name in lower case.
func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasonNames) {
		return "invalid reason"
	}
	return reasonNames[r]
}

// MarshalText returns the reason's name.
func (r Reason) MarshalText() ([]byte, error) {
	if r == 0 || int(r) >= len(reasonNames) {
		return nil, fmt.Errorf("store: %d is not a reason", uint8(r))
	}
	return []byte(reasonNames[r]), nil
}

// UnmarshalText reads a name that MarshalText returns.
func (r *Reason) UnmarshalText(text []byte) error {
	i := slices.Index(reasonNames[:], string(text))
	if i < int(Late) {
		return fmt.Errorf("store: %q is not a reason: %s", text, strings.Join(reasonNames[Late:], ", "))
	}
	*r = Reason(i)
	return nil
}
