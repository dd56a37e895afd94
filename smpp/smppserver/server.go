package smppserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smpp/internal/concat"
)

// ErrClosed is returned by Serve and ServeConn after Shutdown or Close began.
// Deliver returns it after the end of the last session, when the waiting
// receipts were given up.
var ErrClosed = errors.New("smppserver: server is closed")

// A Server accepts the binds of ESMEs, passes their messages to a handler, and
// sends them delivery receipts. Make one with [New]. It is safe for concurrent
// use.
type Server struct {
	config   Config
	guard    *bindGuard
	rates    *rates
	parts    *concat.Reassembler
	receipts *receiptQueue
	messages atomic.Uint32 // number of long messages delivered, for their references

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	ending   sync.Once     // starts to wait for wg
	ended    chan struct{} // closed when wg is done
	deadline transport.CloseDeadline

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*Session]struct{}
	barred    int                // number of sessions from addresses that may not bind
	unbound   map[netip.Addr]int // number of sessions without a bind, by address
	bound     map[string]int     // number of bound sessions, by system_id
	accepted  uint64
	closing   bool
}

// New validates the configuration. An error names the field. The caller must call
// Shutdown or Close in the end, also if Serve was never called.
func New(c Config) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		config:    c,
		guard:     newBindGuard(c.MaxBindFailures, c.BlockFor),
		rates:     newRates(),
		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[*Session]struct{}),
		unbound:   make(map[netip.Addr]int),
		bound:     make(map[string]int),
		ended:     make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.parts = concat.New(s.config.assembleLimits())
	s.receipts = newReceiptQueue(&s.config)
	s.wg.Go(func() { s.receipts.run(s.ctx) })
	return s, nil
}

// Serve accepts connections until Shutdown or Close, after which it returns
// ErrClosed, or until the listener fails for good. It closes the
// listener. A Server may serve several listeners at once. The listener's
// connections are plain: the server adds TLS.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	if !s.track(l) {
		return ErrClosed
	}
	defer s.untrack(l)
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			if err := s.ServeConn(c); err != nil {
				s.config.Logger.Warn("smppserver: connection refused", "remote", c.RemoteAddr(), "error", err)
			}
		case s.isClosing():
			return ErrClosed
		case !isTemporary(err):
			return fmt.Errorf("smppserver: accept: %w", err)
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.config.Logger.Warn("smppserver: accept", "error", err, "next_try", pause)
			s.pause(pause)
		}
	}
}

func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// isTemporary reports whether an error of Accept may pass by itself.
func isTemporary(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.listeners[l] = struct{}{}
	}
	return !s.closing
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// ErrTooManyConnections is the error of a connection beyond
// Config.MaxConnections or Config.MaxUnbound, or beyond the limit for addresses
// that may not bind.
var ErrTooManyConnections = errors.New("smppserver: too many connections")

// ServeConn serves a connection from another source than a listener. It does not
// wait for the connection to end. Its errors are ErrClosed and
// ErrTooManyConnections; the connection is closed then.
func (s *Server) ServeConn(raw net.Conn) error {
	err := s.admit(raw)
	if err != nil {
		_ = raw.Close()
	}
	return err
}

// maxBarred is the largest number of open connections from addresses that may
// not bind. They do not count as MaxConnections: they get their answer, and take
// no connection from another peer.
const maxBarred = 16

func (s *Server) admit(raw net.Conn) error {
	barred := s.bars(raw.RemoteAddr())
	_, source := bindSource(raw.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosed
	case barred && s.barred >= maxBarred, !barred && len(s.sessions)-s.barred >= s.config.MaxConnections,
		!barred && source.IsValid() && s.unbound[source] >= s.config.MaxUnbound:
		return ErrTooManyConnections
	}
	s.accepted++
	session := newSession(s, raw, s.accepted)
	session.barred = barred
	s.sessions[session] = struct{}{}
	session.source = source
	if barred {
		s.barred++
	} else {
		s.unbound[source]++
	}
	s.wg.Go(func() {
		defer s.forget(session)
		session.run()
	})
	return nil
}

func (s *Server) forget(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	if systemID := session.account; session.entered {
		s.bound[systemID]--
		if s.bound[systemID] == 0 {
			delete(s.bound, systemID)
		}
		return
	}
	s.leaveUnbound(session)
}

// enterBound counts a session as bound instead of unbound, unless its system_id
// has too many.
func (s *Server) enterBound(session *Session, systemID string) bool {
	most := 0
	if s.config.MaxBinds != nil {
		most = s.config.MaxBinds(systemID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 && s.bound[systemID] >= most {
		return false
	}
	s.leaveUnbound(session)
	s.bound[systemID]++
	session.account, session.entered = systemID, true
	return true
}

// leaveUnbound no longer counts a session as unbound. s.mu is held.
func (s *Server) leaveUnbound(session *Session) {
	if session.barred {
		s.barred--
		session.barred = false
		return
	}
	s.unbound[session.source]--
	if s.unbound[session.source] == 0 {
		delete(s.unbound, session.source)
	}
}

// Sessions returns the open connections, bound or not, in no particular order.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Session, 0, len(s.sessions))
	for session := range s.sessions {
		all = append(all, session)
	}
	return all
}

// beginClosing stops accepting.
func (s *Server) beginClosing() {
	s.mu.Lock()
	listeners := s.listeners
	s.listeners = make(map[net.Listener]struct{})
	s.closing = true
	s.mu.Unlock()
	for l := range listeners {
		_ = l.Close()
	}
}

// Shutdown accepts no more connections and unbinds from every session. It waits
// for the answers of the handlers and of the peers, for Config.UnbindTimeout at
// most, and closes the connections. Until a peer has answered, its messages are
// accepted. Receipts without an answer by then are given up.
//
// If ctx ends earlier, Shutdown closes at once, as Close does, and returns the
// error of ctx. Its other errors are those of Close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginClosing()
	sessions := s.Sessions()
	for _, session := range sessions {
		session.Unbind()
	}
	for _, session := range sessions {
		select {
		case <-session.ended:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("smppserver: shutdown: %w", ctx.Err()), s.Close())
		}
	}
	return s.Close()
}

// Close closes every connection at once, without unbind, and ends the ctx of the
// handlers. It may be called more than once.
//
// Close returns when all goroutines of the server have ended, with the running
// handlers and callbacks of the Config. It waits for them for UnbindTimeout at
// most, and then returns an error, because a callback may ignore its ctx. A
// callback must not wait for Close, but it may close the server in a goroutine
// of its own.
func (s *Server) Close() error {
	s.beginClosing()
	s.cancel()
	for _, session := range s.Sessions() {
		session.Close()
	}
	s.ending.Do(func() {
		go func() {
			s.wg.Wait()
			close(s.ended)
		}()
	})
	if err := s.deadline.Await(s.ended, s.config.UnbindTimeout); err != nil {
		return fmt.Errorf("smppserver: %w", err)
	}
	return nil
}
