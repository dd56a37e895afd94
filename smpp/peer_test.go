package smpp_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A peer is the SMSC's end of a connection.
type peer struct{ peertest.Peer }

// peers is a configuration whose every connection is served by script, over
// net.Pipe. The number counts connections from 1.
func peers(t testing.TB, script func(p *peer, number int)) smpp.Config {
	var (
		mu     sync.Mutex
		number int
		wg     sync.WaitGroup
	)
	t.Cleanup(wg.Wait) // runs after the client is closed
	return smpp.Config{
		Addr: "smsc.example:2775", DangerouslyPlaintext: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			mu.Lock()
			number++
			n := number
			mu.Unlock()
			wg.Go(func() {
				defer server.Close()
				script(&peer{peertest.New(server)}, n)
			})
			return client, nil
		},
	}
}

// bind accepts the bind.
func (p *peer) bind() {
	f, _ := p.Await(pdu.BindTransceiverID)
	_, _ = p.Write(wire.AppendID(nil, pdu.BindTransceiverRespID, 0, f.Seq, "smsc"))
}

// accept answers a submit_sm.
func accept(f wire.Frame, id string) []byte {
	return wire.AppendID(nil, pdu.SubmitSmRespID, 0, f.Seq, id)
}

// deliver is a delivery receipt with TLVs and text.
func deliver(seq uint32, id string) []byte {
	m := &wire.Message{
		Source: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"}, EsmClass: wire.EsmReceipt,
		Short: []byte("id:" + id + " sub:001 dlvrd:001 submit date:2602121430 done date:2602121430" +
			" stat:DELIVRD err:000 text:"),
	}
	m.TLVs = m.TLVs.Append(pdu.TagReceiptedMessageID, append([]byte(id), 0)).Append(pdu.TagMessageState, []byte{2})
	return wire.AppendMessage(nil, pdu.DeliverSmID, seq, m)
}
