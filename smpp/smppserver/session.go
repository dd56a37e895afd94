package smppserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// Why a session of a server ends.
var (
	errPreBind     = errors.New("no bind in time")
	errBindRefused = errors.New("bind refused")
	errInactive    = errors.New("inactive")
	errMaxSession  = errors.New("session has reached its maximum duration")
	errPeerLeft    = errors.New("peer unbound")
	errUnbinding   = errors.New("unbound")
	errKicked      = errors.New("closed by the server")
	errUnread      = errors.New("peer does not read the responses it asks for")
)

// A Session is one connection to a [Server]. It is safe for concurrent
// use.
type Session struct {
	server *Server
	number uint64
	raw    net.Conn // without TLS: closing it never blocks
	conn   net.Conn // with TLS, where there is
	out    *wire.Writer
	opened time.Time
	barred bool // comes from where it may not bind; guarded by server.mu

	ctx       context.Context // ends with the connection: of handlers and Authenticate
	cancel    context.CancelFunc
	handlers  sync.WaitGroup
	callbacks sync.WaitGroup // of receipts that the end gave back
	bell      chan struct{}  // rung when the keeper has to look again
	ended     chan struct{}  // closed: connection closed
	endOnce   sync.Once

	finished bool // nothing more is read; used by the reader only

	active atomic.Int64 // when the peer was last active, since opened
	stage  atomic.Int32 // open, bound, parting; it only grows, under mu

	// Set by the bind, under mu; read under mu, or once stage was stageBound.
	bind BindRequest
	rate *rate

	mu           sync.Mutex
	cause        error // why it parts, or else ended
	outstanding  int   // messages, and cancel_sm, with their handler
	seq          uint32
	pending      map[uint32]*delivered // receipts that await an answer
	order        []*delivered          // the same, oldest first, and some answered ones
	partBy       time.Time             // when parting takes too long
	unbind       wire.Header           // of the peer, to be answered once all else is; ID 0: none
	unbindBefore bool                  // the peer need not answer: it has, or it has unbound itself
}

// Stages of a session.
const (
	stageOpen int32 = iota
	stageBound
	stageParting
)

func newSession(s *Server, raw net.Conn, number uint64) *Session {
	v := &Session{
		server: s, number: number, raw: raw, conn: raw, opened: time.Now(),
		bell: make(chan struct{}, 1), ended: make(chan struct{}), pending: make(map[uint32]*delivered),
	}
	if !s.config.DangerouslyPlaintext {
		v.conn = tls.Server(raw, s.config.TLS)
	}
	v.out = wire.NewWriter(v.conn, s.config.WriteTimeout)
	v.ctx, v.cancel = context.WithCancel(s.ctx)
	return v
}

// Number counts the server's connections, from 1.
func (s *Session) Number() uint64 { return s.number }

// SystemID is who has bound; empty before the bind.
func (s *Session) SystemID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bind.SystemID
}

// RemoteAddr is the peer's address.
func (s *Session) RemoteAddr() net.Addr { return s.raw.RemoteAddr() }

// Done is closed when the connection is.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Close closes the connection at once, without unbind.
func (s *Session) Close() { s.end(errKicked) }

// Unbind ends the session as Server.Shutdown does, without waiting for it.
func (s *Session) Unbind() { s.part(errUnbinding) }

// run serves the connection until it is closed, and returns when nothing of it
// is left.
func (s *Session) run() {
	var wg sync.WaitGroup
	wg.Go(s.keep)
	err := s.handshake()
	if err == nil {
		wg.Go(s.write)
		err = s.read()
	}
	s.end(err)
	wg.Wait()
	s.callbacks.Wait()
	s.handlers.Wait()
}

func (s *Session) handshake() error {
	t, ok := s.conn.(*tls.Conn)
	if !ok || s.server.config.DangerouslyPlaintext { // a listener may do TLS itself, at the first read
		return nil
	}
	if err := t.HandshakeContext(s.ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return nil
}

func (s *Session) write() {
	err := s.out.Run()
	if err == nil { // all is said; with TLS, goodbye too
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.server.config.WriteTimeout))
		_ = s.conn.Close()
		err = errUnbinding
	}
	s.end(fmt.Errorf("write: %w", err))
}

