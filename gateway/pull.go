package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/message"
)

// PullConfig describes a [Pull].
type PullConfig struct {
	// Phones are those that may poll. At least one is required.
	Phones []PullPhone

	// Receipt is told what the phones report. An error from it makes the phone
	// report again. Default: reports are dropped.
	Receipt channel.ReceiptFunc

	// Wait is how long Send waits for a phone to fetch its message, and how
	// long a phone may go without polling before it counts as away: while all
	// are away, Send fails at once. It should be a little longer than the
	// phones' interval, of which Android makes a minute or more. Default 65 s.
	Wait time.Duration

	// Lease is how long a phone has to report on a message before the same
	// phone is given it again, in case it never read the answer. Phones ignore
	// an id that they know. No other phone ever gets it: that would be a
	// second SMS. Default 30 s.
	Lease time.Duration

	// MaxQueue is how many messages may wait for a phone; more are refused
	// with class Throttled. Default 100.
	MaxQueue int

	// DangerouslyPlaintext serves requests that did not come over TLS. Codes
	// and credentials are then readable between the phone and whoever
	// terminates TLS: set it only where that is a reverse proxy on the same
	// host. Default: they are answered with 403.
	DangerouslyPlaintext bool

	// Remote tells who sends a request, to slow down whoever guesses. Behind a
	// reverse proxy take the address that the proxy passes on, or all phones
	// are one to it. Default: the address in RemoteAddr, of IPv6 its /64.
	Remote func(*http.Request) string

	// Logger is told of refused and doubtful requests, without numbers, texts
	// and credentials. Default: nobody.
	Logger *slog.Logger
}

// A PullPhone is a phone that may poll, with at least one of the two ways to
// prove that it is who it says.
type PullPhone struct {
	// ID is the phone's own: the user name of Basic authentication, or the id
	// in the URL of multiOTP's SMSGatewayApp. Required.
	ID string

	// Password is that of Basic authentication (RFC 7617), for CHT Gateway,
	// whose URL is https://ID:Password@host/path. The app takes no "#", "/",
	// "?" and "@" in it. It should be long and random. Default: no Basic
	// authentication.
	Password string

	// WeakHashSecret allows multiOTP's SMSGatewayApp, whose URL is
	// https://host/path?id=ID&h=HASH with the first six digits of the MD5 of
	// WeakHashSecret, "#salt@" and ID in hex. Six digits are 24 bits, the same
	// in every request, and in the logs of every proxy: who knows them reads
	// the codes. They resist guessing only because ten wrong ones within a
	// minute shut everyone out who comes with this ID until the minute is
	// over. The app takes Basic authentication as well: prefer Password.
	// Default: not allowed.
	WeakHashSecret string
}

// String keeps the credentials out of logs.
func (p PullPhone) String() string { return "phone " + p.ID }

// GoString keeps the credentials out of %#v.
func (p PullPhone) GoString() string { return "gateway.PullPhone{" + p.String() + "}" }

