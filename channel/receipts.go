package channel

import (
	"context"
	"errors"
	"sync/atomic"
)

// A ReceiptFunc handles a receipt. A nil error means that the receipt is
// stored: the channel may acknowledge it to the provider. After any other error
// the channel must let the provider repeat it. A ReceiptFunc must not send
// messages, and must be safe for concurrent use. It may run on a channel's
// reading goroutine.
type ReceiptFunc func(ctx context.Context, r Receipt) error

var (
	// ErrNotAttached is returned for a receipt before [Receipts.Attach].
	ErrNotAttached = errors.New("channel: no receipt handler attached yet")

	// ErrAttached is returned by [Receipts.Attach] if a handler is attached
	// already.
	ErrAttached = errors.New("channel: a receipt handler is attached already")
)

// Receipts joins channels to the handler of their receipts, which is built
// after them. Give each channel For(route), then pass the Receipts to the
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

// Attach sets the handler of all later receipts. If there is a handler already,
// the error is [ErrAttached]. Attach(nil) detaches the handler and returns nil.
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
