package smpp_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// serverConfig accepts system_id "bank" with password "secret", and every
// message.
func serverConfig() smpp.ServerConfig {
	return smpp.ServerConfig{
		SystemID: "front", DangerouslyPlaintext: true,
		Authenticate: func(_ context.Context, b smpp.BindRequest) smpp.Status {
			if b.Password != "secret" {
				return smpp.StatusInvalidPassword
			}
			return smpp.StatusOK
		},
		Handler: func(context.Context, *smpp.Submit) (string, error) { return "", nil },
	}
}

func startServer(t testing.TB, c smpp.ServerConfig) *smpp.Server {
	t.Helper()
	s, err := smpp.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A located connection says that it comes from somewhere.
type located struct {
	net.Conn
	from string
}

func (l located) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(l.from), 40000))
}

// An esme is the client's end of a pipe to a server.
type esme struct {
	t testing.TB
	peertest.Peer
}

func dialFrom(t testing.TB, s *smpp.Server, from string) *esme {
	t.Helper()
	client, server := net.Pipe()
	if err := s.ServeConn(located{server, from}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return &esme{t, peertest.New(client)}
}

func dial(t testing.TB, s *smpp.Server) *esme { return dialFrom(t, s, "192.0.2.1") }

// dialer connects a Client to a server.
func dialer(s *smpp.Server) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		return client, s.ServeConn(located{server, "192.0.2.1"})
	}
}

func bindFrame(t testing.TB, id pdu.CommandID, systemID, password string) []byte {
	b, err := wire.AppendBind(nil, id, 1, wire.Bind{SystemID: systemID, Password: password, Version: 0x34})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (e *esme) bindAs(id pdu.CommandID, password string) smpp.Status {
	e.t.Helper()
	f := e.Ask(bindFrame(e.t, id, "bank", password))
	if f.ID != 0 && f.ID != id|pdu.GenericNackID { // 0: closed
		e.t.Errorf("a bind is answered with %+v", f.Header)
	}
	return smpp.Status(f.Status)
}

// bound is an esme that has bound as transceiver.
func bound(t testing.TB, s *smpp.Server) *esme {
	t.Helper()
	e := dial(t, s)
	if got := e.bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
		t.Fatalf("bind: %v", got)
	}
	return e
}

// submitFrame is a message, in message_payload where it is long.
func submitFrame(seq uint32, change func(*wire.Message)) []byte {
	m := &wire.Message{
		Source: wire.Addr{TON: 5, Digits: "MyBank"}, Dest: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"},
		Short: []byte("482910 is your code"), Registered: 1,
	}
	if change != nil {
		change(m)
	}
	if len(m.Short) > wire.MaxShortMessage {
		m.TLVs, m.Short = m.TLVs.Append(pdu.TagMessagePayload, m.Short), nil
	}
	return wire.AppendMessage(nil, pdu.SubmitSmID, seq, m)
}

func (e *esme) submit(change func(*wire.Message)) smpp.Status {
	e.t.Helper()
	f := e.Ask(submitFrame(7, change))
	if f.ID != pdu.SubmitSmRespID || f.Seq != 7 {
		e.t.Fatalf("answered with %+v", f.Header)
	}
	return smpp.Status(f.Status)
}

func (e *esme) isClosed() bool {
	_, err := e.In.Next()
	return err != nil
}

// TestServerWindow: what is over the window is refused, and what is in it is
// answered all the same.
func TestServerWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := serverConfig()
		c.Window = 3
		c.Handler = func(context.Context, *smpp.Submit) (string, error) {
			<-release
			return "late", nil
		}
		e := bound(t, startServer(t, c))
		var burst []byte
		for seq := range uint32(5) {
			burst = append(burst, submitFrame(seq+1, nil)...)
		}
		e.Write(burst)
		for range 2 {
			if f := e.Next(); smpp.Status(f.Status) != smpp.StatusThrottled || f.Seq < 4 {
				t.Errorf("answered with %+v", f.Header)
			}
		}
		close(release)
		for range 3 {
			if f := e.Next(); f.Status != 0 || f.Seq > 3 || wire.DecodeID(f.Body) != "late" {
				t.Errorf("answered with %+v", f.Header)
			}
		}
	})
}

