package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Priority orders jobs that are due: higher first, however long the lower
// ones have been due. A job that waits too long expires, and is a [DeadLetter].
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

// A Job is a wake-up: look at a challenge. It holds no code, no address, and no
// cause. The worker reads the challenge to learn what is due, and there may be
// nothing.
type Job struct {
	Challenge string // required
	Priority  Priority
	NotBefore time.Time // zero: at once; a handler gets it as it was added, each time that the job comes
	Expires   time.Time // required: the job is dropped from then on
}

// A Queue hands jobs to workers, each at least once. Several jobs of one
// challenge, even if alike, are several jobs; workers may have them at one time.
type Queue interface {
	// Enqueue adds j, or does nothing if j could not be due before it expires.
	// A job without Challenge or Expires, or of an invalid priority, is
	// refused. ErrFull.
	Enqueue(ctx context.Context, j Job) error

	// Run calls handle for jobs that are due, in at most workers goroutines,
	// until ctx ends. Then it waits for the handlers that run, whose context
	// is ctx's without its cancellation, and returns ctx.Err(). Several Runs,
	// in several processes, share the jobs.
	//
	// If handle returns the zero time, the job is done. If it returns another
	// time, the job is due again then, and its failures are counted anew; if
	// it would have expired by then, it is done. If handle returns an error,
	// with whatever time, or panics, or its process dies, the job is due again
	// after a pause that grows from failure to failure, until the job expires
	// or has failed as often as the backend says.
	//
	// A job stays with its worker as long as the worker's process lives and
	// reaches the backend, however long the handler takes: the process sends
	// heartbeats. If they cease, the process counts as dead, and another worker
	// gets the job, within seconds. The process may live, having been stopped
	// or cut off. Its report of a job that was handed out anew changes
	// nothing: the job is neither ended nor handed out once more by it.
	Run(ctx context.Context, workers int, handle Handler) error
}

// A Handler does what a job asks for, and says when the job is to come again.
// The zero time: not any more.
type Handler func(ctx context.Context, j Job) (again time.Time, err error)

// An Inspector is a Queue that tells what it holds. A Queue may do without;
// those of this module are Inspectors.
type Inspector interface {
	// Stats counts the jobs.
	Stats(ctx context.Context) (Stats, error)

	// Dead returns up to n dead letters, the newest first. The newest 1000
	// are kept, for a day each.
	Dead(ctx context.Context, n int) ([]DeadLetter, error)
}

// Stats counts the jobs of a Queue at one moment. A job that has expired may
// count as before until a worker finds it.
type Stats struct {
	High, Normal, Low int           // due, and with no worker yet
	Delayed           int           // wait for NotBefore, to come again, or out the pause after a failure
	Running           int           // with a worker
	Oldest            time.Duration // how long the first due job has been due; 0: none is
	Dead              int           // dead letters
}

// A DeadLetter is a job that ended without success. It is there to be seen, not
// to be tried again.
type DeadLetter struct {
	Job      Job
	Attempts int // how often it was handed out since it last succeeded in coming again
	Reason   Reason
	At       time.Time // when it ended
}

// Reason is why a job ended without success.
type Reason uint8

// The reasons.
const (
	Late   Reason = iota + 1 // it expired while it waited for a worker, or would have before another attempt
	Failed                   // it failed as often as it may
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
