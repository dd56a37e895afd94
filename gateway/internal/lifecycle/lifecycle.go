// Package lifecycle carries a channel below gateway that makes HTTP requests
// from its first call to its end: the calls under way, the client that they
// use, and the follower of the messages that they submitted.
package lifecycle

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// Config describes a channel. Its constructor has validated the fields.
type Config struct {
	Package string        // log messages begin with it
	Closed  error         // the cause of errors after Close or Shutdown
	Timeout time.Duration // of a call
	Logger  *slog.Logger

	Client    *http.Client // default: see [web.Config]
	Plaintext bool         // http URLs are permitted

	// Receipt is called with the states of messages. Nil: no message is
	// followed.
	Receipt channel.ReceiptFunc

	// Poll asks the provider for a message's state, first after PollInterval.
	// If Poll is nil or PollInterval negative, the provider is not asked.
	Poll         func(ctx context.Context, providerID string) (follow.Update, error)
	PollInterval time.Duration
}

// A Lifecycle is that of one channel. It is safe for concurrent use.
type Lifecycle struct {
	Web      *web.Client
	Follower *follow.Follower

	config Config
	calls  *transport.Lifecycle
}

// New returns a Lifecycle and starts its follower.
func New(c Config) *Lifecycle {
	f := follow.Config{
		Package: c.Package, Closed: c.Closed, Receipt: c.Receipt,
		Poll: c.Poll, Interval: c.PollInterval, Logger: c.Logger,
	}
	if c.PollInterval < 0 {
		f.Poll = nil
	}
	return &Lifecycle{
		Web:      web.New(web.Config{HTTP: c.Client, Plaintext: c.Plaintext}),
		Follower: follow.New(f),
		config:   c,
		calls:    transport.NewLifecycle(c.Closed, message.ErrExpired),
	}
}

// Begin admits a call and bounds its context by the timeout, the code's life
// (unless expires is zero) and the channel's end. If the channel is closed, the
// error has class Temporary; if not, end must be called when the call returns.
func (l *Lifecycle) Begin(
	ctx context.Context, op string, expires time.Time,
) (bound context.Context, end func(), err error) {
	if !l.calls.Begin() {
		return nil, nil, &channel.Error{Class: channel.Temporary, Op: op, Err: l.config.Closed}
	}
	bound, cancel := l.calls.Bound(ctx, time.Now().Add(l.config.Timeout), expires)
	return bound, func() {
		cancel()
		l.calls.End()
	}, nil
}

// NotSent logs why a message was not sent: as an error if the channel is
// misconfigured, else for debugging.
func (l *Lifecycle) NotSent(ctx context.Context, err error) {
	level := slog.LevelDebug
	if channel.ClassOf(err) == channel.Misconfigured {
		level = slog.LevelError
	}
	l.config.Logger.LogAttrs(ctx, level, l.config.Package+": message not sent", slog.Any("error", err))
}

// Shutdown refuses further calls and reports, ends polling, and waits for the
// calls and receipts under way. If ctx ends first, Shutdown cuts them off and
// returns the context's error.
func (l *Lifecycle) Shutdown(ctx context.Context) error {
	err := l.calls.Drain(ctx)
	if stopped := l.Follower.Shutdown(ctx); err == nil {
		err = stopped
	}
	l.calls.CutOff()
	l.Web.Close()
	return err
}

// Close is Shutdown, but cuts off the calls under way. It may be called again.
func (l *Lifecycle) Close() error {
	l.calls.CutOff()
	_ = l.Follower.Close() // cuts off, where Shutdown waits
	return l.Shutdown(context.Background())
}
