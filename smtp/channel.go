package smtp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// ErrClosed is the cause of errors after [Channel.Close] or
// [Channel.Shutdown].
var ErrClosed = errors.New("smtp: channel closed")

// A Channel sends messages as e-mail through a relay, or one of several. Create it
// with [New]; it is safe for concurrent use. Logged or printed with %v it shows no
// password.
type Channel struct {
	settings settings
	relays   []*relay

	lifecycle *transport.Lifecycle // of Sends
}

var _ channel.Channel = (*Channel)(nil)

// New returns a channel, without connecting to the relay. Its error names the
// field of c that is wrong.
func New(c Config) (*Channel, error) {
	s, err := c.validate()
	if err != nil {
		return nil, err
	}
	ch := &Channel{settings: s, lifecycle: transport.NewLifecycle(ErrClosed, errExpired)}
	for _, config := range s.relays {
		ch.relays = append(ch.relays, newRelay(&s, config))
	}
	return ch, nil
}

// String names the first relay and no secret.
func (c *Channel) String() string { return c.settings.Config.String() }

// GoString keeps the passwords out of %#v.
func (c *Channel) GoString() string { return "smtp.Channel{" + c.settings.Addr + "}" }

// LogValue keeps the passwords out of logs.
func (c *Channel) LogValue() slog.Value { return c.settings.Config.LogValue() }

// Send submits m to the relay as mail to m.To.Email and returns when the relay
// has answered. The provider id is the relay's queue id where its answer shows
// one, else the Message-ID, which is made from m.ID.
//
// The error is an *[channel.Error] whose Code is the enhanced status code of
// RFC 3463, "5.1.1", or else the reply code, "550". The package comment lists
// the classes.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	id, err := c.send(ctx, m)
	if err != nil {
		c.log(ctx, err)
		return channel.Submission{State: channel.Failed}, err
	}
	return channel.Submission{ProviderIDs: []string{id}, State: channel.Sent}, nil
}

func (c *Channel) log(ctx context.Context, err error) {
	level := slog.LevelDebug
	if channel.ClassOf(err) == channel.Misconfigured {
		level = slog.LevelError
	}
	c.settings.Logger.LogAttrs(ctx, level, "smtp: message not sent", slog.Any("error", err))
}

func (c *Channel) send(ctx context.Context, m *channel.Message) (string, error) {
	now := time.Now()
	if !m.Expires.IsZero() && !now.Before(m.Expires) {
		return "", refuse(channel.Expired, errExpired)
	}
	to, needsUTF8, err := addrspec.Wire(m.To.Email)
	if err != nil {
		return "", refuse(channel.InvalidRecipient, err)
	}
	mail, err := c.settings.compose(m, to, now)
	if err != nil {
		return "", composeError(err)
	}
	if len(c.relays) > 1 {
		mail.signed = new([]signed)
	}
	if !c.lifecycle.Begin() {
		return "", refuse(channel.Temporary, ErrClosed)
	}
	defer c.lifecycle.End()

	ctx, cancel := c.lifecycle.Bound(ctx, now.Add(c.settings.Timeout), m.Expires)
	defer cancel()
	text, err := c.deliver(ctx, envelope{
		from: c.settings.envelopeFrom(m), to: to, utf8: needsUTF8,
		dsn: c.settings.DSN, id: m.ID, mail: mail,
	})
	if err != nil {
		return "", err
	}
	if id := providerID(text); id != "" {
		return id, nil
	}
	return mail.id, nil
}

// refuse returns the error of a message that is not offered to a relay.
func refuse(class channel.Class, err error) error {
	return &channel.Error{Class: class, Op: "smtp: " + string(phaseMessage), Err: err}
}

func isIDChar(r rune) bool {
	return r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// Shutdown refuses further messages, waits for those under way, and closes the
// connections. If ctx ends first, Shutdown cuts off the messages under way, as
// Close does, and returns the context's error.
func (c *Channel) Shutdown(ctx context.Context) error {
	err := c.lifecycle.Drain(ctx)
	for _, r := range c.relays {
		r.pool.close()
	}
	return err
}

// Close refuses further messages, cuts off those under way, which return at
// once, and closes the connections. It may be called again.
func (c *Channel) Close() error {
	c.lifecycle.CutOff()
	return c.Shutdown(context.Background())
}