// end closes the connection. The reason to part, or else the first cause,
// counts.
func (s *Session) end(cause error) {
	var lost []*delivered
	s.endOnce.Do(func() {
		lost = s.close(cause)
		s.callbacks.Add(len(lost))
	})
	for _, d := range lost { // not within Do: done may call Close
		d.finish(0, errSessionEnded)
		s.callbacks.Done()
	}
}

// close is end, the first time. It returns the receipts that nobody answered.
func (s *Session) close(cause error) []*delivered {
	s.mu.Lock()
	was := s.stage.Swap(stageParting)
	if s.cause == nil {
		s.cause = cause
	}
	cause = s.cause
	lost := slices.DeleteFunc(s.order, func(d *delivered) bool { return d.over })
	s.order, s.pending = nil, nil
	systemID, limit := s.bind.SystemID, s.rate
	s.mu.Unlock()
	close(s.ended)
	s.cancel()
	s.out.Stop()
	_ = s.raw.Close()
	if was != stageOpen { // else enter gives back what it took
		s.server.post.leave(s)
		s.server.rates.release(limit)
	}
	s.server.config.Logger.Info("smppserver: session ended", "session", s.number, "remote", s.RemoteAddr(),
		"system_id", systemID, "cause", cause)
	return lost
}

// part ends the session once nothing is outstanding, and says goodbye.
func (s *Session) part(cause error) {
	s.mu.Lock()
	if was := s.stage.Load(); was != stageBound {
		s.mu.Unlock()
		if was == stageOpen {
			s.end(cause)
		}
		return
	}
	s.stage.Store(stageParting)
	s.cause = cause
	s.partBy = time.Now().Add(s.server.config.UnbindTimeout) // with the stage: the keeper ends what has none
	ask := s.unbind.ID == 0
	seq := s.nextSeq()
	s.mu.Unlock()
	if ask {
		s.send(func(b []byte) []byte { return wire.AppendEmpty(b, pdu.UnbindID, 0, seq) })
	}
	s.server.post.leave(s)
	s.ring()
	s.checkParted()
}

// checkParted lets the connection close if it is parting and all is said.
func (s *Session) checkParted() {
	if s.stage.Load() != stageParting {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outstanding > 0 || s.partBy.IsZero() || (!s.unbindBefore && s.unbind.ID == 0) {
		return
	}
	if h := s.unbind; h.ID != 0 {
		_, _ = s.out.Append(func(b []byte) []byte { return wire.AppendEmpty(b, h.Response(), 0, h.Seq) })
	}
	s.out.Finish()
}

// keep ends the session when its time is up.
func (s *Session) keep() {
	timer := time.NewTimer(s.server.config.PreBindTimeout)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.bell:
		case <-s.ended:
			return
		}
		next, err := s.due(time.Now())
		switch {
		case errors.Is(err, errMaxSession):
			s.part(err)
		case err != nil:
			s.end(err)
		}
		timer.Reset(max(next, time.Millisecond))
	}
}

// due returns how long until something may be due, or why the session is to
// end now. Receipts whose answer is overdue are given back.
func (s *Session) due(now time.Time) (time.Duration, error) {
	c := &s.server.config
	age := now.Sub(s.opened)
	switch s.stage.Load() {
	case stageOpen:
		if age >= c.PreBindTimeout {
			return 0, errPreBind
		}
		return c.PreBindTimeout - age, nil
	case stageParting:
		s.mu.Lock()
		left := s.partBy.Sub(now)
		s.mu.Unlock()
		if left <= 0 {
			return 0, errUnbinding
		}
		return left, nil
	}
	idle := age - time.Duration(s.active.Load())
	switch {
	case idle >= c.InactivityTimeout:
		return 0, errInactive
	case age >= c.MaxSession:
		return 0, errMaxSession
	}
	return min(c.InactivityTimeout-idle, c.MaxSession-age, s.overdue(now)), nil
}

