package pull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

// ErrClosed is the cause of errors after Close.
var ErrClosed = errors.New("pull: channel closed")

// minLife is what must be left of a code's life for its message to be handed
// out: the phone needs time to send it, and the person to type it.
const minLife = 5 * time.Second

// Operations, in errors.
const (
	opSend   = "pull: send"
	opCancel = "pull: cancel"
)

var errFetched = errors.New("a phone may have the message")

// sendable are the requirements of a message. Reports on other ids are dropped.
var sendable = message.Rules{Op: opSend, Life: minLife, ID: true, Text: true}

// A Channel is a [channel.Channel] for phones that poll, and the [http.Handler]
// that they poll. Create it with [New]; it is safe for concurrent use.
type Channel struct {
	config Config
	phones map[string]Phone
	life   *transport.Lifecycle // refuses under mu

	throttle throttle

	mu      sync.Mutex
	polled  time.Time // by any phone; at first, when this Channel was made
	entries map[string]*entry
	queue   []*entry            // waiting, oldest first
	leases  map[string][]*entry // handed out and not reported on, by phone
	handed  []*entry            // all that were handed out, oldest first
	others  others

	// reporting has the ids of the messages on which Receipt runs; the Go channel
	// is closed when Receipt returns.
	reporting map[string]chan struct{}
}

var (
	_ channel.Channel     = (*Channel)(nil)
	_ channel.Canceler    = (*Channel)(nil)
	_ channel.Plaintexter = (*Channel)(nil)
	_ http.Handler        = (*Channel)(nil)
)

// New returns a Channel. Its error names the field of c that is wrong.
func New(c Config) (*Channel, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	ch := &Channel{
		config: c, phones: make(map[string]Phone, len(c.Phones)),
		life:    transport.NewLifecycle(ErrClosed, message.ErrExpired),
		entries: make(map[string]*entry), leases: make(map[string][]*entry), polled: time.Now(),
		reporting: make(map[string]chan struct{}),
	}
	for _, phone := range c.Phones {
		ch.phones[phone.ID] = phone
	}
	return ch, nil
}

// String returns the number of phones.
func (c *Channel) String() string { return c.config.String() }

// GoString keeps credentials and texts out of %#v.
func (c *Channel) GoString() string { return "pull.Channel{" + c.String() + "}" }

// LogValue keeps credentials and texts out of logs.
func (c *Channel) LogValue() slog.Value { return c.config.LogValue() }

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Channel) Plaintext() bool { return c.config.DangerouslyPlaintext }

// sendError is an error of Send.
func sendError(class channel.Class, what string, cause error) error {
	err := errors.New(what)
	if cause != nil {
		err = fmt.Errorf("%s: %w", what, cause)
	}
	return &channel.Error{Class: class, Op: opSend, Err: err}
}

// Send returns once a phone has fetched m. The package comment tells how long
// that takes, and the classes of the errors.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	if err := c.check(ctx, m); err != nil {
		return channel.Submission{State: channel.Failed}, err
	}
	e, err := c.enqueue(m)
	if err == nil {
		err = c.await(ctx, e)
	}
	if err != nil {
		return channel.Submission{State: channel.Failed}, err
	}
	return channel.Submission{State: channel.Sent, ProviderIDs: []string{m.ID}}, nil
}

func (c *Channel) check(ctx context.Context, m *channel.Message) error {
	if err := sendable.Check(m, time.Now()); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return sendError(channel.Temporary, "not queued", context.Cause(ctx))
	}
	return nil
}

// await returns when e was fetched, or withdraws it.
func (c *Channel) await(ctx context.Context, e *entry) error {
	started := time.Now()
	for {
		until, class, why := c.deadline(e, started)
		timer := time.NewTimer(time.Until(until))
		select {
		case <-e.done:
			timer.Stop()
			return c.leave(e, nil)
		case <-ctx.Done():
			timer.Stop()
			return c.leave(e, sendError(channel.Temporary, "not fetched by a phone", context.Cause(ctx)))
		case <-timer.C:
			// A poll in the meantime gives its phone another Wait.
			if again, _, _ := c.deadline(e, started); again.After(until) {
				continue
			}
			return c.leave(e, sendError(class, why, nil))
		}
	}
}

// deadline returns until when a Send waits, and the error if no phone comes.
func (c *Channel) deadline(e *entry, started time.Time) (until time.Time, class channel.Class, why string) {
	c.mu.Lock()
	polled := c.polled
	c.mu.Unlock()
	until, class, why = started.Add(c.config.Wait), channel.Temporary, "no phone has fetched it in time"
	if away := polled.Add(c.config.Wait); away.Before(until) {
		until, why = away, "no phone polls"
	}
	if !e.expires.IsZero() {
		if last := e.expires.Add(-minLife); last.Before(until) {
			until, class, why = last, channel.Expired, "no phone has fetched it before the code's end"
		}
	}
	return until, class, why
}

// Cancel withdraws a message that no phone has fetched yet; its Send then
// returns an error of class Temporary. A message that a phone may have is not
// handed out again, and the error's class is Unknown.
func (c *Channel) Cancel(_ context.Context, m *channel.Message, _ channel.Submission) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[m.ID]
	if e != nil && e.state == waiting {
		c.withdraw(e, sendError(channel.Temporary, "cancelled before a phone has fetched it", nil))
		return nil
	}
	if e != nil {
		c.release(e)
	}
	return &channel.Error{Class: channel.Unknown, Op: opCancel, Err: errFetched}
}

// Close withdraws the messages that wait for a phone, whose Sends then return an
// error of class Temporary, and answers all further polls with 503. It may be
// called again.
func (c *Channel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life.Refuse()
	for len(c.queue) > 0 {
		c.withdraw(c.queue[0], &channel.Error{Class: channel.Temporary, Op: opSend, Err: ErrClosed})
	}
	for _, e := range c.entries {
		if e.state == doubted {
			e.lose()
		}
	}
	return nil
}
