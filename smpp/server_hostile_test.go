package smpp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// TestServerHostile sends what no ESME should. Each is answered as said, or
// with the end of the connection, and the server serves the next one.
func TestServerHostile(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	header := func(length, id uint32) []byte {
		return []byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length),
			byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 0, 0, 0, 0, 0, 0, 0, 9}
	}
	for _, tt := range []struct {
		name   string
		frame  []byte
		want   wire.Header // ID 0: nothing is answered
		closes bool
	}{
		{"length 0", header(0, 4), wire.Header{ID: pdu.GenericNackID, Status: 2}, true},
		{"length 8", header(8, 4), wire.Header{ID: pdu.GenericNackID, Status: 2}, true},
		{"length 15", header(15, 4), wire.Header{ID: pdu.GenericNackID, Status: 2}, true},
		{"length 64 KiB + 1", header(64<<10+1, 4), wire.Header{ID: pdu.GenericNackID, Status: 2}, true},
		{"length 0xFFFFFFFF", header(0xFFFFFFFF, 4), wire.Header{ID: pdu.GenericNackID, Status: 2}, true},
		{"unknown command", header(16, 0xDEF), wire.Header{ID: pdu.GenericNackID, Status: 3, Seq: 9}, false},
		{"query_sm", header(16, uint32(pdu.QuerySmID)), wire.Header{ID: pdu.GenericNackID, Status: 3, Seq: 9}, false},
		{"data_sm", header(16, uint32(pdu.DataSmID)), wire.Header{ID: pdu.GenericNackID, Status: 3, Seq: 9}, false},
		{"empty submit_sm", header(16, uint32(pdu.SubmitSmID)), wire.Header{ID: pdu.SubmitSmRespID, Status: 2, Seq: 9}, false},
		{"second bind", header(16, uint32(pdu.BindTransmitterID)), wire.Header{ID: pdu.BindTransmitterRespID, Status: 5, Seq: 9}, false},
		{"unknown response", header(16, 0x80000DEF), wire.Header{}, false},
		{"answer to nothing", header(16, uint32(pdu.DeliverSmRespID)), wire.Header{}, false},
		{"generic_nack", header(16, uint32(pdu.GenericNackID)), wire.Header{}, false},
		{"unbind_resp to nothing", header(16, uint32(pdu.UnbindRespID)), wire.Header{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := bound(t, s)
			go e.Write(tt.frame) // the server may close before it has read it all
			if tt.want.ID != 0 {
				if f := e.next(); f.Header != tt.want {
					t.Errorf("answered with %+v, want %+v", f.Header, tt.want)
				}
			}
			if tt.closes {
				if !e.isClosed() {
					t.Error("connection is open")
				}
				return
			}
			if f := e.ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 11)); f.Header != (wire.Header{ID: pdu.EnquireLinkRespID, Seq: 11}) {
				t.Errorf("enquire_link: %+v", f.Header)
			}
		})
	}
}

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
	f.Add([]byte{0, 0, 0, 15, 0, 0, 0, 4})
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1})
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
				f, err := e.in.Next()
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
