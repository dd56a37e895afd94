package smtp

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// ErrClosed is the cause of errors after [Channel.Close] or [Channel.Shutdown].
var ErrClosed = errors.New("smtp: channel closed")

// A Channel sends messages as e-mail through a relay, or one of several. Create it with
// [New]; it is safe for concurrent use. Logs and prints of it show no password.
//
// A connection stays open for the next message until it has been idle for
// Config.IdleTimeout, is 5 minutes old, or has carried Config.MaxMessages. A message costs
// two round trips if the relay offers PIPELINING, and four otherwise.
//
// If the relay refuses a connection while others work, or a mail because of too many
// connections (432 4.3.2), the number of the others becomes the limit. The message waits
// for one of them. The channel tries one more connection after a second, or later if the
// relay refuses it again.
//
// If the relay has closed an idle connection, the channel replaces it without an error,
// because it notices before it hands anything over. It does the same if an idle connection
// gives no reply to its first command within 5 seconds, or a third of the message's time.
// Unsolicited data on an idle connection is read as the reply to the next command: a 421
// is harmless, and other data causes an error at most.
//
// After a success, or a refusal of MAIL, RCPT or DATA, a connection is used again. After
// three refusals in a row it is left, because relays slow down a connection with many.
// After anything else it is closed.
type Channel struct {
	settings settings
	relays   []*relay

	lifecycle *transport.Lifecycle // of Sends
}

var _ channel.Channel = (*Channel)(nil)
var _ channel.Plaintexter = (*Channel)(nil)

// New returns a channel, without connecting to the relay. If a field of c is
// wrong, the error names it.
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

// Send submits m to the relay as mail to m.To.Email and returns when the relay has
// answered. The provider id is the relay's queue id if its reply shows one, else the
// Message-ID, which is made from m.ID.
//
// The error is an *[channel.Error]. Its Code is the enhanced status code of RFC 3463, such
// as "5.1.1", or else the reply code, such as "550". Its class is:
//
//   - Temporary: no connection, a refusal to greet, 421, 4xx; the connection was
//     lost before the final dot was written; the relay is left alone for a
//     moment; a token source or a signature failed
//   - Throttled: 421 4.7.28, 454 Throttling failure, 432 4.3.2, 550 5.4.5, or
//     Config.Rate has no room in the message's time
//   - InvalidRecipient: 5.1.1 5.1.2 5.1.3 5.1.6 5.1.10 5.2.1 after RCPT, unless the
//     words speak of a limit, a full mailbox or a policy; a malformed address, or
//     an address that needs SMTPUTF8 if no relay has it
//   - Unreachable: 4.1.1 4.1.2 4.2.1 4.2.2 5.2.2, and every other permanent refusal
//     after RCPT, which may be about the recipient: 504 5.5.2, 550, 554 5.7.1
//   - Misconfigured: 530 534 535 538 5.7.8 before RCPT, TLS, STARTTLS not offered,
//     no mechanism to log in by; every other permanent refusal of MAIL; the same
//     permanent refusal of several people's messages while none is accepted; a
//     message that cannot be written as mail
//   - Expired: Message.Expires has passed; nothing was handed over
//   - Unknown: no reply after the final dot; the mail may have been delivered
//
// A Temporary refusal after RCPT has Error.AboutRecipient, so that greylisting opens no
// breaker, unless it is 421, or about the mail system or the network (4.3.x and 4.4.x
// after DATA).
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

// refuse returns the error of a message that no relay was offered.
func refuse(class channel.Class, err error) error {
	return &channel.Error{Class: class, Op: "smtp: " + string(phaseMessage), Err: err}
}

func isIDChar(r rune) bool {
	return r == '-' || r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// Shutdown refuses further messages, waits for those under way, and closes the
// connections. If ctx ends first, Shutdown aborts the messages under way, as
// Close does, and returns the context's error.
func (c *Channel) Shutdown(ctx context.Context) error {
	err := c.lifecycle.Drain(ctx)
	for _, r := range c.relays {
		r.pool.close()
	}
	return err
}

// Close refuses further messages, aborts those under way, which return at once,
// and closes the connections. It may be called again.
func (c *Channel) Close() error {
	c.lifecycle.CutOff()
	return c.Shutdown(context.Background())
}

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Channel) Plaintext() bool {
	return slices.ContainsFunc(c.settings.relays, func(r Relay) bool { return r.DangerouslyPlaintext })
}
