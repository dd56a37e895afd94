package smpp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

var aReceipt = smpp.DeliveryReceipt{ID: "abc-123", From: "+447911123456", To: "MyBank", ToTON: 5}

// outcomes collects what OnReceipt is told.
type outcomes struct {
	mu  sync.Mutex
	all []error
}

func (o *outcomes) add(_ string, _ smpp.DeliveryReceipt, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, err)
}

func (o *outcomes) take() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all
}

// TestServerGuideReceipt checks the receipt that the guide prints.
func TestServerGuideReceipt(t *testing.T) {
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
		{"DELIVRD", "id:abc-123 sub:001 dlvrd:001 submit date:2602121430 done date:2602121430 stat:DELIVRD err:000 text:", 2},
		{"UNDELIV", "id:abc-123 sub:001 dlvrd:000 submit date:2602121430 done date:2602121430 stat:UNDELIV err:000 text:", 5},
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
		if state, _ := m.TLVs.Uint8(pdu.TagMessageState); f.ID != pdu.DeliverSmID || m.EsmClass != 4 || state != tt.state ||
			m.TLVs.String(pdu.TagReceiptedMessageID) != "abc-123" || string(m.Short) != tt.text {
			t.Errorf("%+v: %+v", f.Header, m)
		}
		if m.Source != (wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"}) || m.Dest != (wire.Addr{TON: 5, Digits: "MyBank"}) {
			t.Errorf("from %+v to %+v", m.Source, m.Dest)
		}
		e.Write(peertest.Answer(f))
	}
}

// TestServerOldVersion: who binds with a version before 3.4 is sent no TLV, and
// no command, that came with it.
func TestServerOldVersion(t *testing.T) {
	t.Parallel()
	for version, old := range map[uint8]bool{0x00: true, 0x33: true, 0x34: false, 0x50: false} {
		s := startServer(t, serverConfig())
		e := dial(t, s)
		bind, err := wire.AppendBind(nil, pdu.BindTransceiverID, 1, wire.Bind{SystemID: "bank", Password: "secret", Version: version})
		if err != nil {
			t.Fatal(err)
		}
		f := e.Ask(bind)
		if tlvs := wire.TLVs(f.Body[len("front")+1:]); f.Status != 0 || (len(tlvs) == 0) != old {
			t.Errorf("version 0x%02X: bind is answered with %+v and TLVs %x", version, f.Header, tlvs)
		}
		for _, change := range []func(*smpp.DeliveryReceipt){
			func(*smpp.DeliveryReceipt) {},
			func(r *smpp.DeliveryReceipt) { r.TLVOnly = true },
			func(r *smpp.DeliveryReceipt) { r.DataSM = true },
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
			if err != nil || f.ID != pdu.DeliverSmID || len(m.TLVs) != 0 || !strings.HasPrefix(string(m.Short), "id:abc-123 ") {
				t.Errorf("version 0x%02X: %+v, %+v, %v", version, f.Header, m, err)
			}
		}
	}
}

