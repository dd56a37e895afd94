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
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

const hostileFile = "testdata/hostile.txt"

// answersHostile sends a PDU over a bound session and wants its answer: after
// which the session stands, or is closed.
func answersHostile(t *testing.T, p *peer, octets []byte, want hostile.Answer) {
	t.Helper()
	enquire := wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 11)
	if want.ID == 0 {
		octets = append(octets, enquire...) // behind it; after an answer it waits for that
	}
	go func() { _, _ = p.Write(octets) }() // it may be closed before all is read
	if want.ID != 0 {
		h := wire.Header{ID: pdu.CommandID(want.ID), Status: want.Status, Seq: want.Seq}
		if f := p.next(); f.Header != h {
			t.Errorf("answered with %+v, want %+v", f.Header, h)
		}
	}
	if want.Closes {
		if f, err := p.in.Next(); err == nil {
			t.Errorf("then answered with %+v, want the end", f.Header)
		}
		return
	}
	if want.ID != 0 {
		_, _ = p.Write(enquire)
	}
	if f := p.next(); f.Header != (wire.Header{ID: pdu.EnquireLinkRespID, Seq: 11}) {
		t.Errorf("enquire_link is answered with %+v", f.Header)
	}
}

// TestHostile sends a client what no SMSC should. Afterwards it sends, over the
// same session or the next one.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, h := range hostile.PDUs(t, hostileFile) {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			config := peers(t, func(p *peer, n int) {
				p.bind()
				if n == 1 {
					answersHostile(t, p, h.Octets, h.Client)
					close(answered)
				}
				for f, ok := p.await(pdu.SubmitSmID); ok; f, ok = p.await(pdu.SubmitSmID) {
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
	for _, h := range hostile.PDUs(t, hostileFile) {
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			answersHostile(t, &bound(t, s).peer, h.Octets, h.Server)
			if got := bound(t, s).submit(nil); got != smpp.StatusOK {
				t.Errorf("over another session: %v", got)
			}
		})
	}
}

// memory wants n rounds to allocate at most perRound octets each. What is held
// in the end is no measure: a stopped timer keeps what it knows until the
// runtime sweeps it.
func memory(t *testing.T, n int, perRound uint64, round func()) {
	t.Helper()
	round() // what is made once
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		round()
	}
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / uint64(n)
	t.Logf("%d octets a round", each)
	if each > perRound {
		t.Errorf("%d octets a round, want at most %d", each, perRound)
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
			memory(t, rounds, perConnection, func() {
				client := bound(t, s)
				go func() { _, _ = client.Write(header) }()
				client.drain()
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
				p.drain()
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
			memory(t, rounds, perConnection, func() {
				next <- struct{}{}
				<-ended
			})
		})
	}
	unknown := []byte{}
	for range 1000 {
		unknown = append(unknown, wire.AppendEmpty(nil, 0x0DEF, 0, 9)...)
	}
	flood := func(p *peer) {
		go func() { _, _ = p.Write(unknown) }()
		for range 1000 {
			if f := p.next(); f.ID != pdu.GenericNackID {
				t.Errorf("answered with %+v", f.Header)
				return
			}
		}
	}
	t.Run("Server/unknown commands", func(t *testing.T) {
		client := bound(t, startServer(t, serverConfig()))
		memory(t, rounds, 1000*perPDU, func() { flood(&client.peer) })
	})
	t.Run("Client/unknown commands", func(t *testing.T) {
		next, done := make(chan struct{}), make(chan struct{})
		newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			for range next {
				flood(p)
				done <- struct{}{}
			}
			p.drain()
		}))
		memory(t, rounds, 1000*perPDU, func() {
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
	for _, h := range hostile.PDUs(f, hostileFile) {
		f.Add(h.Octets)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		done := make(chan struct{})
		config := peers(t, func(p *peer, n int) {
			p.bind()
			if n > 1 {
				p.drain()
				return
			}
			defer close(done)
			go func() {
				_, _ = p.Write(input)
				_ = p.Close()
			}()
			for f := p.next(); f.ID != 0; f = p.next() {
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
