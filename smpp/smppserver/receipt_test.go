package smppserver_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

var aReceipt = smppserver.DeliveryReceipt{ID: "abc-123", From: "+447911123456", To: "MyBank", ToTON: 5}

// outcomes collects what OnReceipt is told.
type outcomes struct {
	mu  sync.Mutex
	all []error
}

func (o *outcomes) add(_ string, _ smppserver.DeliveryReceipt, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, err)
}

func (o *outcomes) take() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all
}

// TestGuideReceipt checks the receipt that the guide prints.
func TestGuideReceipt(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	e := bound(t, s)
	at := time.Date(2026, 2, 12, 14, 30, 0, 0, time.UTC)
	r := aReceipt
	r.Submitted, r.Done = at, at
	for _, tt := range []struct {
		stat, text string
		state      uint8
	}{
		{"DELIVRD", "id:abc-123 sub:001 dlvrd:001 submit date:2602121430 done date:2602121430" +
			" stat:DELIVRD err:000 text:", 2},
		{"UNDELIV", "id:abc-123 sub:001 dlvrd:000 submit date:2602121430 done date:2602121430" +
			" stat:UNDELIV err:000 text:", 5},
	} {
		r.Stat = tt.stat
		if err := s.Deliver("bank", r); err != nil {
			t.Fatal(err)
		}
		f := e.Next()
		m, err := wire.DecodeMessage(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		if state, _ := m.TLVs.Uint8(pdu.TagMessageState); f.ID != pdu.DeliverSmID || m.EsmClass != 4 ||
			state != tt.state ||
			m.TLVs.String(pdu.TagReceiptedMessageID) != "abc-123" || string(m.Short) != tt.text {
			t.Errorf("%+v: %+v", f.Header, m)
		}
		if m.Source != (wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"}) ||
			m.Dest != (wire.Addr{TON: 5, Digits: "MyBank"}) {
			t.Errorf("from %+v to %+v", m.Source, m.Dest)
		}
		e.Write(peertest.Answer(f))
	}
}

// TestOldVersion: who binds with a version before 3.4 is sent no TLV, and
// no command, that came with it.
func TestOldVersion(t *testing.T) {
	t.Parallel()
	for version, old := range map[uint8]bool{0x00: true, 0x33: true, 0x34: false, 0x50: false} {
		s := startServer(t, serverConfig())
		e := dial(t, s)
		bind, err := wire.AppendBind(nil, pdu.BindTransceiverID, 1,
			wire.Bind{SystemID: "bank", Password: "secret", Version: version})
		if err != nil {
			t.Fatal(err)
		}
		f := e.Ask(bind)
		if tlvs := wire.TLVs(f.Body[len("front")+1:]); f.Status != 0 || (len(tlvs) == 0) != old {
			t.Errorf("version 0x%02X: bind is answered with %+v and TLVs %x", version, f.Header, tlvs)
		}
		for _, change := range []func(*smppserver.DeliveryReceipt){
			func(*smppserver.DeliveryReceipt) {},
			func(r *smppserver.DeliveryReceipt) { r.TLVOnly = true },
			func(r *smppserver.DeliveryReceipt) { r.DataSM = true },
		} {
			r := aReceipt
			change(&r)
			if err := s.Deliver("bank", r); err != nil {
				t.Fatal(err)
			}
			f := e.Next()
			e.Write(peertest.Answer(f))
			if !old {
				continue
			}
			m, err := wire.DecodeMessage(f.Body)
			if err != nil || f.ID != pdu.DeliverSmID || len(m.TLVs) != 0 ||
				!strings.HasPrefix(string(m.Short), "id:abc-123 ") {
				t.Errorf("version 0x%02X: %+v, %+v, %v", version, f.Header, m, err)
			}
		}
	}
}

// TestDeliver: a receipt is sent until it is acknowledged, over whichever
// session there is, and given up in time.
func TestDeliver(t *testing.T) {
	t.Parallel()
	next := func(t *testing.T, e *esme) wire.Frame {
		t.Helper()
		f := e.Next()
		if f.ID != pdu.DeliverSmID {
			t.Fatalf("heard %+v, want deliver_sm", f.Header)
		}
		return f
	}
	refuse := func(f wire.Frame) []byte { return wire.AppendEmpty(nil, f.Response(), 0x64, f.Seq) }
	for _, tt := range []struct {
		name  string
		run   func(*testing.T, *smppserver.Server)
		want  error // nil: acknowledged
		after time.Duration
	}{
		{"before the bind", func(t *testing.T, s *smppserver.Server) {
			time.Sleep(10 * time.Minute)
			e := bound(t, s)
			e.Write(peertest.Answer(next(t, e)))
		}, nil, 10 * time.Minute},
		{"not to a transmitter", func(t *testing.T, s *smppserver.Server) {
			tx, rx := dial(t, s), dial(t, s)
			tx.bindAs(pdu.BindTransmitterID, "secret")
			rx.bindAs(pdu.BindReceiverID, "secret")
			rx.Write(peertest.Answer(next(t, rx)))
		}, nil, 0},
		{"refused, then taken", func(t *testing.T, s *smppserver.Server) {
			e := bound(t, s)
			e.Write(refuse(next(t, e)))
			e.Write(peertest.Answer(next(t, e)))
		}, nil, 30 * time.Second},
		{"session lost, other at once", func(t *testing.T, s *smppserver.Server) {
			a := bound(t, s)
			next(t, a)
			b := bound(t, s)
			a.Close()
			b.Write(peertest.Answer(next(t, b)))
		}, nil, 0},
		{"never answered", func(t *testing.T, s *smppserver.Server) {
			e := bound(t, s)

			for range 5 {
				next(t, e)
			}
			time.Sleep(time.Minute)
			e.Close()
		}, smppserver.ErrUndelivered, 5*10*time.Second + 4*30*time.Second},
		{"never bound", func(*testing.T, *smppserver.Server) { time.Sleep(2 * time.Hour) }, smppserver.ErrUndelivered,
			time.Hour},
		{"closed before", func(_ *testing.T, s *smppserver.Server) { s.Close() }, smppserver.ErrUndelivered, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got outcomes
				c := serverConfig()
				began := time.Now()
				var took time.Duration
				c.InactivityTimeout = 24 * time.Hour
				c.OnReceipt = func(id string, r smppserver.DeliveryReceipt, err error) {
					took = time.Since(began)
					got.add(id, r, err)
				}
				s := startServer(t, c)
				if err := s.Deliver("bank", aReceipt); err != nil {
					t.Fatal(err)
				}
				tt.run(t, s)
				synctest.Wait()
				if all := got.take(); len(all) != 1 || !errors.Is(all[0], tt.want) {
					t.Errorf("told %v, want %v", all, tt.want)
				}
				if took < tt.after || took > tt.after+5*time.Second {
					t.Errorf("took %v, want %v", took, tt.after)
				}
			})
		})
	}
}

