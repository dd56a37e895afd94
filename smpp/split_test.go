package smpp_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

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
	peertest.EachSplit(t, len(bound)+len(answers),
		func(t *testing.T, server, client *tls.Config, chunks peertest.Chunks) {
			testStream(t, server, client, chunks(bound, 0), chunks(answers, len(bound)))
		})
}

func testStream(t *testing.T, server, client *tls.Config, bound, answers [][]byte) {
	heard := make(chan []pdu.CommandID, 1)
	got := newReceipts()
	config := peers(t, func(p *peer, _ int) {
		if server != nil {
			conn := tls.Server(p.Conn, server)
			p = &peer{peertest.New(conn)}
		}
		p.Await(pdu.BindTransceiverID)
		for _, b := range bound {
			_, _ = p.Write(b)
		}
		p.Await(pdu.SubmitSmID)
		go func() {
			for _, b := range answers {
				_, _ = p.Write(b)
			}
		}()
		var ids []pdu.CommandID
		for range 3 {
			ids = append(ids, p.Next().ID)
		}
		slices.Sort(ids)
		heard <- ids
		p.Drain()
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
