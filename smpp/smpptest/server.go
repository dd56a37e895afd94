package smpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
)

// A Config says how a [Server] behaves. The zero value accepts everything.
type Config struct {
	// SystemID and Password are required of binds. Default: any.
	SystemID, Password string

	// Handler answers messages. Default: accepts them all.
	Handler Handler

	// TPS is how many messages per second are taken, over all connections;
	// beyond it they are answered with ESME_RTHROTTLED. Default: unlimited.
	TPS int

	// Redeliver is how long after a negative answer a receipt is sent again,
	// over the same connection. Default: never.
	Redeliver time.Duration

	// Forget keeps no record of messages, for benchmarks. Default: Messages
	// and Submits return them all.
	Forget bool
}

// A Server is an SMSC.
type Server struct {
	// Addr is where the server listens, "127.0.0.1:40123".
	Addr string

	listener    net.Listener // nil: connections come by Dial
	certificate *tls.Certificate
	wg          sync.WaitGroup

	mu       sync.Mutex
	config   Config
	refuse   smpp.Status
	next     []Reply
	on       map[string][]Reply
	taken    []time.Time // when the messages of the last second were taken
	conns    map[*conn]struct{}
	accepted int // connections so far
	ids      int
	received int // submit_sm so far
	binds    []Bind
	submits  []Submit
	answers  []smpp.Status
	changed  chan struct{} // closed and replaced when messages arrive
	isClosed bool
}

// NewServer starts a server without TLS: its clients need
// smpp.Config.DangerouslyPlaintext. Close it in the end.
func NewServer(c Config) *Server { return listen(c, nil) }

// NewTLSServer starts a server with a certificate of its own; its clients need
// ClientTLS. Close it in the end.
func NewTLSServer(c Config) *Server {
	cert := selfSigned()
	return listen(c, &cert)
}

// NewPipeServer makes a server without TLS that can be reached by its Dial
// only, over net.Pipe: for tests in virtual time. Close it in the end.
func NewPipeServer(c Config) *Server {
	s := newServer(c)
	s.Addr = "smsc.example:2775"
	return s
}

func newServer(c Config) *Server {
	return &Server{
		config: c, on: make(map[string][]Reply), conns: make(map[*conn]struct{}),
		changed: make(chan struct{}),
	}
}

func listen(c Config, cert *tls.Certificate) *Server {
	s := newServer(c)
	s.certificate = cert
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("smpptest: %v", err))
	}
	s.Addr = l.Addr().String()
	if cert != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
	}
	s.listener = l
	s.wg.Go(s.accept)
	return s
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.serve(c) {
			_ = c.Close()
		}
	}
}

// Dial connects to the server over net.Pipe, for smpp.Config.Dial. Network and
// address do not matter.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	if !s.serve(server) {
		return nil, errors.New("smpptest: connection refused: server is closed")
	}
	return client, ctx.Err()
}

// serve speaks SMPP on c until it closes. It reports whether it does: not
// after Close.
func (s *Server) serve(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return false
	}
	s.accepted++
	c := newConn(s, nc, s.accepted)
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		c.run()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	})
	return true
}

// Close closes the listener and all connections, and waits until no goroutine
// of the server is left. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.isClosed = true
	s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.Disconnect()
	s.wg.Wait()
}

// Disconnect closes all connections, without a word. The server goes on
// listening.
func (s *Server) Disconnect() {
	for _, c := range s.connections() {
		c.close()
	}
}

// Unbind sends unbind over all connections; each is closed when it is
// answered.
func (s *Server) Unbind() {
	for _, c := range s.connections() {
		c.request(pdu.UnbindID)
	}
}

// Connections is how many connections are open, bound or not.
func (s *Server) Connections() int { return len(s.connections()) }

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}
