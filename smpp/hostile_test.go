package smpp_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/hostile"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestHostile sends a client what no SMSC should. Afterwards it sends, over the
// same session or the next one.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, h := range hostile.PDUs(t) {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			config := peers(t, func(p *peer, n int) {
				p.bind()
				if n == 1 {
					peertest.AnswersHostile(t, &p.Peer, h.Octets, h.Client)
					close(answered)
				}
				for f, ok := p.Await(pdu.SubmitSmID); ok; f, ok = p.Await(pdu.SubmitSmID) {
					_, _ = p.Write(accept(f, fmt.Sprint(n)))
				}
			})
			config.ReconnectMin, config.Receipt = time.Millisecond, newReceipts().handle
			config.Inbound = func(context.Context, smpp.Inbound) error { return nil }
			c := newClient(t, config)
			<-answered
			sub, err := c.Send(t.Context(), message(ann, "482910"))
			want := map[bool]string{false: "1", true: "2"}[h.Client.Closes]
			if err != nil || !slices.Equal(sub.ProviderIDs, []string{want}) {
				t.Errorf("Send: %+v, %v; want it sent over connection %s", sub, err, want)
			}
		})
	}
}

// TestHostileMemory: no length that an SMSC claims makes a connection take more
// memory than a well-behaved one does. The test is not parallel, as it looks at
// the memory of the whole process.
func TestHostileMemory(t *testing.T) {
	for _, length := range []uint32{0, 8, 15, 0xFFFFFFFF} {
		header := peertest.Header(length)
		t.Run(fmt.Sprintf("command_length 0x%X", length), func(t *testing.T) {
			next, ended := make(chan struct{}), make(chan struct{})
			config := peers(t, func(p *peer, _ int) {
				p.bind()
				go func() { _, _ = p.Write(header) }()
				p.Drain()
				ended <- struct{}{}
			})
			config.ReconnectMin, config.ReconnectMax = time.Nanosecond, time.Nanosecond
			dial := config.Dial
			config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				select {
				case <-next:
					return dial(ctx, network, addr)
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			newClient(t, config)
			// A session has room for 1024 receipts at once.
			peertest.AllocatesAtMost(t, 200, 256<<10, func() {
				next <- struct{}{}
				<-ended
			})
		})
	}
	t.Run("unknown commands", func(t *testing.T) {
		next, done := make(chan struct{}), make(chan struct{})
		newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			for range next {
				peertest.Flood(t, &p.Peer, 1000)
				done <- struct{}{}
			}
			p.Drain()
		}))
		peertest.AllocatesAtMost(t, 200, 1000<<10, func() {
			next <- struct{}{}
			<-done
		})
		close(next)
	})
}

// FuzzClientSession feeds a bound client whatever comes: it answers with what
// is an answer, and ends when it is told to.
func FuzzClientSession(f *testing.F) {
	f.Add(deliver(1, "m1"))
	f.Add(append(accept(wire.Frame{Header: wire.Header{Seq: 2}}, "m1"), wire.AppendEmpty(nil, pdu.UnbindID, 0, 1)...))
	for _, h := range hostile.PDUs(f) {
		f.Add(h.Octets)
	}
	for _, length := range []byte{0, 40, 95, 200} {
		f.Add(deliverRaw(4, 8, length, fullReceipt+"\x00\x00\x1e\x00\x02m1\x04\x27\x00\x01\x02"))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		done := make(chan struct{})
		config := peers(t, func(p *peer, n int) {
			p.bind()
			if n > 1 {
				p.Drain()
				return
			}
			defer close(done)
			go func() {
				_, _ = p.Write(input)
				_ = p.Close()
			}()
			for f := p.Next(); f.ID != 0; f = p.Next() {
				if !f.IsResponse() && f.ID != pdu.SubmitSmID && f.ID != pdu.UnbindID || f.Status > 0xFF {
					t.Errorf("the client says %+v", f.Header)
				}
			}
		})
		config.Receipt = newReceipts().handle
		config.Inbound = func(context.Context, smpp.Inbound) error { return nil }
		config.Trace = func(p smpp.PDU) { _ = p.String() }
		config.ReceiptsInPlainMessages = true
		c := newClient(t, config)
		sent := make(chan error, 1)
		go func() {
			_, err := c.Send(context.Background(), message(ann, "482910"))
			sent <- err
		}()
		<-done
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		<-sent
	})
}

// TestStrayResponses: only a submit_sm_resp, or a generic_nack, with its own
// sequence number answers a message.
func TestStrayResponses(t *testing.T) {
	t.Parallel()
	config := peers(t, func(p *peer, _ int) {
		p.bind()
		f, ok := p.Await(pdu.SubmitSmID)
		if !ok {
			return
		}
		for _, b := range [][]byte{
			wire.AppendEmpty(nil, pdu.GenericNackID, 0x02, 0),
			wire.AppendID(nil, pdu.SubmitSmRespID, 0, 0x7FFFFFFF, "other"),
			wire.AppendID(nil, pdu.DeliverSmRespID, 0, f.Seq, "other"),
			wire.AppendEmpty(nil, pdu.BindTransceiverRespID, 0, f.Seq),
			wire.AppendEmpty(nil, 0x80000DEF, 0, f.Seq),
			accept(f, "m1\x00trailing"),
		} {
			_, _ = p.Write(b)
		}
		p.Drain()
	})
	sub, err := newClient(t, config).Send(t.Context(), message(ann, "482910"))
	if err != nil || sub.ProviderIDs[0] != "m1" {
		t.Errorf("Send: %v, %v", sub, err)
	}
}

// A peer that has an answer to each of its requests pile up is let go.
func TestFloodWithoutReading(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	closed := make(chan struct{})
	config := peers(t, func(p *peer, n int) {
		p.bind()
		if n > 1 {
			p.Drain()
			return
		}
		flood := make([]byte, 0, 1<<16)
		for i := range uint32(1 << 12) {
			flood = wire.AppendEmpty(flood, pdu.EnquireLinkID, 0, i+1)
		}
		for ctx.Err() == nil {
			if _, err := p.Write(flood); err != nil {
				close(closed)
				return
			}
		}
	})
	config.WriteTimeout = time.Hour // not for want of reading, but for what piles up
	newClient(t, config)
	select {
	case <-closed:
	case <-ctx.Done():
		t.Error("the connection is still open")
	}
}
