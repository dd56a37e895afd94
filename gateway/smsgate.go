package gateway

import (
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/lifecycle"
	"github.com/otpcourier/otpcourier/gateway/internal/token"
)

// SMSGate sends messages as SMS through Android phones that run the SMSGate
// app (sms-gate.app): by its cloud, by a private server, or by a phone itself.
// Create it with [NewSMSGate]; it is safe for concurrent use.
type SMSGate struct {
	life    *lifecycle.Lifecycle
	config  SMSGateConfig
	base    *url.URL
	tokens  *token.Cache
	devices *devices
	replays replays
}

var (
	_ channel.Channel  = (*SMSGate)(nil)
	_ channel.Canceler = (*SMSGate)(nil)
)

// NewSMSGate returns a channel, without connecting to the server. Its error
// names the field of c that is wrong.
func NewSMSGate(c SMSGateConfig) (*SMSGate, error) {
	c, base, err := c.settle()
	if err != nil {
		return nil, err
	}
	g := &SMSGate{config: c, base: base}
	g.tokens = token.New(token.Config{Op: opToken, Fetch: g.fetchToken})
	g.devices = newDevices(g)
	g.life = lifecycle.New(lifecycle.Config{
		Package: "gateway", Closed: ErrClosed, Timeout: c.Timeout, Logger: c.Logger,
		Client: c.Client, Plaintext: c.DangerouslyPlaintext,
		Receipt: c.Receipt, Poll: g.poll, PollInterval: c.PollInterval,
	})
	return g, nil
}

// onPhone reports whether a phone itself serves the API.
func (g *SMSGate) onPhone() bool { return g.base.Path == "" }

// String names the server and no secret.
func (g *SMSGate) String() string { return g.config.String() }

// GoString keeps secrets out of %#v.
func (g *SMSGate) GoString() string { return "gateway.SMSGate{" + g.config.String() + "}" }

// LogValue keeps secrets out of logs.
func (g *SMSGate) LogValue() slog.Value { return g.config.LogValue() }

// Send submits m to a phone and returns when the server has accepted it. The
// provider id is m.ID, which the server knows as an idempotency key for one
// phone: a message whose fate is not known is submitted again only with the
// same id to the same phone, in this call and in later ones, and counts as
// accepted where the server has it already.
//
// The error is an *[channel.Error] whose Code is the HTTP status, "503". The
// package comment tells which class means what.
func (g *SMSGate) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	if err := g.send(ctx, m); err != nil {
		g.life.NotSent(ctx, err)
		return channel.Submission{State: channel.Failed}, err
	}
	return channel.Submission{ProviderIDs: []string{m.ID}, State: channel.Sent}, nil
}

func (g *SMSGate) send(ctx context.Context, m *channel.Message) error {
	now := time.Now()
	if err := sendable.Check(m, now); err != nil {
		return err
	}
	ctx, end, err := g.life.Begin(ctx, opSend, m.Expires)
	if err != nil {
		return err
	}
	defer end()
	d := &delivery{g: g, m: m}
	if err := d.run(ctx); err != nil {
		return err
	}
	expires := m.Expires
	if expires.IsZero() {
		expires = now.Add(smsgateLife)
	}
	g.life.Follower.Follow(follow.Message{ProviderID: m.ID, MessageID: m.ID, Expires: expires})
	return nil
}
