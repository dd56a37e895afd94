package smpptest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A Config sets the behaviour of a [Server]. The zero value accepts everything.
type Config struct {
	// A bind must have SystemID and Password. Default: any.
	SystemID, Password string

	// Handler answers messages. Default: accepts them all.
	Handler Handler

	// TPS is the largest number of messages per second, over all connections;
	// further ones are answered with ESME_RTHROTTLED. Default: unlimited.
	TPS int

	// Redeliver is the time after which a refused receipt is sent again, over
	// the same connection. Default: never.
	Redeliver time.Duration

	// Forget keeps no record of messages, for benchmarks. Default: Messages and
	// Submits return all messages, and cancel_sm finds them.
	Forget bool
}

// A Server is an SMSC: an [smppserver.Server] that follows a script, with no
// timeouts for its clients.
type Server struct {
	// Addr is the server's address, for example "127.0.0.1:40123".
	Addr string

	server      *smppserver.Server
	certificate *tls.Certificate
	wg          sync.WaitGroup

	mu      sync.Mutex
	config  Config
	refuse  smpp.Status
	next    []Reply
	stored  map[string]*storedMessage // by message_id
	cancels []Cancel

	nextCancels []Reply
	on          map[string][]Reply
	taken       []time.Time // times of the messages of the last second
	ids         int
	received    int // submit_sm so far
	binds       []Bind
	submits     []Submit
	answers     []smpp.Status
	changed     chan struct{} // closed and replaced when messages arrive
}

// NewServer starts a server without TLS: its clients need
// smpp.Config.DangerouslyPlaintext. The caller must close it.
func NewServer(c Config) *Server { return listen(c, nil) }

// NewTLSServer starts a server with a certificate of its own; its clients need
// ClientTLS. The caller must close it.
func NewTLSServer(c Config) *Server {
	cert := selfSigned()
	return listen(c, &cert)
}

// NewPipeServer returns a server without TLS over net.Pipe, for tests in
// virtual time. Clients reach it by its Dial only. The caller must close it.
func NewPipeServer(c Config) *Server {
	s := newServer(c)
	s.Addr = "smsc.example:2775"
	return s
}

// never is longer than any test.
const never = 100 * 365 * 24 * time.Hour

func newServer(c Config) *Server {
	s := &Server{
		config: c, on: make(map[string][]Reply), stored: make(map[string]*storedMessage), changed: make(chan struct{}),
	}
	var err error
	s.server, err = smppserver.New(smppserver.Config{
		SystemID:             "smpptest",
		DangerouslyPlaintext: true, // TLS is under a conn
		Authenticate:         func(_ context.Context, b smppserver.BindRequest) smpp.Status { return s.checkBind(b) },
		OnBind:               s.addBind,
		AsyncHandler: func(_ context.Context, m *smppserver.Submit, answer func(string, error)) {
			s.submit(m, answer)
		},
		Cancel: s.cancel, HandlerTimeout: never,
		MaxBindFailures: -1, MaxConnections: 1_000_000, MaxMessage: 0xFFFF, Window: 100_000,
		PreBindTimeout: never, InactivityTimeout: never, MaxSession: never, UnbindTimeout: never,
		ReceiptTimeout: never,
	})
	if err != nil {
		panic(fmt.Sprintf("smpptest: %v", err))
	}
	return s
}

func listen(c Config, cert *tls.Certificate) *Server {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("smpptest: %v", err))
	}
	s := newServer(c)
	s.certificate = cert
	s.Addr = l.Addr().String()
	if cert != nil {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
	}
	s.wg.Go(func() { _ = s.server.Serve(listener{l}) }) // Close ends it
	return s
}

// A listener returns conns.
type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}

// Dial connects to the server over net.Pipe, for smpp.Config.Dial. It ignores
// network and address.
func (s *Server) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	if err := s.server.ServeConn(newConn(server)); err != nil {
		return nil, fmt.Errorf("smpptest: connection refused: %w", err)
	}
	return client, ctx.Err()
}

// Close closes the listener and all connections, and waits until every
// goroutine of the server has ended. It may be called more than once.
func (s *Server) Close() {
	_ = s.server.Close()
	s.wg.Wait()
}

// Disconnect closes all connections, without unbind. The server still listens.
func (s *Server) Disconnect() {
	for _, c := range s.server.Sessions() {
		c.Close()
	}
}

// Unbind sends unbind over all bound connections; each is closed after its
// answer. Outstanding requests get no answer.
func (s *Server) Unbind() {
	for _, c := range s.server.Sessions() {
		c.Unbind()
		connOf(c).leave()
	}
}

// Connections returns the number of open connections, bound or not.
func (s *Server) Connections() int { return len(s.server.Sessions()) }

// id returns the id given, or a new one.
func (s *Server) id(given string) string {
	if given != "" {
		return given
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids++
	return "m" + strconv.Itoa(s.ids)
}