// TestServerDeliver: a receipt is sent until it is acknowledged, over whichever
// session there is, and given up in time.
func TestServerDeliver(t *testing.T) {
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
		run   func(*testing.T, *smpp.Server)
		want  error // nil: acknowledged
		after time.Duration
	}{
		{"before the bind", func(t *testing.T, s *smpp.Server) {
			time.Sleep(10 * time.Minute)
			e := bound(t, s)
			e.Write(peertest.Answer(next(t, e)))
		}, nil, 10 * time.Minute},
		{"not to a transmitter", func(t *testing.T, s *smpp.Server) {
			tx, rx := dial(t, s), dial(t, s)
			tx.bindAs(pdu.BindTransmitterID, "secret")
			rx.bindAs(pdu.BindReceiverID, "secret")
			rx.Write(peertest.Answer(next(t, rx)))
		}, nil, 0},
		{"refused, then taken", func(t *testing.T, s *smpp.Server) {
			e := bound(t, s)
			e.Write(refuse(next(t, e)))
			e.Write(peertest.Answer(next(t, e)))
		}, nil, 30 * time.Second},
		{"session lost, other at once", func(t *testing.T, s *smpp.Server) {
			a := bound(t, s)
			next(t, a)
			b := bound(t, s)
			a.Close()
			b.Write(peertest.Answer(next(t, b)))
		}, nil, 0},
		{"never answered", func(t *testing.T, s *smpp.Server) {
			e := bound(t, s)

			for range 5 {
				next(t, e)
			}
			time.Sleep(time.Minute)
			e.Close()
		}, smpp.ErrUndelivered, 5*10*time.Second + 4*30*time.Second},
		{"never bound", func(*testing.T, *smpp.Server) { time.Sleep(2 * time.Hour) }, smpp.ErrUndelivered, time.Hour},
		{"closed before", func(_ *testing.T, s *smpp.Server) { s.Close() }, smpp.ErrUndelivered, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got outcomes
				c := serverConfig()
				began := time.Now()
				var took time.Duration
				c.InactivityTimeout = 24 * time.Hour
				c.OnReceipt = func(id string, r smpp.DeliveryReceipt, err error) {
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

// TestServerDeliverWhileShutdown: a receipt that comes while the server shuts
// down is either refused, or told to be undelivered.
func TestServerDeliverWhileShutdown(t *testing.T) {
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
		if all := got.take(); len(all) != 1 || !errors.Is(all[0], smpp.ErrUndelivered) {
			t.Errorf("told %v, want %v", all, smpp.ErrUndelivered)
		}
		if err := s.Deliver("bank", aReceipt); !errors.Is(err, smpp.ErrServerClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestServerDeliverLimits(t *testing.T) {
	t.Parallel()
	c := serverConfig()
	c.ReceiptQueue = 2
	s := startServer(t, c)
	for i, want := range []error{nil, nil, smpp.ErrReceiptQueueFull} {
		if err := s.Deliver("bank", aReceipt); !errors.Is(err, want) {
			t.Errorf("receipt %d: %v, want %v", i, err, want)
		}
	}
	if err := s.Deliver("other", aReceipt); err != nil {
		t.Errorf("for another system_id: %v", err)
	}
}

// TestServerDeliverChecks: what stands in the text of a receipt has no blanks;
// a sender may.
func TestServerDeliverChecks(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	e := bound(t, s)
	session := s.Sessions()[0]
	for field, r := range map[string]smpp.DeliveryReceipt{
		"ID": {}, "ID ": {ID: "m 1"}, "Stat": {ID: "m1", Stat: "NOT YET"}, "Err": {ID: "m1", Err: "0\t1"},
		"To": {ID: "m1", To: "My\x00Bank"}, "From": {ID: "m1", From: strings.Repeat("1", 23)},
	} {
		for _, err := range []error{s.Deliver("bank", r), session.Deliver(r, nil)} {
			if err == nil || !strings.Contains(err.Error(), "DeliveryReceipt."+strings.TrimSpace(field)) || errors.Is(err, smpp.ErrUndelivered) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
	if err := s.Deliver("bank", smpp.DeliveryReceipt{ID: "m1", From: ann, To: "My Bank", ToTON: 5}); err != nil {
		t.Fatal(err)
	}
	f := e.Next()
	if m, err := wire.DecodeMessage(f.Body); err != nil || m.Dest.Digits != "My Bank" {
		t.Errorf("%+v: %+v, %v", f.Header, m, err)
	}
	e.Close()
	<-session.Done()
	if err := session.Deliver(aReceipt, nil); !errors.Is(err, smpp.ErrUndelivered) {
		t.Errorf("after the end: %v", err)
	}
}

// TestServerClient: our own client over TLS, 1,000 messages and their receipts.
func TestServerClient(t *testing.T) {
	t.Parallel()
	c := serverConfig()
	c.DangerouslyPlaintext, c.Assemble = false, true
	var client smpp.Config
	c.TLS, client.TLS = peertest.TLS(t)
	c.Handler = smpp.ChannelHandler(channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		if m.Text != "482910 is your code" || m.Sender != "MyBank" {
			return channel.Submission{}, &channel.Error{Class: channel.Misconfigured}
		}
		return channel.Submission{State: channel.Delivered}, nil
	}))
	server := startServer(t, c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	got := newReceipts()
	client.Addr, client.SystemID, client.Password = l.Addr().String(), "bank", "secret"
	client.Receipt, client.Window = got.handle, 50
	esme := newClient(t, client)
	ready(t, esme)
	var (
		mu  sync.Mutex
		ids = make(map[string]bool)
		wg  sync.WaitGroup
	)
	for w := range 50 {
		wg.Go(func() {
			for i := range 20 {
				sub, err := esme.Send(context.Background(), message(numbered(20*w+i), "482910 is your code"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				ids[sub.ProviderIDs[0]] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, r := range got.wait(t, 1000) {
		if r.State != channel.Delivered || !ids[r.ProviderID] {
			t.Errorf("receipt %+v matches nothing", r)
		}
		delete(ids, r.ProviderID)
	}
	if len(ids) != 0 {
		t.Errorf("%d messages without a receipt", len(ids))
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, smpp.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// TestChannelHandler: what a class becomes on the wire, and what the client
// makes of it again.
func TestChannelHandler(t *testing.T) {
	t.Parallel()
	for class, want := range map[channel.Class]smpp.Status{
		channel.Unknown:          smpp.StatusUnknownError,
		channel.Temporary:        smpp.StatusSystemError,
		channel.Throttled:        smpp.StatusThrottled,
		channel.Unreachable:      smpp.StatusSubmitFailed,
		channel.InvalidRecipient: smpp.StatusInvalidDestination,
		channel.Misconfigured:    smpp.StatusSystemError,
		channel.Expired:          smpp.StatusInvalidExpiry,
	} {
		c := serverConfig()
		// What an SMSC behind the channel said is nobody's business here.
		c.Handler = smpp.ChannelHandler(channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
			return channel.Submission{}, &channel.Error{Class: class, Code: "0x0E", Err: smpp.StatusInvalidPassword}
		}))
		got := bound(t, startServer(t, c)).submit(nil)
		if got != want {
			t.Errorf("%v is told as %v, want %v", class, got, want)
		}
		if class != channel.Misconfigured && class != channel.Expired && got.Class() != class {
			t.Errorf("%v comes out as %v", class, got.Class())
		}
	}
}

// TestChannelHandlerMessage: the message as the channel gets it.
func TestChannelHandlerMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got channel.Message
		c := serverConfig()
		c.Handler = smpp.ChannelHandler(channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
			got = *m
			return channel.Submission{State: channel.Sent}, nil
		}))
		f := bound(t, startServer(t, c)).Ask(submitFrame(3, func(m *wire.Message) {
			m.Validity, m.DataCoding, m.Short = "000000001000000R", 8, []byte{0x04, 0x1A, 0x04, 0x3E, 0x04, 0x34}
		}))
		want := channel.Message{
			ID: wire.DecodeID(f.Body), To: channel.Recipient{Phone: ann}, Text: "Код", Sender: "MyBank",
			Created: time.Now(), Expires: time.Now().Add(10 * time.Minute),
		}
		if diff := cmp.Diff(want, got); diff != "" || len(got.ID) > 36 {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	})
}

// TestServerSecrets: nothing that is printed shows a password, a text or an
// address.
func TestServerSecrets(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		smpp.BindRequest{SystemID: "bank", Password: "hunter22"},
		&smpp.Submit{Text: "hunter22", Data: []byte("hunter22"), To: "+447911123456"},
		smpp.DeliveryReceipt{ID: "m1", From: "+447911123456"},
	} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, "hunter22") || strings.Contains(got, "447911123456") {
				t.Errorf("%s of %T is %s", format, v, got)
			}
		}
	}
}

// TestServerCloseFromAnswered: the function that is told that a receipt is lost
// may close the session, and Close of the server waits for it.
func TestServerCloseFromAnswered(t *testing.T) {
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

// TestServerAnsweredOnce: a receipt that was answered out of turn is not given
// back when the session ends.
func TestServerAnsweredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		e := bound(t, s)
		session := s.Sessions()[0]
		var first, second []error // what each was told
		for _, told := range []*[]error{&first, &second} {
			if err := session.Deliver(aReceipt, func(_ smpp.Status, err error) { *told = append(*told, err) }); err != nil {
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
