package smpp_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// secrets are a certificate for 127.0.0.1 and who trusts it, or nil for both.
func secrets(t *testing.T, secure bool) (server, client *tls.Config) {
	t.Helper()
	if !secure {
		return nil, nil
	}
	key, cert, client := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	client.ServerName = "127.0.0.1"
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, client
}

// eachSplit runs f for a stream of so many octets that is cut into two at every
// octet, and into single octets; plain, and with a TLS record for each piece.
// chunks cuts b, which begins at an octet of the stream.
func eachSplit(t *testing.T, total int, f func(t *testing.T, server, client *tls.Config, chunks func(b []byte, from int) [][]byte)) {
	for _, secure := range []bool{false, true} {
		server, client := secrets(t, secure)
		for cut := range total + 1 {
			t.Run(fmt.Sprintf("TLS %v/%d", secure, cut), func(t *testing.T) {
				t.Parallel()
				f(t, server, client, func(b []byte, from int) [][]byte {
					if cut == total { // the last case: one by one
						return slices.Collect(slices.Chunk(b, 1))
					}
					at := min(max(cut-from, 0), len(b))
					return [][]byte{b[:at], b[at:]}
				})
			})
		}
	}
}

// TestSplitAtEveryOctet cuts what the SMSC sends to a client.
func TestSplitAtEveryOctet(t *testing.T) {
	t.Parallel()
	bound := wire.AppendID(nil, pdu.BindTransceiverRespID, 0, 1, "smsc")
	answers := slices.Concat(
		accept(wire.Frame{Header: wire.Header{Seq: 2}}, "m1"),
		deliver(1, "m1"),
		wire.AppendEmpty(nil, 0x00000DEF, 0, 2), // no command of SMPP
		wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 3),
	)
	eachSplit(t, len(bound)+len(answers), func(t *testing.T, server, client *tls.Config, chunks func([]byte, int) [][]byte) {
		testStream(t, server, client, chunks(bound, 0), chunks(answers, len(bound)))
	})
}

func testStream(t *testing.T, server, client *tls.Config, bound, answers [][]byte) {
	heard := make(chan []pdu.CommandID, 1)
	got := newReceipts()
	config := peers(t, func(p *peer, _ int) {
		if server != nil {
			conn := tls.Server(p.Conn, server)
			p = &peer{Conn: conn, in: wire.NewReader(conn)}
		}
		p.await(pdu.BindTransceiverID)
		for _, b := range bound {
			_, _ = p.Write(b)
		}
		p.await(pdu.SubmitSmID)
		go func() {
			for _, b := range answers {
				_, _ = p.Write(b)
			}
		}()
		var ids []pdu.CommandID
		for range 3 {
			ids = append(ids, p.next().ID)
		}
		slices.Sort(ids)
		heard <- ids
		p.drain()
	})
	config.TLS, config.DangerouslyPlaintext = client, client == nil
	config.Receipt = got.handle
	c := newClient(t, config)
	sub, err := c.Send(t.Context(), message(ann, "482910"))
	if err != nil || !slices.Equal(sub.ProviderIDs, []string{"m1"}) {
		t.Fatalf("Send: %v, %v", sub, err)
	}
	if r := got.wait(t, 1)[0]; r.ProviderID != "m1" || r.State != channel.Delivered {
		t.Errorf("receipt is %+v", r)
	}
	want := []pdu.CommandID{pdu.GenericNackID, pdu.DeliverSmRespID, pdu.EnquireLinkRespID}
	if ids := <-heard; !slices.Equal(ids, want) {
		t.Errorf("the client answered %v, want %v", ids, want)
	}
}

// TestServerSplitAtEveryOctet cuts what an ESME sends to a server.
func TestServerSplitAtEveryOctet(t *testing.T) {
	t.Parallel()
	bind := bindFrame(t, pdu.BindTransceiverID, "bank", "secret")
	asks := slices.Concat(
		submitFrame(2, nil),
		wire.AppendEmpty(nil, 0x00000DEF, 0, 3), // no command of SMPP
		wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 4),
	)
	want := []wire.Header{
		{ID: pdu.BindTransceiverRespID, Seq: 1}, {ID: pdu.SubmitSmRespID, Seq: 2},
		{ID: pdu.GenericNackID, Status: 3, Seq: 3}, {ID: pdu.EnquireLinkRespID, Seq: 4},
	}
	eachSplit(t, len(bind)+len(asks), func(t *testing.T, server, client *tls.Config, chunks func([]byte, int) [][]byte) {
		config := serverConfig()
		config.TLS, config.DangerouslyPlaintext = server, server == nil
		near, far := net.Pipe()
		if err := startServer(t, config).ServeConn(far); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { near.Close() })
		conn := near
		if client != nil {
			conn = tls.Client(near, client)
		}
		go func() {
			for _, b := range append(chunks(bind, 0), chunks(asks, len(bind))...) {
				_, _ = conn.Write(b)
			}
		}()
		in := wire.NewReader(conn)
		var got []wire.Header
		for range want {
			f, err := in.Next()
			if err != nil {
				t.Fatalf("after %+v: %v", got, err)
			}
			got = append(got, f.Header)
		}
		slices.SortFunc(got, func(a, b wire.Header) int { return int(a.Seq) - int(b.Seq) }) // the handler takes its time
		if !slices.Equal(got, want) {
			t.Errorf("the server answered %+v, want %+v", got, want)
		}
	})
}
