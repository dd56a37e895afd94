package smppserver_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serverConfig accepts system_id "bank" with password "secret", and every
// message.
func serverConfig() smppserver.Config {
	return smppserver.Config{
		SystemID: "front", DangerouslyPlaintext: true,
		Authenticate: func(_ context.Context, b smppserver.BindRequest) smpp.Status {
			if b.Password != "secret" {
				return smpp.StatusInvalidPassword
			}
			return smpp.StatusOK
		},
		Handler: func(context.Context, *smppserver.Submit) (string, error) { return "", nil },
	}
}

func startServer(t testing.TB, c smppserver.Config) *smppserver.Server {
	t.Helper()
	s, err := smppserver.New(c)
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

func dialFrom(t testing.TB, s *smppserver.Server, from string) *esme {
	t.Helper()
	client, server := net.Pipe()
	if err := s.ServeConn(located{server, from}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return &esme{t, peertest.New(client)}
}

func dial(t testing.TB, s *smppserver.Server) *esme { return dialFrom(t, s, "192.0.2.1") }

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
func bound(t testing.TB, s *smppserver.Server) *esme {
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

// took requires that virtual time has passed since.
func took(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(since); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}