// takes reports whether the session takes messages: bound, and until the peer
// knows that it is not.
func (s *Session) takes() bool {
	switch s.stage.Load() {
	case stageBound:
		return s.bind.CanSubmit
	case stageParting:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.bind.CanSubmit && s.unbind.ID == 0 && !s.unbindBefore
	}
	return false
}

func (s *Session) ring() {
	select {
	case s.bell <- struct{}{}:
	default:
	}
}

// send queues a frame for a peer that has to read: receipts, which have a limit
// of their own, do not count. After the end there is nobody to tell.
func (s *Session) send(frame func([]byte) []byte) {
	if owed, _ := s.out.Respond(frame); owed > wire.MaxBacklog {
		s.end(errUnread)
	}
}

// respond answers without a body.
func (s *Session) respond(h wire.Header, status smpp.Status) {
	s.send(func(b []byte) []byte { return wire.AppendEmpty(b, h.Response(), uint32(status), h.Seq) })
}

// nextSeq returns the next sequence number that nothing awaits an answer to.
// s.mu is held.
func (s *Session) nextSeq() uint32 {
	for {
		s.seq = s.seq%wire.MaxSequence + 1
		if s.pending[s.seq] == nil {
			return s.seq
		}
	}
}

// read handles frames until the connection fails.
func (s *Session) read() error {
	in := wire.NewReader(s.conn)
	for {
		f, err := in.Next()
		switch {
		case errors.Is(err, wire.ErrFrameLength):
			s.respond(wire.Header{ID: pdu.GenericNackID}, smpp.StatusInvalidCmdLength)
			s.finish(err)
			<-s.ended
			return err
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
		s.handle(f)
		if s.finished {
			<-s.ended
			return errUnbinding
		}
	}
}

func (s *Session) handle(f wire.Frame) {
	switch f.ID {
	case pdu.BindTransceiverID, pdu.BindTransmitterID, pdu.BindReceiverID:
		s.handleBind(f)
	case pdu.SubmitSmID:
		s.touch()
		s.submit(f)
	case pdu.CancelSmID:
		s.withdraw(f)
	case pdu.EnquireLinkID:
		s.touch()
		s.respond(f.Header, smpp.StatusOK)
	case pdu.UnbindID:
		s.handleUnbind(f.Header)
	case pdu.UnbindRespID:
		s.mu.Lock()
		s.unbindBefore = true
		s.mu.Unlock()
		s.checkParted()
	case pdu.DeliverSmRespID, pdu.DataSmRespID, pdu.GenericNackID:
		s.answered(f.Header)
	default:
		if f.IsResponse() { // never answered: two peers could go on for ever
			return
		}
		s.refuse(f.Header)
	}
}

// refuse answers a command that the server does not know.
func (s *Session) refuse(h wire.Header) {
	s.server.config.Logger.Debug("smppserver: unexpected request", "session", s.number, "command_id", fmt.Sprintf("0x%08X", uint32(h.ID)))
	s.respond(wire.Header{ID: pdu.GenericNackID, Seq: h.Seq}, smpp.StatusInvalidCmdID)
}

// finish closes the connection once what is queued is written. Nothing more is
// read: a refused bind must not be followed by the next guess. Only the reader
// calls it.
func (s *Session) finish(cause error) {
	s.finished = true
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	s.mu.Unlock()
	s.out.Finish()
}

// touch notes that the peer is active.
func (s *Session) touch() { s.active.Store(int64(time.Since(s.opened))) }

func (s *Session) handleUnbind(h wire.Header) {
	if s.stage.Load() == stageOpen { // there is nothing to end but the connection
		s.respond(h, smpp.StatusOK)
		s.finish(errPeerLeft)
		return
	}
	s.mu.Lock()
	s.unbind = h
	s.mu.Unlock()
	s.part(errPeerLeft)
	s.checkParted()
}