// LogValue keeps the credentials out of logs.
func (p PullPhone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Pull is a [channel.Channel] for phones that cannot be called: they poll. It is
// the web server of CHT Gateway (formerly medic-gateway) and of multiOTP's
// SMSGatewayApp, which is made from it; the protocol is in CHT Gateway's README.
//
//	phones, err := gateway.NewPull(gateway.PullConfig{
//		Phones:  []gateway.PullPhone{{ID: "pixel", Password: secret}},
//		Receipt: receipts.For("phones"),
//	})
//	mux.Handle("/sms", phones) // the phone's URL: https://pixel:secret@otp.example.com/sms
//
// # Send
//
// Send returns when a phone has fetched the message, not before: only then has
// anyone taken it. Until then it can be withdrawn, and if nobody comes within
// Wait, or ctx or the code's life end, it is, with class Temporary (or Expired):
// such a message has certainly not been sent, so that the next route can take
// over without a second SMS. With phones that poll every 30 to 60 seconds this
// takes as long, which is what such phones cost: use them as the last route, or
// send asynchronously.
//
// A message is never handed out after Expires, nor with less than five seconds
// left. But the phone knows no expiry: one without service tries again, with
// growing pauses, up to 20 times. What comes then is a code that no longer
// works.
//
// The state of the Submission is Sent, its provider id the Message.ID. The same
// Message.ID is one message, as long as it is among the last 10,000 handed out.
//
// # Receipts
//
// The phone's PENDING only ends the lease. SENT, DELIVERED and FAILED become
// receipts, the last with class Unreachable and the phone's reason as the code;
// states that go backwards or come again are dropped. What the phone says of
// messages that this Pull does not know, because another process or an earlier
// one handed them out, is told as well. SMS that the phone has received are
// acknowledged and dropped unread.
//
// Since nothing comes from a phone that breaks down with a message, give the
// route an Await.
//
// # Requests
//
// A request needs TLS and valid credentials. After ten failures within a minute
// of one remote, or with the hash of one ID, everything of that remote or ID is
// answered with 429 until the minute is over. Bodies are limited to 256 KiB.
// A receipt that cannot be stored is answered with 503: the phone reports again.
//
// # Concurrency
//
// A Pull is safe for concurrent use and has no goroutines of its own. Receipt
// runs once at a time for each message. The messages are in the memory of this
// process, which is therefore the one that the phones must poll.
type Pull struct {
	config PullConfig
	phones map[string]PullPhone
	guard  pullGuard

	mu      sync.Mutex
	closed  bool
	polled  time.Time // by any phone; at first, when this Pull was made
	entries map[string]*pulled
	queue   []*pulled            // waiting, oldest first
	leases  map[string][]*pulled // handed out and not reported on, by phone
	handed  []*pulled            // all that were handed out, oldest first

	// telling has the ids of the messages on which a report is being passed on;
	// the channel is closed when that is over.
	telling map[string]chan struct{}
}

var (
	_ channel.Channel  = (*Pull)(nil)
	_ channel.Canceler = (*Pull)(nil)
	_ http.Handler     = (*Pull)(nil)
)

// pullMinLife is what must be left of a code's life for it to be handed out: the
// phone needs time to send it, and the person to type it.
const pullMinLife = 5 * time.Second

// NewPull returns a Pull, or an error that names the field that is wrong.
func NewPull(c PullConfig) (*Pull, error) {
	if len(c.Phones) == 0 {
		return nil, errors.New("gateway: PullConfig.Phones is required")
	}
	p := &Pull{
		phones: make(map[string]PullPhone, len(c.Phones)), entries: make(map[string]*pulled),
		leases: make(map[string][]*pulled), polled: time.Now(), telling: make(map[string]chan struct{}),
	}
	for i, phone := range c.Phones {
		_, taken := p.phones[phone.ID]
		switch {
		case phone.ID == "":
			return nil, fmt.Errorf("gateway: PullConfig.Phones[%d].ID is required", i)
		case taken:
			return nil, fmt.Errorf("gateway: PullConfig.Phones[%d].ID is that of another phone", i)
		case phone.Password == "" && phone.WeakHashSecret == "":
			return nil, fmt.Errorf("gateway: PullConfig.Phones[%d].Password is required, or WeakHashSecret", i)
		}
		p.phones[phone.ID] = phone
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{{"Wait", &c.Wait, 65 * time.Second}, {"Lease", &c.Lease, 30 * time.Second}} {
		if *d.value < 0 {
			return nil, fmt.Errorf("gateway: PullConfig.%s is negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if c.MaxQueue < 0 {
		return nil, errors.New("gateway: PullConfig.MaxQueue is negative")
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = 100
	}
	if c.Remote == nil {
		c.Remote = remoteHost
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	p.config = c
	return p, nil
}

// String tells no secret.
func (p *Pull) String() string { return fmt.Sprintf("pull by %d phones", len(p.phones)) }

// GoString keeps credentials and texts out of %#v.
func (p *Pull) GoString() string { return "gateway.Pull{" + p.String() + "}" }

// LogValue keeps credentials and texts out of logs.
func (p *Pull) LogValue() slog.Value { return slog.StringValue(p.String()) }

const opPull = "gateway: pull"

// pullError is an error of Send and Cancel.
func pullError(class channel.Class, what string, cause error) error {
	err := errors.New(what)
	if cause != nil {
		err = fmt.Errorf("%s: %w", what, cause)
	}
	return &channel.Error{Class: class, Op: opPull, Err: err}
}

// Send waits until a phone has fetched m. See [Pull].
func (p *Pull) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	if err := p.check(ctx, m); err != nil {
		return channel.Submission{State: channel.Failed}, err
	}
	e, err := p.enqueue(m)
	if err == nil {
		err = p.await(ctx, e)
	}
	if err != nil {
		return channel.Submission{State: channel.Failed}, err
	}
	return channel.Submission{State: channel.Sent, ProviderIDs: []string{m.ID}}, nil
}

func (p *Pull) check(ctx context.Context, m *channel.Message) error {
	rules := message.Rules{Op: opPull, Life: pullMinLife, ID: true, Text: true}
	if err := rules.Check(m, time.Now()); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return pullError(channel.Temporary, "not queued", context.Cause(ctx))
	}
	return nil
}

// await returns when e was fetched, or withdraws it.
func (p *Pull) await(ctx context.Context, e *pulled) error {
	started := time.Now()
	for {
		until, class, why := p.patience(e, started)
		timer := time.NewTimer(time.Until(until))
		select {
		case <-e.done:
			timer.Stop()
			return p.leave(e, nil)
		case <-ctx.Done():
			timer.Stop()
			return p.leave(e, pullError(channel.Temporary, "not fetched by a phone", context.Cause(ctx)))
		case <-timer.C:
			// A poll in the meantime gives its phone another Wait.
			if again, _, _ := p.patience(e, started); again.After(until) {
				continue
			}
			return p.leave(e, pullError(class, why, nil))
		}
	}
}

// patience says until when a Send waits, and what it means that nobody came.
func (p *Pull) patience(e *pulled, started time.Time) (until time.Time, class channel.Class, why string) {
	p.mu.Lock()
	polled := p.polled
	p.mu.Unlock()
	until, class, why = started.Add(p.config.Wait), channel.Temporary, "no phone has fetched it in time"
	if away := polled.Add(p.config.Wait); away.Before(until) {
		until, why = away, "no phone polls"
	}
	if !e.expires.IsZero() {
		if last := e.expires.Add(-pullMinLife); last.Before(until) {
			until, class, why = last, channel.Expired, "no phone has fetched it while the code lived"
		}
	}
	return until, class, why
}

// Cancel withdraws a message that no phone has fetched yet; its Send then
// returns an error of class Temporary. A message that was fetched is not handed
// out again, but cannot be taken back: Cancel says so with an error.
func (p *Pull) Cancel(_ context.Context, m *channel.Message, _ channel.Submission) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[m.ID]
	if e != nil && e.state == pullWaiting {
		p.withdraw(e, pullError(channel.Temporary, "cancelled before a phone has fetched it", nil))
		return nil
	}
	if e != nil {
		p.release(e)
	}
	return pullError(channel.Unknown, "cannot be cancelled, a phone may have it", nil)
}

// Close withdraws what waits for a phone, whose Sends then return, and answers
// all further polls with 503. It may be called again.
func (p *Pull) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for len(p.queue) > 0 {
		p.withdraw(p.queue[0], pullError(channel.Temporary, "closed", nil))
	}
	for _, e := range p.entries {
		if e.state == pullDoubted {
			e.lose()
		}
	}
	return nil
}