// TestServerShutdown: what the handlers have is answered, the peers are told,
// and nobody waits for one that does not answer longer than UnbindTimeout.
func TestServerShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(context.Context, *smpp.Submit) (string, error) {
			time.Sleep(2 * time.Second)
			return "m1", nil
		}
		s := startServer(t, c)
		polite, rude, silent := bound(t, s), bound(t, s), dial(t, s)
		polite.Write(submitFrame(5, nil))
		heard := make(chan []pdu.CommandID, 1)
		go func() {
			var ids []pdu.CommandID
			for f := polite.Next(); f.ID != 0; f = polite.Next() {
				ids = append(ids, f.ID)
				if f.ID == pdu.UnbindID {
					polite.Write(peertest.Answer(f))
				}
			}
			heard <- ids
		}()
		go rude.Drain()
		go silent.Drain()
		began := time.Now()
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v, want the 5 s that the rude peer has", took)
		}
		if ids := <-heard; len(ids) != 2 || ids[0] != pdu.UnbindID || ids[1] != pdu.SubmitSmRespID {
			t.Errorf("heard %v", ids)
		}
		if err := s.Deliver("bank", smpp.DeliveryReceipt{ID: "m1"}); !errors.Is(err, smpp.ErrServerClosed) {
			t.Errorf("Deliver: %v", err)
		}
		if err := s.ServeConn(polite); !errors.Is(err, smpp.ErrServerClosed) {
			t.Errorf("ServeConn: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := startServer(t, serverConfig()).Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// onBound is a log that calls f when a session is bound.
type onBound struct {
	slog.Handler
	f func()
}

func (h onBound) Enabled(context.Context, slog.Level) bool { return true }

func (h onBound) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "smpp: bound" {
		h.f()
	}
	return nil
}

// TestServerUnbindsAfterBind: a session that is to end as soon as it is bound
// is told so after its bind is answered.
func TestServerUnbindsAfterBind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *smpp.Server
		c := serverConfig()
		c.Logger = slog.New(onBound{slog.DiscardHandler, func() { s.Sessions()[0].Unbind() }})
		s = startServer(t, c)
		e := dial(t, s)
		if got := e.bindAs(pdu.BindTransceiverID, "secret"); got != smpp.StatusOK {
			t.Errorf("bind: %v", got)
		}
		if f := e.Next(); f.ID != pdu.UnbindID {
			t.Errorf("then %+v", f.Header)
		}
	})
}

// TestServerPeerUnbinds: unbind is answered after everything else.
func TestServerPeerUnbinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Handler = func(context.Context, *smpp.Submit) (string, error) {
			time.Sleep(time.Second)
			return "m1", nil
		}
		e := bound(t, startServer(t, c))
		e.Write(append(submitFrame(5, nil), wire.AppendEmpty(nil, pdu.UnbindID, 0, 6)...))
		if f := e.Next(); f.ID != pdu.SubmitSmRespID || f.Status != 0 {
			t.Errorf("first %+v", f.Header)
		}
		if f := e.Next(); f.Header != (wire.Header{ID: pdu.UnbindRespID, Seq: 6}) {
			t.Errorf("then %+v", f.Header)
		}
		if !e.isClosed() {
			t.Error("connection is open")
		}
	})
}

func TestServerConfigErrors(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*smpp.ServerConfig){
		"Authenticate":         func(c *smpp.ServerConfig) { c.Authenticate = nil },
		"Handler":              func(c *smpp.ServerConfig) { c.Handler = nil },
		"TLS":                  func(c *smpp.ServerConfig) { c.DangerouslyPlaintext = false },
		"DangerouslyPlaintext": func(c *smpp.ServerConfig) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS12} },
		"SystemID":             func(c *smpp.ServerConfig) { c.SystemID = strings.Repeat("a", 65) },
		"Window":               func(c *smpp.ServerConfig) { c.Window = -1 },
		"MaxMessage":           func(c *smpp.ServerConfig) { c.MaxMessage = 1 << 16 },
		"PreBindTimeout":       func(c *smpp.ServerConfig) { c.PreBindTimeout = -1 },
		"Allow":                func(c *smpp.ServerConfig) { c.Allow = []netip.Prefix{{}} },
	} {
		c := serverConfig()
		change(&c)
		if _, err := smpp.NewServer(c); err == nil || !strings.Contains(err.Error(), "smpp: ServerConfig."+field) {
			t.Errorf("%s: error is %v", field, err)
		}
	}
}
