package smpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

var errBacklog = errors.New("SMSC does not read the responses it asks for")

// A session is one bound connection. Three goroutines serve it: the reader
// (serve itself), the writer and the keeper. The inbox belongs to the client,
// because a slow receiver must not delay a reconnect.
type session struct {
	config   *Config
	host     string // address of the SMSC; set before serve
	log      *slog.Logger
	conn     net.Conn // with TLS, if the Config has it
	raw      net.Conn // without TLS: closing it never blocks
	in       *wire.Reader
	out      *wire.Writer
	inbox    *inbox       // set before serve; hands receipts and messages over
	early    []wire.Frame // requests from before the answer to the bind
	trace    *tracer      // set before serve; nil: without Config.Trace
	onRetire func(error)  // set before serve; called, perhaps twice, when the session takes no more messages

	onCollision func(id string) // set before serve, if there is a ledger
	lateFor     string          // used by the reader: the Message.ID of a response that came after its Send returned

	pace   *pacer        // set before serve; notes every response
	ledger *ledger       // set before serve; nil: without Config.Receipt
	count  *bindCounters // set before serve
	load   atomic.Int32  // requests in send

	retired chan struct{} // closed when the session leaves sessionBound
	drained chan struct{} // closed at sessionDrained
	ended   chan struct{} // closed at sessionEnded, after every call has its outcome

	endOnce sync.Once
	cause   error     // reason for the end; valid after ended
	endedAt time.Time // valid after ended

	mu         sync.Mutex
	state      sessionState
	reason     error // for retiring
	seq        uint32
	slots      int // free slots of the window
	waiting    callList
	calls      map[uint32]*call
	open       callList    // the same calls, oldest first
	expiry     *time.Timer // fires at the deadline of the oldest call, or before
	armed      bool        // expiry runs
	rate       secondRate  // of requests
	silent     int         // submit_sm and cancel_sm in a row without a response in time
	unanswered int         // receipts and messages from the SMSC that await our answer

	expired     map[uint32]string // Message.ID of expired calls, by sequence number
	expiredSeqs []uint32          // oldest first; some are no longer in expired

	spare sync.Pool // of calls

	peerUnbound atomic.Bool // the SMSC has unbound, so the session need not
	pinged      atomic.Bool // nothing came since the last enquire_link
}

// A sessionState is the progress of a session. It never goes back:
//
//	Bound ──► Retired ──► Hurried ──► Drained ──► Ended
//	             └────────────────────►┘
//
// Every state may also go straight to Ended: a lost connection ends the session
// at once, and its outstanding messages fail.
type sessionState uint8

const (
	// sessionBound takes messages. retire ends it: at Config.MaxSession, when
	// the SMSC unbinds or says that the session is not bound, after a frame of
	// impossible length, after Config.MaxUnanswered, and when the client closes.
	sessionBound sessionState = iota

	// sessionRetired takes no more messages, and awaits the last responses and
	// the answers of Config.Receipt and Config.Inbound.
	sessionRetired

	// sessionHurried awaits the last responses only. It follows sessionRetired
	// after Config.ResponseTimeout.
	sessionHurried

	// sessionDrained has nothing outstanding. The keeper unbinds.
	sessionDrained

	// sessionEnded has no connection.
	sessionEnded
)

// enter moves the session forward to a state. It never moves back. s.mu is held.
func (s *session) enter(next sessionState) {
	if next <= s.state {
		return
	}
	if s.state == sessionBound {
		close(s.retired)
	}
	if next == sessionDrained {
		close(s.drained)
	}
	s.state = next
}

func newSession(c *Config, conn, raw net.Conn, in *wire.Reader) *session {
	s := &session{
		config: c, log: c.Logger, count: new(bindCounters),
		conn: conn, raw: raw, in: in, out: wire.NewWriter(conn, c.WriteTimeout),
		retired: make(chan struct{}), drained: make(chan struct{}), ended: make(chan struct{}),
		seq:    1, // the bind's
		slots:  c.Window,
		calls:  make(map[uint32]*call, c.Window),
		expiry: time.NewTimer(c.ResponseTimeout),
		armed:  true,
	}
	if c.prompt {
		s.out.FlushTimeout = min(promptly, c.WriteTimeout)
	}
	s.spare.New = func() any { return newCall() }
	return s
}

// serve runs the session until its connection is closed, and returns the cause.
func (s *session) serve() error {
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.out.Run()
		if err == nil { // everything is written
			_ = s.conn.Close()
			err = errUnbound
		}
		s.end(fmt.Errorf("write: %w", err))
	})
	wg.Go(s.keep)
	s.end(s.read())
	wg.Wait()
	return s.cause
}

// end closes the connection and fails the outstanding messages. The session's cause
// is the reason to retire, if it has one, else the first cause of an end.
func (s *session) end(cause error) {
	s.endOnce.Do(func() {
		s.mu.Lock()
		if s.reason != nil {
			cause = s.reason
		}
		s.mu.Unlock()
		s.cause, s.endedAt = cause, time.Now()
		s.out.Stop()
		_ = s.raw.Close()
		s.onRetire(cause)
		s.abandon(cause)
		close(s.ended)
	})
}

