package store

import (
	"context"
	"time"
)

// Priority orders jobs that are due: higher first.
type Priority int8

// The priorities: a payment before a newsletter sign-up.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

// A Job asks for one step of a challenge's delivery. It holds no code and no
// address: who handles it reads the challenge, and drops what is verified,
// cancelled or expired.
type Job struct {
	ID        string // names the cause: the same ID is one job until Expires, done or not
	Challenge string
	Step      int
	Priority  Priority
	NotBefore time.Time // zero: at once
	Expires   time.Time // required: dropped unhandled from then on
	Attempt   int       // set by the queue: 1 on the first delivery
}

// A Queue hands jobs to workers, each at least once.
type Queue interface {
	// Enqueue adds j, or does nothing if a job of its ID was added before and
	// has not expired. ErrFull.
	Enqueue(ctx context.Context, j Job) error

	// Run calls handle for jobs that are due, in at most workers goroutines,
	// until ctx ends; then it waits for the handlers that run, whose context
	// is ctx's without its cancellation, and returns ctx.Err(). A job whose
	// handler returns an error or panics is due again after a growing pause.
	// Several Runs, in several processes, share the jobs.
	Run(ctx context.Context, workers int, handle func(context.Context, Job) error) error
}
