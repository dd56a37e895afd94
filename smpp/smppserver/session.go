package smppserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// Causes for the end of a session.
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

// A Session is one connection to a [Server]. It is safe for concurrent use.
type Session struct {
	server *Server
	number uint64
	raw    net.Conn // without TLS: closing it never blocks
	conn   net.Conn // with TLS, if the Config has it
	out    *wire.Writer
	opened time.Time

	// Guarded by server.mu.
	barred  bool       // the peer's address may not bind
	source  netip.Addr // of the peer, as bindSource returns it
	entered bool       // counted as bound
	account string     // system_id of the count

	ctx       context.Context // of handlers and Authenticate; ends with the connection
	cancel    context.CancelFunc
	handlers  sync.WaitGroup
	callbacks sync.WaitGroup // of unanswered receipts, at the end
	wake      chan struct{}  // the keeper must look again
	ended     chan struct{}  // closed when the connection is
	endOnce   sync.Once

	finished bool // nothing more is read; used by the reader only

	active atomic.Int64 // when the peer was last active, since opened
	state  atomic.Int32 // a sessionState; changes under mu

	// Set by the bind, under mu; read under mu, or once state was stateBound.
	bind      BindRequest
	rate      *rate
	alphabets alphabets

	mu             sync.Mutex
	cause          error // for unbinding, or else for the end
	outstanding    int   // messages, and cancel_sm, with their handler
	seq            uint32
	pending        map[uint32]*pendingReceipt // receipts that await an answer
	order          []*pendingReceipt          // the same, oldest first, with some answered ones
	unbindBy       time.Time                  // end of UnbindTimeout; valid from stateUnbinding on
	peerUnbind     *wire.Header               // the peer's unbind, which is answered last; nil: none has come
	unbindAnswered bool                       // unbind_resp has come
}

// A sessionState is the progress of a session. It never goes back:
//
//	Open ──► Bound ──► Unbinding ──► Unbound ──► Closed
//	           └──────────────────────►┘
//
// Every state may also go straight to Closed.
type sessionState = int32

const (
	// stateOpen is before the bind: only a bind changes anything.
	stateOpen sessionState = iota

	// stateBound accepts messages, and sends receipts.
	stateBound

	// stateUnbinding has sent unbind, at Config.MaxSession, by Session.Unbind
	// or Server.Shutdown. Messages are accepted until the peer answers it,
	// because the peer may have sent them before it read the unbind.
	stateUnbinding

	// stateUnbound accepts no more messages: the peer has answered unbind, or
	// has sent it. The connection closes once all messages with their handlers
	// have answers.
	stateUnbound

	// stateClosed has no connection.
	stateClosed
)

func newSession(s *Server, raw net.Conn, number uint64) *Session {
	v := &Session{
		server: s, number: number, raw: raw, conn: raw, opened: time.Now(),
		wake: make(chan struct{}, 1), ended: make(chan struct{}), pending: make(map[uint32]*pendingReceipt),
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

// SystemID is the system_id of the bind; empty before the bind.
func (s *Session) SystemID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bind.SystemID
}

// RemoteAddr is the peer's address.
func (s *Session) RemoteAddr() net.Addr { return s.raw.RemoteAddr() }

// Done is closed when the connection is closed.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Close closes the connection at once, without unbind.
func (s *Session) Close() { s.end(errKicked) }

// Unbind ends the session as Server.Shutdown does, without waiting for it.
func (s *Session) Unbind() { s.unbind(errUnbinding) }

// run serves the connection until it is closed, and returns after its last
// goroutine.
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
	if err == nil { // everything is written; with TLS, Close sends close_notify
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.server.config.WriteTimeout))
		_ = s.conn.Close()
		err = errUnbinding
	}
	s.end(fmt.Errorf("write: %w", err))
}

// end closes the connection. The session's cause is the reason to unbind, if it
// has one, else the first cause of an end.
func (s *Session) end(cause error) {
	var lost []*pendingReceipt
	s.endOnce.Do(func() {
		lost = s.close(cause)
		s.callbacks.Add(len(lost))
	})
	for _, d := range lost { // not within Do: done may call Close
		d.finish(0, errSessionEnded)
		s.callbacks.Done()
	}
}

