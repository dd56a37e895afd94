package smppserver_test

import (
	"crypto/tls"
	"net"
	"slices"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestSplitAtEveryOctet cuts what an ESME sends to a server.
func TestSplitAtEveryOctet(t *testing.T) {
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
	peertest.EachSplit(t, len(bind)+len(asks), func(t *testing.T, server, client *tls.Config, chunks peertest.Chunks) {
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
		// The handler takes its time.
		slices.SortFunc(got, func(a, b wire.Header) int { return int(a.Seq) - int(b.Seq) })
		if !slices.Equal(got, want) {
			t.Errorf("the server answered %+v, want %+v", got, want)
		}
	})
}
