package smpp_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A peer is the SMSC's end of a connection in a test's own hands, for what no
// SMSC should do.
type peer struct {
	net.Conn
	in *wire.Reader
}

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
				script(&peer{Conn: server, in: wire.NewReader(server)}, n)
			})
			return client, nil
		},
	}
}

// next returns the next frame, or one with no ID at the end.
func (p *peer) next() wire.Frame {
	f, err := p.in.Next()
	if err != nil {
		return wire.Frame{}
	}
	return f
}

// await discards frames up to one with the id. It reports whether it came.
func (p *peer) await(id pdu.CommandID) (wire.Frame, bool) {
	for {
		f := p.next()
		if f.ID == id || f.ID == 0 {
			return f, f.ID == id
		}
	}
}

// drain reads until the connection is closed.
func (p *peer) drain() { p.await(0xFFFFFFFF) }

// bind accepts the bind.
func (p *peer) bind() {
	f, _ := p.await(pdu.BindTransceiverID)
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
		Short: []byte("id:" + id + " sub:001 dlvrd:001 submit date:2602121430 done date:2602121430 stat:DELIVRD err:000 text:"),
	}
	m.TLVs = m.TLVs.Append(pdu.TagReceiptedMessageID, append([]byte(id), 0)).Append(pdu.TagMessageState, []byte{2})
	return wire.AppendMessage(nil, pdu.DeliverSmID, seq, m)
}

// answer is a response without a body.
func answer(f wire.Frame) []byte { return wire.AppendEmpty(nil, f.Response(), 0, f.Seq) }