// close is end, the first time. It returns the unanswered receipts.
func (s *Session) close(cause error) []*pendingReceipt {
	s.mu.Lock()
	was := s.state.Swap(stateClosed)
	if s.cause == nil {
		s.cause = cause
	}
	cause = s.cause
	lost := slices.DeleteFunc(s.order, func(d *pendingReceipt) bool { return d.over })
	s.order, s.pending = nil, nil
	systemID, limit := s.bind.SystemID, s.rate
	s.mu.Unlock()
	close(s.ended)
	s.cancel()
	s.out.Stop()
	_ = s.raw.Close()
	if was != stateOpen { // else enter returns them
		s.server.receipts.leave(s)
		s.server.rates.release(limit)
	}
	s.server.config.Logger.Info("smppserver: session ended", "session", s.number, "remote", s.RemoteAddr(),
		"system_id", systemID, "cause", cause)
	return lost
}

// unbind ends a bound session once nothing is outstanding. If the peer has not
// unbound, the server does. If it is not bound, it ends at once.
func (s *Session) unbind(cause error) {
	s.mu.Lock()
	if was := s.state.Load(); was != stateBound {
		s.mu.Unlock()
		if was == stateOpen {
			s.end(cause)
		}
		return
	}
	next := stateUnbinding
	if s.peerUnbind != nil || s.unbindAnswered {
		next = stateUnbound
	}
	s.state.Store(next)
	s.cause = cause
	s.unbindBy = time.Now().Add(s.server.config.UnbindTimeout) // together with the state: the keeper reads both
	ask := s.peerUnbind == nil
	seq := s.nextSeq()
	s.mu.Unlock()
	if ask {
		s.send(func(b []byte) []byte { return wire.AppendEmpty(b, pdu.UnbindID, 0, seq) })
	}
	s.server.receipts.leave(s)
	s.wakeKeeper()
	s.checkUnbound()
}

// peerUnbound notes that the peer has answered the unbind, or has sent its own.
func (s *Session) peerUnbound() {
	s.mu.Lock()
	s.state.CompareAndSwap(stateUnbinding, stateUnbound)
	s.mu.Unlock()
	s.checkUnbound()
}

// checkUnbound closes the connection if the session is unbound and nothing is
// outstanding.
func (s *Session) checkUnbound() {
	if s.state.Load() != stateUnbound {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outstanding > 0 {
		return
	}
	if h := s.peerUnbind; h != nil {
		_, _ = s.out.Append(func(b []byte) []byte { return wire.AppendEmpty(b, h.Response(), 0, h.Seq) })
	}
	s.out.Finish()
}

// keep ends the session at its timeouts.
func (s *Session) keep() {
	timer := time.NewTimer(s.server.config.PreBindTimeout)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.ended:
			return
		}
		next, err := s.due(time.Now())
		switch {
		case errors.Is(err, errMaxSession):
			s.unbind(err)
		case err != nil:
			s.end(err)
		}
		timer.Reset(max(next, time.Millisecond))
	}
}

// due returns the time until the next timeout, or the reason to end the session
// now. It ends receipts without an answer in time.
func (s *Session) due(now time.Time) (time.Duration, error) {
	c := &s.server.config
	age := now.Sub(s.opened)
	switch s.state.Load() {
	case stateOpen:
		if age >= c.PreBindTimeout {
			return 0, errPreBind
		}
		return c.PreBindTimeout - age, nil
	case stateUnbinding, stateUnbound:
		s.mu.Lock()
		left := s.unbindBy.Sub(now)
		s.mu.Unlock()
		if left <= 0 {
			return 0, errUnbinding
		}
		return left, nil
	case stateClosed:
		return c.MaxSession, nil
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

// takes reports whether the session accepts messages.
func (s *Session) takes() bool {
	switch s.state.Load() {
	case stateBound, stateUnbinding:
		return s.bind.CanSubmit
	}
	return false
}

func (s *Session) wakeKeeper() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
