package smpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A Client is an ESME: it keeps its binds to an SMSC standing and submits
// messages over them. It is safe for concurrent use.
type Client struct {
	config    Config
	links     []*link // fixed; their fields are guarded by mu
	pace      *pacer
	inbox     *inbox               // hands receipts and messages over
	ledger    *ledger              // message ids; nil: Config.Receipt is nil
	life      *transport.Lifecycle // of calls of Send and Cancel; refuses under mu
	reference atomic.Uint32        // of the last long message

	cancel         context.CancelFunc // ends the goroutines of the client
	stopConnecting context.CancelFunc // ends reconnecting only
	unlinked       chan struct{}      // closed when every connection is closed for good
	stopped        chan struct{}      // closed when run has returned
	receivers      sync.WaitGroup     // goroutines that hand receipts over; run waits for them
	deadline       transport.CloseDeadline
	events         chan Event // queue for Config.Event; run closes it

	mu       sync.Mutex
	failure  error         // of the last failed link
	accepted wire.Bind     // credentials that the SMSC accepted last
	next     int           // index of the link that pick looks at first
	changed  chan struct{} // closed and replaced when a link changes
}

var (
	_ channel.Plaintexter = (*Client)(nil)
	_ channel.Channel     = (*Client)(nil)
	_ channel.Canceler    = (*Client)(nil)
	_ channel.Prompter    = (*Client)(nil)
)

// String is Config.String.
func (c *Client) String() string { return c.config.String() }

// GoString keeps the password from %#v.
func (c *Client) GoString() string { return "smpp.Client{" + c.config.String() + "}" }

// LogValue is String.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.config.String()) }

func start(config Config) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	connecting, stopConnecting := context.WithCancel(ctx)
	c := &Client{
		config: config, events: make(chan Event, maxEvents),
		cancel: cancel, stopConnecting: stopConnecting,
		unlinked: make(chan struct{}), stopped: make(chan struct{}),
		changed: make(chan struct{}), life: transport.NewLifecycle(ErrClosed, errExpired),
	}
	c.inbox = newInbox(ctx, &c.config, c.receivers.Go)
	if config.Receipt != nil {
		c.ledger = newLedger(config.ResponseTimeout, c.reportUnmatched)
	}
	c.links = c.newLinks()
	c.pace = newPacer(ctx, config.TPS, c.slowed)
	c.reference.Store(rand.Uint32()) // parts from before a restart may still be on their way
	go c.run(ctx, connecting)
	return c
}

// run owns every goroutine of the client.
func (c *Client) run(ctx, connecting context.Context) {
	defer close(c.stopped)
	var links, events sync.WaitGroup
	events.Go(c.runEvents)
	for _, l := range c.links {
		links.Go(func() { l.run(ctx, connecting) })
	}
	links.Wait()
	close(c.unlinked)
	c.ledger.stop()
	c.receivers.Wait()
	close(c.events)
	events.Wait()
}

func (c *Client) log() *slog.Logger { return c.config.Logger }

// Send submits m.Text to m.To.Phone, in as many parts as it needs, one after the
// other. It returns when the SMSC has answered: the Submission holds a message id
// for each part. For example, a text of 200 GSM 03.38 characters needs two parts.
//
// If no bind stands, Send waits for one. If a session is being replaced, the time
// until its last responses does not count as waiting.
//
// Every error is a [channel.Error]. If the SMSC refuses the message, the error has
// the Status's Class and Code. Other classes are:
//
//   - channel.Unknown: the message may have been sent. No response came in time, or
//     the connection was lost, ctx ended or the message expired after the write. Or
//     a part failed after another was accepted: the Submission then holds the ids of
//     the accepted parts.
//   - channel.Temporary: no bind came within Config.BindWait, or the connection was
//     lost or ctx ended before the write, or the client is closed.
//   - channel.Throttled: ctx ended while the message waited for the rate, or the
//     message would expire before its turn.
//   - channel.Misconfigured: every host has refused credentials that the SMSC never
//     accepted (RefusedCredentials), or the message cannot be encoded. Send does not
//     wait then, and connection errors do not change that.
//   - channel.Expired, channel.InvalidRecipient: nothing was sent.
//
// If ctx ends, or the message expires, during a write to an SMSC that does not read,
// Send returns after the write. It lasts a fifth of a second at most if the client is
// prompt, and Config.WriteTimeout otherwise; then the connection is lost.
func (c *Client) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	return c.SendUntil(ctx, m, time.Time{})
}

