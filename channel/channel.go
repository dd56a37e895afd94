package channel

import (
	"context"
	"time"
)

// A Channel delivers messages to people.
//
// Send submits m and returns when the provider, such as a carrier or a mail
// relay, has accepted or refused it. A [Receipt] reports later whether the message
// reached the person, if the channel has receipts. Send must be safe for
// concurrent use. It must return soon after ctx ends and soon after m.Expires,
// whichever is first, and must not submit a message after either.
//
// If Send is called again with the same Message.ID, it is the same message. A
// channel must pass the ID to its provider as the idempotency key, if the provider
// knows such keys. Otherwise Send must not submit a message again that may have
// gone out.
//
// An error is an *[Error]; its Class says whether the message may have gone
// out. The Submission is meaningful with an error, too: its Hops say which
// routes were tried. Send must neither change m nor keep it after returning.
//
// A Channel that wraps another must have a method Unwrap() Channel, so that
// [As] finds optional interfaces behind it.
type Channel interface {
	Send(ctx context.Context, m *Message) (Submission, error)
}

// Func lets an ordinary function be a Channel.
type Func func(ctx context.Context, m *Message) (Submission, error)

// Send calls f.
func (f Func) Send(ctx context.Context, m *Message) (Submission, error) { return f(ctx, m) }

var _ Channel = Func(nil)

// A Canceler is a Channel that can withdraw a message after its submission,
// until the message reaches the person. It is optional; find it with [As].
type Canceler interface {
	// Cancel asks the provider to drop the message for which Send returned s. A
	// nil error means that the message will not be delivered. Otherwise Cancel
	// returns an error, also if the message has been delivered already.
	Cancel(ctx context.Context, m *Message, s Submission) error
}

// A RouteLister is a Channel, or a [Router], that knows beforehand which routes
// it may use. Their order means nothing. It is optional; in a Channel find it
// with [As]. A nil result means that the routes depend on the message.
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

// A Prompter is a Channel that knows whether its Send keeps the contract of Channel
// whatever a provider does. It is optional, and [Try] looks for it in the channel
// itself only, not behind Unwrap.
type Prompter interface {
	// Prompt reports whether Send of c returns within a quarter of a second after
	// its context ends, and runs no code of the embedder. Try then calls SendUntil
	// in the caller's goroutine. c is the channel that is asked: for a type that
	// embeds the Prompter and has a Send of its own, Prompt must return false.
	Prompt(c Channel) bool

	// SendUntil is Send with a context that ends at until, too, unless until is
	// zero. A channel that waits with a timer of its own saves the context.
	SendUntil(ctx context.Context, m *Message, until time.Time) (Submission, error)
}

// As returns the first of c and the channels that it wraps whose type is T,
// usually an optional interface: channel.As[channel.Canceler](c). It follows
// methods Unwrap() Channel.
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
// failover skips them. An empty result means that no route serves this message.
// Route must neither change m nor keep it, and the caller must not change the
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
	// Name tells routes apart in receipts, logs and metrics, and chooses one by
	// name. Examples are "carrier-a" and "email". Required; one name must mean
	// one channel.
	Name string

	// Channel carries the message. Required. A failover must not be the channel
	// of a route: its routes belong in the outer failover's Router.
	Channel Channel

	// Address is the kind of address the channel needs. The route is skipped
	// for a recipient without one. Required.
	Address Address

	// Retry says how often the route is tried again before the next one.
	Retry Retry

	// Await is how long a delivery receipt is awaited before the next route
	// takes over. Zero: a submission is enough.
	Await time.Duration

	// Classes replaces the class that the channel gives an error, by
	// Error.Code. For example, a provider that answers "0x0B" (invalid
	// destination) for a country it does not serve needs {"0x0B": Unreachable}.
	Classes map[string]Class

	// Position and Explored are set by a Router that changes the order of another,
	// and leave a program alone: the place in the order before, from 1, zero if
	// it is the same, and whether the route comes first to learn of it.
	Position int
	Explored bool
}

// Retry says how often one route is tried for one message, and the pause
// between tries, which doubles each time and is jittered. A route is tried
// again only if the message surely was not sent.
type Retry struct {
	Attempts int           // in all; default 1: a retry only after Throttled with a RetryAfter
	Backoff  time.Duration // before the second attempt; default 200 ms
}
