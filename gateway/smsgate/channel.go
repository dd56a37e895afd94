package smsgate

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/lifecycle"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
)

// ErrClosed is the cause of errors after Close or Shutdown.
var ErrClosed = errors.New("smsgate: channel closed")

// A Channel sends messages as SMS through Android phones that run the SMSGate
// app (sms-gate.app): by its cloud, by a private server, or by a phone itself.
// Create it with [New]; it is safe for concurrent use.
type Channel struct {
	life    *lifecycle.Lifecycle
	config  Config
	base    *url.URL
	tokens  *token.Cache
	devices *devices
	replays replays
}

var (
	_ channel.Channel     = (*Channel)(nil)
	_ channel.Canceler    = (*Channel)(nil)
	_ channel.Plaintexter = (*Channel)(nil)
)

// New returns a channel, without connecting to the server. Its error names the
// field of c that is wrong.
func New(c Config) (*Channel, error) {
	base, err := c.validate()
	if err != nil {
		return nil, err
	}
	ch := &Channel{config: c, base: base}
	ch.tokens = token.New(token.Config{Op: opToken, Fetch: ch.fetchToken})
	ch.devices = newDevices(ch)
	ch.life = lifecycle.New(lifecycle.Config{
		Package: "smsgate", Closed: ErrClosed, Timeout: c.Timeout, Logger: c.Logger,
		Client: c.Client, Plaintext: c.DangerouslyPlaintext,
		Receipt: c.Receipt, Poll: ch.poll, PollInterval: c.PollInterval,
	})
	return ch, nil
}

// onPhone reports whether a phone itself serves the API.
func (c *Channel) onPhone() bool { return c.base.Path == "" }

// String names the server and no secret.
func (c *Channel) String() string { return c.config.String() }

// GoString keeps secrets out of %#v.
func (c *Channel) GoString() string { return "smsgate.Channel{" + c.config.String() + "}" }

// LogValue keeps secrets out of logs.
func (c *Channel) LogValue() slog.Value { return c.config.LogValue() }

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Channel) Plaintext() bool { return c.config.DangerouslyPlaintext }

// Send submits m to a phone and returns when the server has accepted it. The
// provider id is m.ID, which the server uses as an idempotency key for one
// phone. If the fate of a message is unknown, Send submits it again only with
// the same id to the same phone, in this call and in later ones. A message that
// the server has already counts as accepted.
//
// The error is an *[channel.Error] whose Code is the HTTP status, "503". The
// page OPERATING.md lists the classes.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	if err := c.send(ctx, m); err != nil {
		c.life.NotSent(ctx, err)
		return channel.Submission{State: channel.Failed}, err
	}
	return channel.Submission{ProviderIDs: []string{m.ID}, State: channel.Sent}, nil
}

func (c *Channel) send(ctx context.Context, m *channel.Message) error {
	now := time.Now()
	if err := sendable.Check(m, now); err != nil {
		return err
	}
	ctx, end, err := c.life.Begin(ctx, opSend, m.Expires)
	if err != nil {
		return err
	}
	defer end()
	d := &dispatch{channel: c, m: m}
	if err := d.run(ctx); err != nil {
		return err
	}
	expires := m.Expires
	if expires.IsZero() {
		expires = now.Add(defaultLife)
	}
	c.life.Follower.Follow(follow.Message{ProviderID: m.ID, MessageID: m.ID, Expires: expires})
	return nil
}

// Shutdown refuses further messages and webhooks, ends polling, and waits for
// the calls and receipts under way. If ctx ends first, Shutdown cuts them off
// and returns the context's error. Messages that were submitted stay submitted;
// a process that starts later gets their webhooks.
func (c *Channel) Shutdown(ctx context.Context) error { return c.life.Shutdown(ctx) }

// Close refuses further messages and webhooks and cuts off the calls under way,
// which return at once. It may be called again.
func (c *Channel) Close() error { return c.life.Close() }
