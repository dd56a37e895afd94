package channel

import (
	"context"
	"errors"
	"sync/atomic"
)

// A ReceiptFunc handles a receipt. A nil error means that it is stored and may
// be acknowledged to the provider. After any other error the channel lets the
// provider repeat it. It must not send messages, may run on a
// channel's reading goroutine, and must be safe for concurrent use.
type ReceiptFunc func(ctx context.Context, r Receipt) error

var (
	// ErrNotAttached is returned for receipts that come before
	// [Receipts.Attach].
	ErrNotAttached = errors.New("channel: no receipt handler attached yet")

	// ErrAttached is returned by [Receipts.Attach] if a handler is attached
	// already.
	ErrAttached = errors.New("channel: a receipt handler is attached already")
)

// Receipts joins channels to the handler of their receipts, although channels
// are built first: give each channel For(route), then hand the Receipts to the
// handler, which attaches itself. The zero value is ready for use.
type Receipts struct {
	handler atomic.Pointer[ReceiptFunc]
}

// For returns the function for a channel's configuration. It names the route,
// which a channel does not know, and passes the receipt on; before Attach it
// returns [ErrNotAttached].
func (r *Receipts) For(route string) ReceiptFunc {
	return func(ctx context.Context, rc Receipt) error {
		f := r.handler.Load()
		if f == nil {
			return ErrNotAttached
		}
		rc.Route = route
		return (*f)(ctx, rc)
	}
}

// Attach sets the handler of all receipts from now on, unless there is one:
// then the error is [ErrAttached]. nil detaches the handler, and returns nil.
func (r *Receipts) Attach(f ReceiptFunc) error {
	if f == nil {
		r.handler.Store(nil)
		return nil
	}
	if !r.handler.CompareAndSwap(nil, &f) {
		return ErrAttached
	}
	return nil
}
