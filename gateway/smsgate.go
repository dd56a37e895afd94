package gateway

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

// ErrClosed is the cause of errors after Close or Shutdown.
var ErrClosed = follow.ErrClosed

// SMSGate sends messages as SMS through Android phones that run the SMSGate
// app (sms-gate.app): by its cloud, by a private server, or by a phone itself.
// Create it with [NewSMSGate]; it is safe for concurrent use.
type SMSGate struct {
	config   SMSGateConfig
	base     *url.URL
	web      *web.Client
	tokens   *tokens
	devices  *devices
	follower *follow.Follower
	replays  replays

	mu     sync.Mutex
	closed bool
	sends  sync.WaitGroup

	// ended is cancelled when calls under way must return.
	ended context.Context
	end   context.CancelFunc
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
	g := &SMSGate{config: c, base: base, web: web.New(web.Config{HTTP: c.Client, Plaintext: c.DangerouslyPlaintext})}
	g.tokens = newTokens(g)
	g.devices = newDevices(g)
	f := follow.Config{Receipt: c.Receipt, Poll: g.poll, Interval: c.PollInterval, Logger: c.Logger}
	if c.PollInterval < 0 {
		f.Poll = nil
	}
	g.follower = follow.New(f)
	g.ended, g.end = context.WithCancel(context.Background())
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
		g.log(ctx, err)
		return channel.Submission{State: channel.Failed}, err
	}
	return channel.Submission{ProviderIDs: []string{m.ID}, State: channel.Sent}, nil
}

func (g *SMSGate) log(ctx context.Context, err error) {
	level := slog.LevelDebug
	if channel.ClassOf(err) == channel.Misconfigured {
		level = slog.LevelError
	}
	g.config.Logger.LogAttrs(ctx, level, "gateway: message not sent", slog.Any("error", err))
}

func (g *SMSGate) send(ctx context.Context, m *channel.Message) error {
	now := time.Now()
	if err := checkMessage(m, now); err != nil {
		return err
	}
	if !g.begin() {
		return &channel.Error{Class: channel.Temporary, Op: opSend, Err: ErrClosed}
	}
	defer g.sends.Done()
	ctx, cancel := g.bound(ctx, now, m.Expires)
	defer cancel()
	d := &delivery{g: g, m: m}
	if err := d.run(ctx); err != nil {
		return err
	}
	expires := m.Expires
	if expires.IsZero() {
		expires = now.Add(smsgateLife)
	}
	g.follower.Follow(follow.Message{ProviderID: m.ID, MessageID: m.ID, Expires: expires})
	return nil
}

// begin admits a call, unless the channel is closed.
func (g *SMSGate) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.sends.Add(1)
	return true
}

// bound ends ctx with SMSGateConfig.Timeout, the code's life, or the channel.
func (g *SMSGate) bound(ctx context.Context, now, expires time.Time) (context.Context, context.CancelFunc) {
	deadline, cause := now.Add(g.config.Timeout), context.DeadlineExceeded
	if !expires.IsZero() && expires.Before(deadline) {
		deadline, cause = expires, errExpired
	}
	ctx, cancelDeadline := context.WithDeadlineCause(ctx, deadline, cause)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.ended, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		cancelDeadline()
	}
}

// Shutdown refuses further messages and webhooks, ends polling, and waits for
// what is under way. When ctx ends first, that is cut off, as by Close, and
// Shutdown returns the context's error. What was submitted stays submitted: a
// process that starts later hears of it by webhook.
func (g *SMSGate) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		g.sends.Wait()
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = context.Cause(ctx)
		g.end()
		<-idle
	}
	if stopped := g.follower.Shutdown(ctx); err == nil {
		err = stopped
	}
	g.end()
	g.web.Close()
	return err
}

// Close refuses further messages and webhooks and cuts off what is under way.
// It may be called again.
func (g *SMSGate) Close() error {
	g.end()
	if err := g.follower.Close(); err != nil {
		return err
	}
	return g.Shutdown(context.Background())
}
