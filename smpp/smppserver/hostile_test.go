package smppserver_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/hostile"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestStalledPeer: a peer that does not read is given up, and holds up
// nobody else.
func TestStalledPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		stalled := bound(t, s)
		began := time.Now()
		go func() { // never reads
			for {
				if _, err := stalled.Write(submitFrame(1, nil)); err != nil {
					return
				}
			}
		}()
		other := bound(t, s)
		if got := other.submit(nil); got != smpp.StatusOK {
			t.Errorf("the other session: %v", got)
		}
		for len(s.Sessions()) > 1 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("given up after %v", took)
		}
	})
}

// FuzzSession feeds a bound session whatever comes, and wants the server
// to end when it is told to, having kept nothing.
func FuzzSession(f *testing.F) {
	f.Add(submitFrame(1, nil))
	f.Add(append(submitFrame(1, nil), wire.AppendEmpty(nil, pdu.UnbindID, 0, 2)...))
	f.Add(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
	f.Add(wire.AppendEmpty(nil, pdu.UnbindRespID, 0, 1))
	f.Add(wire.AppendEmpty(nil, pdu.DeliverSmRespID, 8, 1))
	f.Add(bindFrame(f, pdu.BindReceiverID, "bank", "secret"))
	f.Add(submitFrame(1, func(m *wire.Message) { m.Validity, m.DataCoding = "260212143000000+", 0x18 }))
	tlvs := wire.TLVs{}.Append(pdu.TagMessagePayload, []byte("482910")).Append(pdu.TagQosTimeToLive, []byte{0, 0, 1, 0})
	f.Add(wire.AppendDataSM(nil, 1, &wire.Message{Dest: wire.Addr{TON: 1, Digits: "447911123456"}, TLVs: tlvs}))
	f.Add(wire.AppendQuery(nil, 1, wire.Query{ID: "m1"}))
	f.Add(wire.AppendCancel(nil, 1, aCancel))
	f.Add(submitFrame(1, func(m *wire.Message) { m.EsmClass, m.UDH = wire.EsmUDHI, []byte{5, 0, 3, 1, 2, 1} }))
	for _, h := range hostile.PDUs(f) {
		f.Add(h.Octets)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		c := serverConfig()
		c.Assemble, c.RequireE164 = true, true
		c.Cancel = func(context.Context, *smppserver.CancelRequest) error { return nil }
		c.Query = func(context.Context, *smppserver.QueryRequest) (smppserver.QueryResult, error) {
			return smppserver.QueryResult{Stat: "ENROUTE"}, nil
		}
		s := startServer(t, c)
		if err := s.Deliver("bank", smppserver.DeliveryReceipt{ID: "m1", From: "+447911123456",
			To: "MyBank"}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeliverMessage("bank", aStop); err != nil {
			t.Fatal(err)
		}
		e := bound(t, s)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			for {
				f, err := e.In.Next()
				if err != nil {
					return
				}
				if f.Status > 0xFF {
					t.Errorf("answered with %+v", f.Header)
				}
			}
		}()
		e.Write(input)
		e.Close()
		<-drained
		s.Close()
		if n := len(s.Sessions()); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// TestHostile sends a server what no ESME should. It goes on serving.
func TestHostile(t *testing.T) {
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

// TestHostileMemory: no length that an ESME claims makes a connection take more
// memory than a well-behaved one does. The test is not parallel, as it looks at
// the memory of the whole process.
func TestHostileMemory(t *testing.T) {
	for _, length := range []uint32{0, 8, 15, 0xFFFFFFFF} {
		header := peertest.Header(length)
		t.Run(fmt.Sprintf("command_length 0x%X", length), func(t *testing.T) {
			s := startServer(t, serverConfig())
			peertest.AllocatesAtMost(t, 200, 256<<10, func() {
				client := bound(t, s)
				go func() { _, _ = client.Write(header) }()
				client.Drain()
				_ = client.Close()
				for len(s.Sessions()) > 0 {
					runtime.Gosched()
				}
			})
		})
	}
	t.Run("unknown commands", func(t *testing.T) {
		client := bound(t, startServer(t, serverConfig()))
		peertest.AllocatesAtMost(t, 200, 1000<<10, func() { peertest.Flood(t, &client.Peer, 1000) })
	})
}
