package otp

import (
	"context"
	"sync"
	"time"
)

// A term is a context that ends at a time. Its timer starts when somebody first waits for
// the end: a store in memory never does, and the timer would cost it more than its work.
type term struct {
	context.Context // its parent
	until           time.Time

	mu     sync.Mutex
	ended  bool
	timed  context.Context // nil: nobody has waited yet
	cancel context.CancelFunc
}

// withTerm is context.WithDeadline by a term. The caller must call end.
func withTerm(parent context.Context, until time.Time) (_ context.Context, end context.CancelFunc) {
	if at, ok := parent.Deadline(); ok && at.Before(until) {
		until = at
	}
	t := &term{Context: parent, until: until}
	return t, t.end
}

// Deadline implements context.Context.
func (t *term) Deadline() (time.Time, bool) { return t.until, true }

// Done implements context.Context. It starts the timer.
func (t *term) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timed == nil {
		t.timed, t.cancel = context.WithDeadline(t.Context, t.until)
		if t.ended {
			t.cancel()
		}
	}
	return t.timed.Done()
}

// Err implements context.Context.
func (t *term) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.timed != nil:
		return t.timed.Err()
	case t.Context.Err() != nil:
		return t.Context.Err()
	case t.ended:
		return context.Canceled
	case !time.Now().Before(t.until):
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. Package context finds the timed context by it, so that
// a context made of t needs no goroutine.
func (t *term) Value(key any) any {
	t.mu.Lock()
	from := t.timed
	t.mu.Unlock()
	if from == nil {
		from = t.Context
	}
	return from.Value(key)
}

// end cancels t.
func (t *term) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.cancel != nil {
		t.cancel()
	}
}