// SendUntil implements channel.Prompter: it is Send with a context that ends at until,
// too, unless until is zero.
func (c *Client) SendUntil(ctx context.Context, m *channel.Message, until time.Time) (channel.Submission, error) {
	if !c.life.Begin() {
		return channel.Submission{State: channel.Failed}, submitError(channel.Temporary, ErrClosed)
	}
	defer c.life.End()
	var out composed
	if err := c.compose(&out, m); err != nil {
		return channel.Submission{State: channel.Failed}, err
	}
	sub := channel.Submission{State: channel.Sent, ProviderIDs: make([]string, 0, out.count())}
	r := request{message: m.ID, expires: m.Expires, until: until, cost: out.cost}
	for i := range out.count() {
		id, err := c.submit(ctx, out.part(i), r)
		if err != nil {
			sub.State = channel.Failed
			return sub, partly(err, i, out.count())
		}
		if id != "" {
			sub.ProviderIDs = append(sub.ProviderIDs, id)
		}
	}
	return sub, nil
}

// partly returns the error of a message with accepted parts.
func partly(err error, accepted, parts int) error {
	if accepted == 0 {
		return err
	}
	e := submitError(channel.Unknown, fmt.Errorf("part %d of %d, after others were accepted: %w", accepted+1, parts,
		err))
	if cause, ok := errors.AsType[*channel.Error](err); ok {
		e.Code = cause.Code
	}
	return e
}

// submit sends one part, or the cancel_sm of r, over any session. If the session
// ends before the part is written, submit retries once over another.
func (c *Client) submit(ctx context.Context, part *wire.Message, r request) (string, error) {
	if err := c.pace.wait(ctx, r); err != nil {
		return "", err
	}
	lost := false
	for {
		if ctx.Err() != nil {
			return "", submitError(channel.Temporary, ctx.Err())
		}
		s, err := c.bound(ctx, c.config.BindWait, r)
		if err != nil {
			return "", err
		}
		s.load.Add(1)
		id, err := s.send(ctx, part, r)
		s.load.Add(-1)
		switch {
		case errors.Is(err, errRetired):
		case errors.Is(err, errNotWritten) && !lost:
			lost = true
		default:
			return id, err
		}
	}
}

// Ready waits until the client is bound, and returns nil then. It returns an error
// if ctx ends, if the SMSC refuses the credentials, and if the client is closed.
// The error gives the reason for the missing bind. If ctx has ended before the
// call, Ready returns the present state.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.bound(ctx, 0, request{})
	return err
}

// bound returns the session with the least to do, or waits for a session. If
// bindWait is positive, it is the longest wait, counted from the time at which no
// session is retiring. bound waits no longer than until the end of r.
func (c *Client) bound(ctx context.Context, bindWait time.Duration, r request) (*session, error) {
	var timeout, over <-chan time.Time
	end, cause := r.end()
	for {
		c.mu.Lock()
		s, refused := c.pick()
		failure, closing, changed := c.failure, c.life.Closed(), c.changed
		waits := bindWait > 0 && !c.retiring()
		c.mu.Unlock()
		switch {
		case s != nil:
			return s, nil
		case refused != nil:
			return nil, refused
		case closing:
			return nil, submitError(channel.Temporary, ErrClosed)
		case timeout == nil && waits:
			t := time.NewTimer(bindWait)
			defer t.Stop()
			timeout = t.C
		}
		if over == nil && !end.IsZero() {
			t := time.NewTimer(time.Until(end))
			defer t.Stop()
			over = t.C
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, c.notBound(errNotBound, failure)
		case <-over:
			if errors.Is(cause, errExpired) {
				return nil, submitError(channel.Expired, cause)
			}
			return nil, c.notBound(cause, failure)
		case <-ctx.Done():
			return nil, c.notBound(ctx.Err(), failure)
		}
	}
}

