package channel

import (
	"context"
	"time"
)

// A Channel delivers messages to people.
//
// Send submits m and returns when the next hop has taken responsibility for it
// or refused it; whether the message reaches the person is told later by a
// [Receipt], where the channel has any. Send must be safe for concurrent use,
// must return soon after ctx ends, and must not submit a message after
// m.Expires. A repeated call with the same Message.ID is the same message: a
// channel whose provider knows idempotency keys passes it on as one.
//
// An error is an *[Error]; its Class says whether the message may have gone
// out. The Submission is meaningful with an error, too: its Hops say which
// routes were tried. Send neither changes m nor keeps it after returning.
//
// A Channel that wraps another has a method Unwrap() Channel, so that [As]
// finds optional interfaces behind it.
type Channel interface {
	Send(ctx context.Context, m *Message) (Submission, error)
}

// Func lets an ordinary function be a Channel.
type Func func(ctx context.Context, m *Message) (Submission, error)

// Send calls f.
func (f Func) Send(ctx context.Context, m *Message) (Submission, error) { return f(ctx, m) }

var _ Channel = Func(nil)

// A Canceler is a Channel that can withdraw a message it has submitted and
// that has not reached the person yet. It is optional; find it with [As].
type Canceler interface {
	// Cancel asks the provider to drop the message that Send answered with s.
	// A nil error means that it will not be delivered; any other outcome,
	// delivered before included, is an error.
	Cancel(ctx context.Context, m *Message, s Submission) error
}

// A RouteLister is a Channel, or a [Router], that knows beforehand which routes
// it may use, in no particular order. It is optional; in a Channel find it with
// [As]. A nil result means that the routes are not known before a message is
// there.
type RouteLister interface {
	Routes() []Route
}

// A Planner is a Channel that knows which routes it would try for a message,
// best first. It is optional; find it with [As].
type Planner interface {
	Plan(ctx context.Context, m *Message) ([]Route, error)
}

// A Plaintexter is a Channel that may send in plaintext: its configuration
// permits a connection without TLS. It is optional; find it with [As].
type Plaintexter interface {
	Plaintext() bool
}

// As returns the first of c and what it wraps that has type T, usually an
// optional interface: channel.As[channel.Canceler](c). It follows methods
// Unwrap() Channel.
func As[T any](c Channel) (T, bool) {
	for c != nil {
		if t, ok := c.(T); ok {
			return t, true
		}
		w, ok := c.(interface{ Unwrap() Channel })
		if !ok {
			break
		}
		c = w.Unwrap()
	}
	var none T
	return none, false
}

// A Router picks the routes for a message, best first.
//
// Route is called once for each Send and must be safe for concurrent use. It
// may return routes that m cannot use (no address of that kind, in Tried): the
// failover skips them. An empty result means that nobody serves this message.
// It neither changes m nor keeps it, and the caller does not change the
// returned slice.
type Router interface {
	Route(ctx context.Context, m *Message) ([]Route, error)
}

// RouterFunc lets an ordinary function be a Router.
type RouterFunc func(ctx context.Context, m *Message) ([]Route, error)

// Route calls f.
func (f RouterFunc) Route(ctx context.Context, m *Message) ([]Route, error) { return f(ctx, m) }

var _ Router = RouterFunc(nil)

// A Route is one way to reach a person: a channel and the terms of its use.
type Route struct {
	// Name tells routes apart, "carrier-a", "email": in receipts, logs and
	// metrics, and to choose one by name. Required; one name is one channel.
	Name string

	// Channel carries the message. Required. A failover is no channel of a
	// route: its routes belong into the outer one's Router.
	Channel Channel

	// Address is the kind of address the channel needs. The route is skipped
	// for a recipient without one. Required.
	Address Address

	// Retry says how often the route is tried again before the next one.
	Retry Retry

	// Await is how long a delivery receipt is awaited before the next route
	// takes over. Zero: a submission is enough.
	Await time.Duration

	// Classes replaces what the channel says of an error, by Error.Code: a
	// provider that answers "0x0B" (invalid destination) for a country it
	// does not serve is given {"0x0B": Unreachable}.
	Classes map[string]Class
}

// Retry is how often one route is tried for one message, and the pause in
// between, which doubles each time and is jittered. Only errors after which
// the message is known not to be sent are retried.
type Retry struct {
	Attempts int           // in all; default 1, no retry but after Throttled with a RetryAfter
	Backoff  time.Duration // before the second attempt; default 200 ms
}