// endedFor returns the time since the end of the session. It is negative if the
// session has not ended.
func (s *session) endedFor() time.Duration {
	select {
	case <-s.ended:
		return time.Since(s.endedAt)
	default:
		return -1
	}
}

// retire makes the session end once nothing is outstanding.
func (s *session) retire(reason error) {
	s.onRetire(reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = reason
	}
	s.enter(sessionRetired)
	s.checkDrained()
}

// checkDrained enters sessionDrained if nothing is outstanding. s.mu is held.
func (s *session) checkDrained() {
	switch {
	case s.open.first != nil:
	case s.state == sessionRetired && s.unanswered == 0, s.state == sessionHurried:
		s.enter(sessionDrained)
	}
}

// hurry stops waiting for the answers to receipts and messages.
func (s *session) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(sessionHurried)
	s.checkDrained()
}

// keep sends enquire_link, expires calls, and unbinds.
func (s *session) keep() {
	enquire := time.NewTicker(s.config.EnquireLink)
	defer enquire.Stop()
	answer := time.NewTimer(s.config.EnquireLinkTimeout)
	defer answer.Stop()
	defer s.expiry.Stop()
	retired, drained := s.retired, s.drained
	var hurry, unbound <-chan time.Time
	for {
		select {
		case <-enquire.C:
			if s.pinged.CompareAndSwap(false, true) {
				s.request(pdu.EnquireLinkID)
				answer.Reset(s.config.EnquireLinkTimeout)
			}
		case <-answer.C:
			if s.pinged.Load() {
				s.end(errLinkDead)
			}
		case <-s.expiry.C:
			if s.expire() >= s.config.MaxUnanswered {
				s.retire(errUnanswered)
			}
		case <-retired:
			retired = nil
			hurry = time.After(s.config.ResponseTimeout)
		case <-hurry:
			s.hurry()
		case <-drained:
			drained = nil
			s.unbind()
			unbound = time.After(s.config.EnquireLinkTimeout)
		case <-unbound:
			s.end(errUnbound)
		case <-s.ended:
			return
		}
	}
}

// unbind unbinds. If the SMSC has unbound already, the connection closes once
// everything is written.
func (s *session) unbind() {
	if s.peerUnbound.Load() {
		s.out.Finish()
		return
	}
	s.request(pdu.UnbindID)
}

// request sends a PDU without a body. Its answer needs no slot of the window.
func (s *session) request(id pdu.CommandID) {
	s.mu.Lock()
	seq := s.nextSeq()
	s.mu.Unlock()
	// After the end the request is dropped.
	_, _ = s.out.Append(func(b []byte) []byte { return wire.AppendEmpty(b, id, 0, seq) })
}

// respond answers a request of the SMSC. If more than 1 MiB of answers wait, the
// session ends: answers must not use unlimited memory.
func (s *session) respond(id pdu.CommandID, status Status, seq uint32) {
	// After the end the answer is dropped, and the SMSC repeats its request.
	owed, _ := s.out.Respond(func(b []byte) []byte {
		switch id {
		case pdu.DeliverSmRespID, pdu.DataSmRespID: // message_id is mandatory there
			return wire.AppendID(b, id, uint32(status), seq, "")
		}
		return wire.AppendEmpty(b, id, uint32(status), seq)
	})
	if owed > wire.MaxBacklog {
		s.end(errBacklog)
	}
}

// send sends one request and waits for the answer. If the error is errRetired,
// another session must take the request.
func (s *session) send(ctx context.Context, part *wire.Message, r request) (string, error) {
	c := s.spare.Get().(*call)
	if err := s.start(ctx, c, part, r); err != nil {
		s.spare.Put(c)
		return "", err
	}
	var over <-chan time.Time // nil: the response timeout comes as soon
	end, cause := r.end()
	if !end.IsZero() && end.Add(slack).Before(c.deadline) {
		t := time.NewTimer(time.Until(end))
		defer t.Stop()
		over = t.C
	}
	select {
	case o := <-c.done:
		s.spare.Put(c)
		return o.result()
	case <-ctx.Done():
		cause = ctx.Err()
	case <-over:
	}
	if o, there := s.leave(c); there {
		return o.result()
	}
	// The call keeps its slot until the SMSC has answered or the call expires.
	return "", submitError(channel.Unknown, fmt.Errorf("waiting for the response: %w", cause))
}

// start sends a request as soon as the window has a free slot.
func (s *session) start(ctx context.Context, c *call, part *wire.Message, r request) error {
	c.cancels, c.message = r.cancels, r.message
	now := time.Now()
	if err := r.limitLife(part, now, s.config.Validity); err != nil {
		return err
	}
	err := s.submit(c, part, now)
	if !errors.Is(err, errWindowFull) {
		return err
	}
	if err := s.wait(ctx, c, r); err != nil {
		return err
	}
	now = time.Now()
	if err := r.limitLife(part, now, s.config.Validity); err != nil {
		s.giveBack(c)
		return err
	}
	return s.submit(c, part, now)
}