// pick returns the session with the fewest messages, and among equals a different
// one each time. It returns a session of a standby only if there is no other. If
// there is no session and every host refuses binds, it returns the refusal. c.mu
// is held.
func (c *Client) pick() (best *session, refused error) {
	open := false // a link without a session may get one
	standby := false
	c.next++
	for i := range c.links {
		l := c.links[(c.next+i)%len(c.links)]
		switch s := l.session; {
		case !l.submits():
		case s == nil && l.host.refused != nil:
			refused = l.host.refused
		case s == nil:
			open = true
		case best == nil || standby && !l.standby, standby == l.standby && s.load.Load() < best.load.Load():
			best, standby = s, l.standby
		}
	}
	if open || best != nil {
		refused = nil
	}
	return best, refused
}

// notBound returns the error for a message without a session.
func (c *Client) notBound(err, failure error) error {
	if failure != nil {
		err = fmt.Errorf("%w: %w", err, failure)
	}
	return c.links[0].bindError(err)
}

// attach offers s to Sends, unless the client is closing.
func (c *Client) attach(l *link, s *session) {
	c.mu.Lock()
	closing := c.life.Closed()
	if !closing {
		l.session, l.since, l.failure, c.failure = s, time.Now(), nil, nil
		l.count.binds.Add(1)
		l.host.refused = nil
		c.announce()
	}
	c.mu.Unlock()
	if closing {
		s.retire(ErrClosed)
		return
	}
	c.emit(Event{Kind: EventBound, Addr: l.host.addr, Receiver: !l.submits()})
}

// detach withdraws s from Sends.
func (c *Client) detach(l *link, s *session, cause error) {
	c.mu.Lock()
	lost := l.session == s
	if lost {
		l.session, l.since, l.failure, c.failure = nil, time.Now(), cause, cause
		l.retiring = true
		c.announce()
	}
	c.mu.Unlock()
	if lost && errors.Is(cause, errUnanswered) {
		c.emit(Event{Kind: EventUnanswered, Addr: l.host.addr, Err: cause})
	}
	if lost {
		c.emit(Event{Kind: EventLost, Addr: l.host.addr, Receiver: !l.submits(), Err: cause})
	}
}

// ended notes the end of the link's session.
func (c *Client) ended(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.retiring = false
	c.announce()
}

// retiring reports whether an old session delays the next. It may await its last
// responses for ResponseTimeout, and the answer to its unbind for
// EnquireLinkTimeout. c.mu is held.
func (c *Client) retiring() bool {
	return slices.ContainsFunc(c.links, func(l *link) bool { return l.submits() && l.retiring })
}

// failed notes why a link has no session.
func (c *Client) failed(l *link, err error) {
	c.mu.Lock()
	l.since, l.failure, c.failure = time.Now(), err, err
	switch {
	case l.refusal == RefusedCredentials:
		l.host.refused = err
	case l.refusal != 0:
		l.host.refused = nil
	}
	c.announce()
	c.mu.Unlock()
	if l.refusal != 0 {
		c.emit(Event{Kind: EventRefused, Addr: l.host.addr, Receiver: !l.submits(), Refusal: l.refusal, Err: err})
	}
}

// announce wakes the calls of bound. c.mu is held.
func (c *Client) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// reportUnmatched counts a receipt for no message of this client.
func (c *Client) reportUnmatched(u unmatched) {
	u.counted.unmatched.Add(1)
	c.log().Warn("smpp: receipt matches no message", "addr", u.host, "id", maskID(u.id), "hint", u.hint)
	c.emit(Event{Kind: EventUnmatched, Addr: u.host, MessageID: maskID(u.id), Hint: u.hint})
}

// slowed reports that the rate has fallen.
func (c *Client) slowed(rate float64) {
	c.log().Warn("smpp: throttled, slowing down", "system_id", c.config.SystemID, "messages_per_second", rate)
	c.emit(Event{Kind: EventThrottled, Rate: rate})
}

// Plaintext implements channel.Plaintexter: it reports whether
// Config.DangerouslyPlaintext permits connections without TLS.
func (c *Client) Plaintext() bool {
	return c.config.DangerouslyPlaintext
}
