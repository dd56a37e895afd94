package gatewaytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Kind is a place of the API.
type Kind uint8

// The kinds.
const (
	Private Kind = iota // a server of your own, under /api/3rdparty/v1
	Cloud               // api.sms-gate.app, under /3rdparty/v1
	OnPhone             // the phone itself, without a prefix
)

var prefixes = map[Kind]string{Private: "/api/3rdparty/v1", Cloud: "/3rdparty/v1", OnPhone: ""}

// Config describes a server. The zero value is a private server without limits
// and without tokens, which accepts any name and password.
type Config struct {
	// Kind sets the path of the API. A phone's own API has more differences: it
	// lists its device at /device, sends no Location, knows no other device,
	// has no queue limit and never hashes.
	Kind Kind

	// Username and Password are the credentials for Basic authentication.
	// Default: any.
	Username, Password string

	// JWT makes the server issue tokens. Default: it answers 501.
	JWT bool

	// AccessTTL is the longest life of an access token. Default 15 minutes.
	AccessTTL time.Duration

	// QueueLimit is the largest number of Pending messages for a phone; more
	// are answered with 503. Default: unlimited. (The real server notices with
	// a delay, this server at once.)
	QueueLimit int

	// HashAfter is the time from a phone's first report until a message's
	// content and numbers are hashed, unless the message is encrypted. Default
	// 60 s.
	HashAfter time.Duration

	// NoCancel answers DELETE with 405, as servers before 1.45 do.
	NoCancel bool
}

// A Server is sms-gate.app's server. Its phones are added by AddPhone.
type Server struct {
	// URL is the address for clients: scheme, host and the prefix of
	// Config.Kind, for example "https://127.0.0.1:40123/api/3rdparty/v1".
	URL string

	config    Config
	prefix    string
	http      *http.Server
	listener  net.Listener
	client    *http.Client
	transport *http.Transport
	running   context.Context // ends with Close
	stop      context.CancelFunc
	wg        sync.WaitGroup // serving, requests, phones

	mu       sync.Mutex
	closed   bool
	down     bool
	conns    map[net.Conn]struct{}
	phones   []*Phone
	messages []*message
	webhooks []webhook
	tokens   map[string]*token
	rules    []Rule
	release  chan struct{} // closed and replaced by ClearScript
	requests []Request
	changed  chan struct{} // closed and replaced at each new record
}

// NewServer starts a server with plain HTTP, as a phone on the local network
// has it. The caller must close it.
func NewServer(c Config) *Server {
	s := newServer(c)
	s.serve(listen(), "http://", nil)
	return s
}

// NewTLSServer starts a server with a certificate of its own; Client trusts it.
// The caller must close it.
func NewTLSServer(c Config) *Server {
	certificate, roots := selfSigned()
	s := newServer(c)
	s.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	l := listen()
	s.serve(l, "https://", tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	}))
	return s
}

// NewPipeServer starts a server with a certificate over net.Pipe, for tests in
// virtual time. Only its Client can reach it. The caller must close it.
func NewPipeServer(c Config) *Server {
	certificate, roots := selfSigned()
	s := newServer(c)
	l := newPipeListener()
	s.transport.DialContext = l.dial
	s.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	s.serve(l, "https://", tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	}))
	return s
}

func newServer(c Config) *Server {
	if c.AccessTTL <= 0 {
		c.AccessTTL = 15 * time.Minute
	}
	if c.HashAfter <= 0 {
		c.HashAfter = 60 * time.Second
	}
	prefix, ok := prefixes[c.Kind]
	if !ok {
		panic("gatewaytest: Config.Kind is none of the kinds")
	}
	s := &Server{
		config: c, prefix: prefix,
		transport: &http.Transport{},
		conns:     make(map[net.Conn]struct{}),
		tokens:    make(map[string]*token),
		release:   make(chan struct{}),
		changed:   make(chan struct{}),
	}
	s.client = &http.Client{Transport: s.transport}
	s.running, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.handle),
		ConnState:         s.track,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(discard{}, "", 0),
	}
	return s
}

func listen() net.Listener {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("gatewaytest: %v", err))
	}
	return l
}

// serve accepts on l, or on secure, which wraps it.
func (s *Server) serve(l net.Listener, scheme string, secure net.Listener) {
	s.listener = l
	s.URL = scheme + l.Addr().String() + s.prefix
	if secure == nil {
		secure = l
	}
	s.wg.Go(func() { _ = s.http.Serve(gate{secure, s}) }) // Close ends it
}

// Client returns a client that trusts the server's certificate and connects to
// it.
func (s *Server) Client() *http.Client { return s.client }

// Close closes every connection, stops the phones and waits until every
// goroutine of the server has ended. The records remain. It may be called
// again.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	_ = s.http.Close()
	_ = s.listener.Close() // if Serve has not registered it yet
	s.wg.Wait()
	s.transport.CloseIdleConnections()
}

// CloseClientConnections closes every connection, idle or not, as a restarting
// proxy does. The server still listens.
func (s *Server) CloseClientConnections() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// SetDown closes every connection if down is true, and every new one before its
// request can be read. SetDown(false) ends that.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.CloseClientConnections()
	}
}

// track records the open connections.
func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[c] = struct{}{}
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
	}
}

// A gate lets connections in unless the server is down.
type gate struct {
	net.Listener
	server *Server
}

func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.server.mu.Lock()
		down := g.server.down
		g.server.mu.Unlock()
		if !down {
			return c, nil
		}
		_ = c.Close()
	}
}

// begin counts a call that Close must wait for. It reports false once the
// server is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// spawn runs f until it returns; f watches s.running.
func (s *Server) spawn(f func()) {
	if !s.begin() {
		return
	}
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// pause waits, and reports false if the server is closed meanwhile.
func (s *Server) pause(d time.Duration) bool {
	if d <= 0 {
		return s.running.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.running.Done():
		return false
	}
}

// announce wakes all waiting calls. s.mu is held.
func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait waits until count has reached n.
func (s *Server) wait(ctx context.Context, what string, n int, count func() int) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		got := count()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("gatewaytest: %d of %d %s: %w", got, n, what, context.Cause(ctx))
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
