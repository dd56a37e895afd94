package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Priority orders due jobs: a higher priority always goes first, however long the jobs of
// a lower one have waited. A job that waits too long expires, and is a [DeadLetter].
type Priority int8

// The priorities. For example, a payment goes before a newsletter sign-up.
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

// A Job is a wake-up: "look at this challenge". It holds no code, no address, and no cause.
// The worker reads the challenge to see if anything is due.
type Job struct {
	Challenge string // Record.ID; required
	Priority  Priority
	NotBefore time.Time // when the job is due; zero: at once. Each handler gets it as enqueued
	Expires   time.Time // the job is dropped from then on; required
}

// A Queue hands jobs to workers, each at least once. Several jobs of one challenge, even
// if they are equal, are several jobs. Workers may have them at the same time.
type Queue interface {
	// Enqueue adds j. If j would expire before it is due, Enqueue does nothing. For a
	// job without Challenge or Expires, or with an invalid priority, it returns an
	// error without a sentinel.
	//
	// ErrFull: there is no room for j.
	Enqueue(ctx context.Context, j Job) error

	// Run calls handle for due jobs, in at most workers goroutines, until ctx ends.
	// Then it waits for the running handlers, whose context outlives ctx, and returns
	// ctx.Err(). It must not return earlier: if the backend is not reached, Run tries
	// again. Several Runs, in several processes, share the jobs. An idle worker must get
	// a due job within a second. A Run must not take jobs for which no worker is free.
	//
	// If handle returns the zero time, the job is done. If it returns another time,
	// the job is due again then, and its failures are counted anew; if the job expires
	// by then, it is done. If handle returns an error or panics, or its process dies,
	// the job is due again after a pause that grows with each failure, until the job
	// expires or reaches the backend's number of failures, which must be at least 3.
	// The time is ignored with an error.
	//
	// Fewer than 1 worker, or no handle, is an error at once.
	//
	// A worker keeps its job as long as its process lives and reaches the backend,
	// however long the handler takes, also when ctx has ended: the process sends
	// heartbeats. If they cease, the process counts as dead, and another worker gets
	// the job within seconds. If that process was only stopped or cut off, its later
	// report of the job must change nothing.
	Run(ctx context.Context, workers int, handle Handler) error
}

// A Handler handles a job, and returns the time at which the job is due again; zero: the
// job is done.
type Handler func(ctx context.Context, j Job) (again time.Time, err error)

// An Inspector is a [Queue] that reports its jobs. A Queue may do without it. The queues of
// this module are Inspectors.
type Inspector interface {
	// Stats counts the jobs.
	Stats(ctx context.Context) (Stats, error)

	// Dead returns up to n dead letters, the newest first. A queue must keep the
	// newest 1000, each for a day.
	Dead(ctx context.Context, n int) ([]DeadLetter, error)
}

// Stats counts the jobs of a Queue at one moment. An expired job may count as before until
// a worker finds it.
type Stats struct {
	High, Normal, Low int           // due, without a worker
	Delayed           int           // not due: before NotBefore, before their next time, or after a failure
	Running           int           // with a worker
	Oldest            time.Duration // the time since the oldest due job became due; 0: no job is due
	Dead              int           // dead letters
}

// A DeadLetter is a job that ended without success. It is a report: it is not tried again.
type DeadLetter struct {
	Job      Job
	Attempts int // how often a worker got the job, since a handler last returned a time for it
	Reason   Reason
	At       time.Time // when it ended
}

// A Reason says why a job ended without success.
type Reason uint8

// The reasons.
const (
	Late   Reason = iota + 1 // it expired while it waited for a worker, or would have before another attempt
	Failed                   // it reached the backend's number of failures
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
