package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A Lifecycle admits the calls of a channel until the channel is closed. Make
// one with [NewLifecycle]; it is safe for concurrent use. Begin and End take no
// lock.
type Lifecycle struct {
	closedErr, expiredErr error

	closed atomic.Bool
	calls  atomic.Int64
	once   sync.Once
	idle   chan struct{} // closed after Refuse, once all calls have ended

	ended context.Context // cancelled when calls under way must return
	end   context.CancelCauseFunc
}

// NewLifecycle returns a Lifecycle. The contexts of Bound end with the cause
// closed after CutOff, and with the cause expired at the end of a code's life.
func NewLifecycle(closed, expired error) *Lifecycle {
	l := &Lifecycle{closedErr: closed, expiredErr: expired, idle: make(chan struct{})}
	l.ended, l.end = context.WithCancelCause(context.Background())
	return l
}

// Begin reports whether a call may begin. If so, End must follow.
func (l *Lifecycle) Begin() bool {
	l.calls.Add(1) // before the look at closed, so that Refuse sees the call or the call sees Refuse
	if l.closed.Load() {
		l.End()
		return false
	}
	return true
}

// End ends a call.
func (l *Lifecycle) End() {
	if l.calls.Add(-1) == 0 && l.closed.Load() {
		l.finish()
	}
}

// Refuse admits no further calls. It may be called again.
func (l *Lifecycle) Refuse() {
	l.closed.Store(true)
	if l.calls.Load() == 0 {
		l.finish()
	}
}

func (l *Lifecycle) finish() { l.once.Do(func() { close(l.idle) }) }

// Closed reports whether Refuse was called.
func (l *Lifecycle) Closed() bool { return l.closed.Load() }

// Idle is closed once Refuse was called and every call has ended.
func (l *Lifecycle) Idle() <-chan struct{} { return l.idle }

// CutOff refuses further calls and cancels the contexts of those under way.
func (l *Lifecycle) CutOff() {
	l.Refuse()
	l.end(l.closedErr)
}

// Drain refuses further calls and waits for those under way. If ctx ends first,
// Drain cuts them off, waits until they have returned, and returns the cause of
// ctx.
func (l *Lifecycle) Drain(ctx context.Context) error {
	l.Refuse()
	select {
	case <-l.idle:
		return nil
	case <-ctx.Done():
		l.CutOff()
		<-l.idle
		return context.Cause(ctx)
	}
}

// Bound returns a context that ends with ctx, at the deadline, at the end of
// the code's life (unless expires is zero), or with CutOff.
func (l *Lifecycle) Bound(ctx context.Context, deadline, expires time.Time) (context.Context, context.CancelFunc) {
	cause := context.DeadlineExceeded
	if !expires.IsZero() && expires.Before(deadline) {
		deadline, cause = expires, l.expiredErr
	}
	ctx, cancelDeadline := context.WithDeadlineCause(ctx, deadline, cause)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.ended, func() { cancel(context.Cause(l.ended)) })
	return ctx, func() {
		stop()
		cancel(nil)
		cancelDeadline()
	}
}

// ErrCallbackRuns is the error of a Close that stopped waiting for a callback
// of the embedder's.
var ErrCallbackRuns = errors.New("close: a callback has not returned yet")

// A CloseDeadline bounds how long Close waits for goroutines that run callbacks
// of the embedder's: a callback may ignore its context, and a callback that
// calls Close would wait for itself. The time counts from the first Await. The
// zero value is ready; it is safe for concurrent use.
type CloseDeadline struct {
	once sync.Once
	ends time.Time
}

// Await waits for done, at most until d after the first Await.
func (c *CloseDeadline) Await(done <-chan struct{}, d time.Duration) error {
	c.once.Do(func() { c.ends = time.Now().Add(d) })
	t := time.NewTimer(time.Until(c.ends))
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
	}
	select {
	case <-done: // both were ready
		return nil
	default:
		return ErrCallbackRuns
	}
}
