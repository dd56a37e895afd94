package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// An End is the end of a job with a worker.
type End int

// The ends.
const (
	Done   End = iota // its handler succeeded
	Late              // dead letter: store.Late
	Failed            // dead letter: store.Failed
	Again             // it is due once more: at its handler's time, or after a pause
	Back              // it is due at once, as if it had not been handed out
)

// A Job is a job with a worker. H is a worker's claim to a job, as the store knows it.
type Job[H comparable] struct {
	store.Job
	Hold     H
	Form     string // the job as the store has it, if the store wants it back
	Attempts int    // including this one
}

// A Result is what becomes of a job.
type Result[H comparable] struct {
	Hold     H
	Form     string
	End      End
	Due      time.Time // of Again and Back: in whole microseconds
	Attempts int       // those that count from now on, unless it is Done
}

// A Crew is the workers of one Run. Its methods are safe for concurrent use.
type Crew[H comparable] struct {
	Link  Link
	Freed chan struct{} // holds a token when a handler has ended
	Ended chan struct{} // closed by End: there will be no more results

	handle   store.Handler
	attempts int // with which a failing job becomes a dead letter
	handlers sync.WaitGroup
	results  chan struct{} // holds a token when there are results

	mu      sync.Mutex
	running int
	held    map[H]struct{} // jobs with this Run: running, or the result is not recorded
	ended   []Result[H]    // not recorded yet
}

// NewCrew returns a Crew whose log names a package. A job that fails in the last of so many
// attempts becomes a dead letter.
func NewCrew[H comparable](name string, logger *slog.Logger, attempts int, handle store.Handler) *Crew[H] {
	return &Crew[H]{
		Link: Link{name: name, logger: logger}, handle: handle, attempts: attempts, held: map[H]struct{}{},
		Freed: make(chan struct{}, 1), Ended: make(chan struct{}), results: make(chan struct{}, 1),
	}
}

// Running returns the number of handlers at work.
func (c *Crew[H]) Running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// Held returns the holds of all jobs that are with this Run: of the others, heartbeats say
// nothing.
func (c *Crew[H]) Held() []H {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make([]H, 0, len(c.held))
	for h := range c.held {
		held = append(held, h)
	}
	return held
}

// Begin starts the handler of a job. If ctx has ended, the job goes back.
func (c *Crew[H]) Begin(ctx context.Context, j Job[H]) {
	c.hold(j.Hold)
	if ctx.Err() != nil {
		c.finish(Result[H]{j.Hold, j.Form, Back, whole(time.Now()), j.Attempts - 1})
		return
	}
	c.handlers.Go(func() {
		Call(ctx, c.Link.logger, c.Link.name, c.handle, j.Job, j.Attempts, func(again time.Time, failed bool) {
			c.finish(c.result(j, again, failed, time.Now()))
		})
	})
}

// Drop ends a job that no handler could read.
func (c *Crew[H]) Drop(h H) {
	c.hold(h)
	c.finish(Result[H]{Hold: h, End: Done})
}

func (c *Crew[H]) hold(h H) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[h] = struct{}{}
	c.running++
}

// result returns what becomes of a job whose handler has ended at now.
func (c *Crew[H]) result(j Job[H], again time.Time, failed bool, now time.Time) Result[H] {
	r := Result[H]{Hold: j.Hold, Form: j.Form, End: Again}
	if failed {
		r.Due, r.Attempts = whole(now.Add(Pause(j.Attempts))), j.Attempts
	} else if r.Due = whole(now); again.After(now) {
		r.Due = whole(again)
	}
	switch {
	case !failed && again.IsZero():
		r.End = Done
	case failed && j.Attempts >= c.attempts:
		r.End = Failed
	case r.Due.Before(j.Expires):
	case failed:
		r.End = Late
	default:
		r.End = Done
	}
	return r
}

// whole returns t in whole microseconds, and not before t.
func whole(t time.Time) time.Time {
	if cut := t.Truncate(time.Microsecond); cut.Before(t) {
		return cut.Add(time.Microsecond)
	}
	return t
}

// finish frees the worker and queues the result for Record.
func (c *Crew[H]) finish(r Result[H]) {
	c.mu.Lock()
	c.running--
	c.ended = append(c.ended, r)
	c.mu.Unlock()
	Signal(c.Freed)
	Signal(c.results)
}

// End waits for the handlers, and closes c.Ended.
func (c *Crew[H]) End() {
	c.handlers.Wait()
	close(c.Ended)
}

// Record calls record with results, so many at most at a time, until c.Ended is closed, and
// then with the rest, until last ends. If record fails, Record tries again.
func (c *Crew[H]) Record(ctx, last context.Context, most int, record func(context.Context, []Result[H]) error) {
	for {
		select {
		case <-c.results:
			c.record(ctx, c.Ended, most, record)
		case <-c.Ended:
			c.record(last, last.Done(), most, record)
			return
		}
	}
}

// record records the results at hand. If it fails, it tries again until stop is closed.
func (c *Crew[H]) record(ctx context.Context, stop <-chan struct{}, most int,
	record func(context.Context, []Result[H]) error) {
	for {
		c.mu.Lock()
		batch := c.ended[:min(len(c.ended), most)]
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if err := record(ctx, batch); err != nil {
			if !c.Link.Failed(ctx, Recording, err, stop) {
				return
			}
			continue
		}
		c.Link.Works(ctx, Recording)
		c.mu.Lock()
		for _, r := range batch {
			delete(c.held, r.Hold)
		}
		c.ended = c.ended[len(batch):]
		c.mu.Unlock()
	}
}

// Signal puts a token into a channel that holds one, unless it has one.
func Signal(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}
