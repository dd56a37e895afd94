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
// (serve itself), the writer and the keeper. A fourth hands receipts over; it
// belongs to the client, since a slow receiver must not hold up a reconnect.
//
// A session ends in two steps. Retired, it takes no more messages; once it is
// drained, nothing is outstanding any more on either side, it says goodbye and
// ends; what waits for Config.Receipt delays that by ResponseTimeout at most. A
// lost connection ends at once, and what is outstanding fails.
type session struct {
	config   *Config
	log      *slog.Logger
	conn     net.Conn // with TLS, where there is
	raw      net.Conn // without: closing it never blocks
	in       *wire.Reader
	out      *wire.Writer
	inbound  chan delivery
	onRetire func(error) // set before serve; told, perhaps twice, that it takes no more messages

	pace *pacer       // set before serve; told of every response
	load atomic.Int32 // requests given to send that it has not returned yet

	retired chan struct{} // closed: takes no more messages
	drained chan struct{} // closed: retired, and nothing outstanding
	ended   chan struct{} // closed: connection closed

	endOnce sync.Once
	cause   error     // of the end; valid after ended
	endedAt time.Time // valid after ended

	mu       sync.Mutex
	seq      uint32
	slots    int // calls that may begin
	waiting  callList
	calls    map[uint32]*call
	open     callList    // those of calls, oldest first
	expiry   *time.Timer // fires at the deadline of the oldest, or before
	armed    bool
	retiring bool
	reason   error // why it retires
	handing  int   // deliveries that are not answered yet
	hurried  bool  // it parts without their answers

	spare sync.Pool // of calls

	peerUnbound atomic.Bool // it asked to end, so we need not
	pinged      atomic.Bool // nothing was answered since the last enquire_link
}

func newSession(c *Config, conn, raw net.Conn, in *wire.Reader) *session {
	s := &session{
		config: c, log: c.Logger, conn: conn, raw: raw, in: in, out: wire.NewWriter(conn, c.WriteTimeout),
		inbound: make(chan delivery, maxInbound),
		retired: make(chan struct{}), drained: make(chan struct{}), ended: make(chan struct{}),
		seq:    1, // the bind's
		slots:  c.Window,
		calls:  make(map[uint32]*call, c.Window),
		expiry: time.NewTimer(c.ResponseTimeout),
		armed:  true,
	}
	s.spare.New = func() any { return newCall() }
	return s
}

// serve runs the session until its connection is closed, and returns why.
func (s *session) serve() error {
	var wg sync.WaitGroup
	wg.Go(func() {
		err := s.out.Run()
		if err == nil { // all is said
			_ = s.conn.Close()
			err = errUnbound
		}
		s.end(fmt.Errorf("write: %w", err))
	})
	wg.Go(s.keep)
	s.end(s.read())
	wg.Wait()
	close(s.inbound)
	return s.cause
}

// end closes the connection and fails what is outstanding. The reason to
// retire, or else the first cause, counts.
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

// endedFor is how long ago the session ended, negative where it has not.
func (s *session) endedFor() time.Duration {
	select {
	case <-s.ended:
		return time.Since(s.endedAt)
	default:
		return -1
	}
}

// retire lets the session end once nothing is outstanding.
func (s *session) retire(reason error) {
	s.onRetire(reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = reason
	}
	s.stopIntake()
	s.checkDrained()
}

// stopIntake makes every later submit fail. s.mu is held.
func (s *session) stopIntake() {
	if !s.retiring {
		s.retiring = true
		close(s.retired)
	}
}

// checkDrained tells the keeper when it is time to part. s.mu is held.
func (s *session) checkDrained() {
	if !s.retiring || s.open.first != nil || s.handing > 0 && !s.hurried {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// handed notes that so many more, or fewer, deliveries are to be answered.
func (s *session) handed(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handing += n
	s.checkDrained()
}

// hurry gives up on the answers to deliveries.
func (s *session) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hurried = true
	s.checkDrained()
}

// keep sends enquire_link, ends calls whose time is up, and parts.
func (s *session) keep() {
	enquire := time.NewTicker(s.config.EnquireLink)
	defer enquire.Stop()
	answer := time.NewTimer(s.config.EnquireLinkTimeout)
	defer answer.Stop()
	defer s.expiry.Stop()
	retired, drained := s.retired, s.drained
	var late, parted <-chan time.Time
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
			s.expire()
		case <-retired:
			retired = nil
			late = time.After(s.config.ResponseTimeout)
		case <-late:
			s.hurry()
		case <-drained:
			drained = nil
			s.part()
			parted = time.After(s.config.EnquireLinkTimeout)
		case <-parted:
			s.end(errUnbound)
		case <-s.ended:
			return
		}
	}
}

// part unbinds, or lets the connection close where the SMSC did so already.
func (s *session) part() {
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
	// After the end there is nobody to tell.
	_, _ = s.out.Append(func(b []byte) []byte { return wire.AppendEmpty(b, id, 0, seq) })
}

// respond answers a request of the SMSC, which has to read the answers: they
// are all that waits for the connection without a limit.
func (s *session) respond(id pdu.CommandID, status Status, seq uint32) {
	// After the end a lost answer makes the SMSC repeat.
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

// send sends one request and waits for the answer. errRetired means that
// another session must take it.
func (s *session) send(ctx context.Context, part *wire.Message, r request) (string, error) {
	c := s.spare.Get().(*call)
	if err := s.start(ctx, c, part, r); err != nil {
		s.spare.Put(c)
		return "", err
	}
	select {
	case o := <-c.done:
		s.spare.Put(c)
		return o.result()
	case <-ctx.Done():
	}
	select {
	case o := <-c.done:
		return o.result()
	default: // the call keeps its slot until the SMSC has answered or is given up
		return "", submitError(channel.Unknown, fmt.Errorf("waiting for the response: %w", ctx.Err()))
	}
}

// start sends a request as soon as the window has a slot for it.
func (s *session) start(ctx context.Context, c *call, part *wire.Message, r request) error {
	c.cancels = r.cancels
	now := time.Now()
	if err := r.limitLife(part, now); err != nil {
		return err
	}
	err := s.submit(c, part, now)
	if !errors.Is(err, errWindowFull) {
		return err
	}
	if err := s.wait(ctx, c); err != nil {
		return err
	}
	now = time.Now()
	if err := r.limitLife(part, now); err != nil {
		s.giveBack(c)
		return err
	}
	return s.submit(c, part, now)
}
