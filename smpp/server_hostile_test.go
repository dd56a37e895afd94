package smpp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/hostile"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestServerStalledPeer: a peer that does not read is given up, and holds up
// nobody else.
func TestServerStalledPeer(t *testing.T) {
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

// FuzzServerSession feeds a bound session whatever comes, and wants the server
// to end when it is told to, having kept nothing.
func FuzzServerSession(f *testing.F) {
	f.Add(submitFrame(1, nil))
	f.Add(append(submitFrame(1, nil), wire.AppendEmpty(nil, pdu.UnbindID, 0, 2)...))
	f.Add(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 1))
	f.Add(wire.AppendEmpty(nil, pdu.UnbindRespID, 0, 1))
	f.Add(wire.AppendEmpty(nil, pdu.DeliverSmRespID, 8, 1))
	f.Add(bindFrame(f, pdu.BindReceiverID, "bank", "secret"))
	f.Add(submitFrame(1, func(m *wire.Message) { m.EsmClass, m.UDH = wire.EsmUDHI, []byte{5, 0, 3, 1, 2, 1} }))
	for _, h := range hostile.PDUs(f) {
		f.Add(h.Octets)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		c := serverConfig()
		c.Assemble, c.RequireE164 = true, true
		s := startServer(t, c)
		if err := s.Deliver("bank", smpp.DeliveryReceipt{ID: "m1", From: "+447911123456", To: "MyBank"}); err != nil {
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
