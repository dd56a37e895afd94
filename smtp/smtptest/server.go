package smtptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// TLSMode says when the server begins TLS.
type TLSMode uint8

// The modes.
const (
	StartTLS    TLSMode = iota // by the STARTTLS command; earlier mail is refused
	ImplicitTLS                // from the first byte
	Plaintext                  // never
)

// Config describes a server. The zero value is a server with STARTTLS and without
// a login.
type Config struct {
	TLS TLSMode

	// Username and Password are the credentials that AUTH requires before mail,
	// under TLS. OAUTHBEARER and XOAUTH2 use the Password as the token. Empty:
	// no login.
	Username, Password string

	// Mechanisms are the AUTH mechanisms of the server, from SCRAM-SHA-256,
	// PLAIN, LOGIN, OAUTHBEARER and XOAUTH2. Default: PLAIN and LOGIN.
	Mechanisms []string

	// SMTPUTF8 accepts addresses beyond ASCII (RFC 6531).
	SMTPUTF8 bool
}

// A Server is a mail relay that keeps the mails it receives.
type Server struct {
	config   Config
	server   *gosmtp.Server
	listener net.Listener
	roots    *x509.CertPool
	closing  chan struct{}
	close    sync.Once
	conns    sync.WaitGroup // and the goroutine that accepts them

	mu        sync.Mutex
	mails     []Mail
	received  int
	arrived   chan struct{} // closed and replaced at each mail
	rules     []Rule
	unstall   chan struct{} // closed and replaced by ClearScript
	connected int
	open      map[*countedConn]struct{}
}

// NewServer starts a server on 127.0.0.1. The caller must close it. NewServer
// panics if the loopback interface refuses, or if a mechanism is unknown.
func NewServer(c Config) *Server {
	if c.Mechanisms == nil {
		c.Mechanisms = []string{sasl.Plain, sasl.Login}
	}
	for _, mechanism := range c.Mechanisms {
		if !slices.Contains(known, mechanism) {
			panic("smtptest: Config.Mechanisms: " + mechanism + " is not known")
		}
	}
	certificate, roots := selfSigned()
	serverTLS := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("smtptest: %v", err))
	}
	s := &Server{
		config:   c,
		listener: listener,
		roots:    roots,
		closing:  make(chan struct{}),
		arrived:  make(chan struct{}),
		unstall:  make(chan struct{}),
		open:     make(map[*countedConn]struct{}),
	}
	s.server = gosmtp.NewServer(gosmtp.BackendFunc(s.newSession))
	s.server.Domain = "smtptest.example"
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.EnableSMTPUTF8 = c.SMTPUTF8
	s.server.MaxMessageBytes = 10 << 20
	if c.TLS == StartTLS {
		s.server.TLSConfig = serverTLS
	}
	var accepting net.Listener = &counted{Listener: listener, server: s}
	if c.TLS == ImplicitTLS {
		accepting = tls.NewListener(accepting, serverTLS)
	}
	s.conns.Go(func() { _ = s.server.Serve(accepting) })
	return s
}

// Addr returns the server's "host:port".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// ClientTLS returns a client's configuration that trusts the server's
// certificate.
func (s *Server) ClientTLS() *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

// Connections returns how many connections the server has accepted.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connected
}

// CloseClientConnections closes every connection, idle or not, as a restarting
// relay does. The server still listens.
func (s *Server) CloseClientConnections() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Conn.Close() // its session notices, and calls c.Close
	}
}

// Script adds rules. If several apply, the server follows the last added.
func (s *Server) Script(rules ...Rule) {
	for _, rule := range rules {
		rule.check()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, rules...)
}

// ClearScript removes all rules. A stalled session continues without its rule.
func (s *Server) ClearScript() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
	close(s.unstall)
	s.unstall = make(chan struct{})
}

// Mails returns the mails accepted so far, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Received returns the number of mails received up to their final dot, whatever
// the server replies.
func (s *Server) Received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

func (s *Server) receive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
}

// Wait returns the mails once there are at least n of them, or ctx's error.
func (s *Server) Wait(ctx context.Context, n int) ([]Mail, error) {
	for {
		s.mu.Lock()
		mails, arrived := slices.Clone(s.mails), s.arrived
		s.mu.Unlock()
		if len(mails) >= n {
			return mails, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return mails, fmt.Errorf("smtptest: %d mails of %d: %w", len(mails), n, context.Cause(ctx))
		}
	}
}

func (s *Server) keep(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// Close closes every connection and waits for the server's goroutines. The
// mails remain. It may be called again.
func (s *Server) Close() {
	s.close.Do(func() {
		close(s.closing)
		_ = s.server.Close()
		_ = s.listener.Close() // if Serve has not registered it yet
	})
	s.conns.Wait()
}

// counted counts connections, so that Close can wait for their end.
type counted struct {
	net.Listener
	server *Server
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := l.server
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		_ = c.Close()
		return nil, net.ErrClosed
	default:
	}
	s.connected++
	s.conns.Add(1)
	cc := &countedConn{Conn: c}
	cc.done = sync.OnceFunc(func() { s.forget(cc) })
	s.open[cc] = struct{}{}
	return cc, nil
}

func (s *Server) forget(c *countedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.conns.Done()
}

type countedConn struct {
	net.Conn
	done func()
}

func (c *countedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}
