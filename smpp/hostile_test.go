package smpp_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
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

// TestServerHostile sends a server what no ESME should. It goes on serving.
func TestServerHostile(t *testing.T) {
	t.Parallel()
	config := serverConfig()
	config.Assemble = true
	s := startServer(t, config)
	for _, h := range hostile.PDUs(t) {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			peertest.AnswersHostile(t, &bound(t, s).Peer, h.Octets, h.Server)
			if got := bound(t, s).submit(nil); got != smpp.StatusOK {
				t.Errorf("over another session: %v", got)
			}
		})
	}
}

// TestHostileMemory: no length that a peer claims makes a connection take more
// memory than one that behaves does. It is not parallel, as it looks at all of
// the process's memory.
func TestHostileMemory(t *testing.T) {
	const (
		rounds        = 200
		perConnection = 256 << 10 // a client's session has room for 1024 receipts at once
		perPDU        = 256
	)
	for _, length := range []uint32{0, 8, 15, 0xFFFFFFFF} {
		header := binary.BigEndian.AppendUint32(nil, length)
		header = append(header, wire.AppendEmpty(nil, pdu.DeliverSmID, 0, 9)[4:]...)
		t.Run(fmt.Sprintf("Server/command_length 0x%X", length), func(t *testing.T) {
			s := startServer(t, serverConfig())
			peertest.AllocatesAtMost(t, rounds, perConnection, func() {
				client := bound(t, s)
				go func() { _, _ = client.Write(header) }()
				client.Drain()
				_ = client.Close()
				for len(s.Sessions()) > 0 {
					runtime.Gosched()
				}
			})
		})
		t.Run(fmt.Sprintf("Client/command_length 0x%X", length), func(t *testing.T) {
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
			peertest.AllocatesAtMost(t, rounds, perConnection, func() {
				next <- struct{}{}
				<-ended
			})
		})
	}
	unknown := []byte{}
	for range 1000 {
		unknown = append(unknown, wire.AppendEmpty(nil, 0x0DEF, 0, 9)...)
	}
	flood := func(p *peertest.Peer) {
		go func() { _, _ = p.Write(unknown) }()
		for range 1000 {
			if f := p.Next(); f.ID != pdu.GenericNackID {
				t.Errorf("answered with %+v", f.Header)
				return
			}
		}
	}
	t.Run("Server/unknown commands", func(t *testing.T) {
		client := bound(t, startServer(t, serverConfig()))
		peertest.AllocatesAtMost(t, rounds, 1000*perPDU, func() { flood(&client.Peer) })
	})
	t.Run("Client/unknown commands", func(t *testing.T) {
		next, done := make(chan struct{}), make(chan struct{})
		newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			for range next {
				flood(&p.Peer)
				done <- struct{}{}
			}
			p.Drain()
		}))
		peertest.AllocatesAtMost(t, rounds, 1000*perPDU, func() {
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