// TestDeliverWhileShutdown: a receipt that comes while the server shuts
// down is either refused, or told to be undelivered.
func TestDeliverWhileShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got outcomes
		c := serverConfig()
		c.OnReceipt = got.add
		s := startServer(t, c)
		e := bound(t, s) // does not answer the unbind
		go e.Drain()
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(context.Background()) }()
		synctest.Wait()
		if err := s.Deliver("bank", aReceipt); err != nil {
			t.Errorf("meanwhile: %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if all := got.take(); len(all) != 1 || !errors.Is(all[0], smppserver.ErrUndelivered) {
			t.Errorf("told %v, want %v", all, smppserver.ErrUndelivered)
		}
		if err := s.Deliver("bank", aReceipt); !errors.Is(err, smppserver.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestDeliverLimits(t *testing.T) {
	t.Parallel()
	c := serverConfig()
	c.ReceiptQueue = 2
	s := startServer(t, c)
	for i, want := range []error{nil, nil, smppserver.ErrReceiptQueueFull} {
		if err := s.Deliver("bank", aReceipt); !errors.Is(err, want) {
			t.Errorf("receipt %d: %v, want %v", i, err, want)
		}
	}
	if err := s.Deliver("other", aReceipt); err != nil {
		t.Errorf("for another system_id: %v", err)
	}
}

// TestDeliverChecks: what stands in the text of a receipt has no blanks;
// a sender may.
func TestDeliverChecks(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	e := bound(t, s)
	session := s.Sessions()[0]
	for field, r := range map[string]smppserver.DeliveryReceipt{
		"ID": {}, "ID ": {ID: "m 1"}, "Stat": {ID: "m1", Stat: "NOT YET"}, "Err": {ID: "m1", Err: "0\t1"},
		"To": {ID: "m1", To: "My\x00Bank"}, "From": {ID: "m1", From: strings.Repeat("1", 23)},
	} {
		for _, err := range []error{s.Deliver("bank", r), session.Deliver(r, nil)} {
			if err == nil || !strings.Contains(err.Error(), "DeliveryReceipt."+strings.TrimSpace(field)) ||
				errors.Is(err, smppserver.ErrUndelivered) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	if err := s.Deliver("bank", smppserver.DeliveryReceipt{ID: "m1", From: ann, To: "My Bank", ToTON: 5}); err != nil {
		t.Fatal(err)
	}
	f := e.Next()
	if m, err := wire.DecodeMessage(f.Body); err != nil || m.Dest.Digits != "My Bank" {
		t.Errorf("%+v: %+v, %v", f.Header, m, err)
	}
	e.Close()
	<-session.Done()
	if err := session.Deliver(aReceipt, nil); !errors.Is(err, smppserver.ErrUndelivered) {
		t.Errorf("after the end: %v", err)
	}
}

// TestCloseFromAnswered: the function that is told that a receipt is lost
// may close the session, and Close of the server waits for it.
func TestCloseFromAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		e := bound(t, s)
		session := s.Sessions()[0]
		returned := 0
		for range 3 {
			err := session.Deliver(aReceipt, func(_ smpp.Status, err error) {
				if err == nil {
					t.Error("answered by nobody")
				}
				session.Close()
				returned++
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		e.Close()
		s.Close()
		if returned != 3 {
			t.Errorf("%d of 3 calls had returned when the server was closed", returned)
		}
	})
}

// TestAnsweredOnce: a receipt that was answered out of turn is not given
// back when the session ends.
func TestAnsweredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		e := bound(t, s)
		session := s.Sessions()[0]
		var first, second []error // what each was told
		for _, told := range []*[]error{&first, &second} {
			if err := session.Deliver(aReceipt, func(_ smpp.Status,
				err error) {
				*told = append(*told, err)
			}); err != nil {
				t.Fatal(err)
			}
		}
		e.Next()
		e.Write(peertest.Answer(e.Next()))
		synctest.Wait()
		e.Close()
		s.Close()
		if len(first) != 1 || first[0] == nil {
			t.Errorf("the lost one: %v", first)
		}
		if len(second) != 1 || second[0] != nil {
			t.Errorf("the answered one: %v", second)
		}
	})
}
