package smppserver_test

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

	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

var aStop = smppserver.MobileMessage{From: "+447911123456", To: "12345", Text: "STOP"}

// ends collects what OnMessage is told.
type ends struct {
	mu  sync.Mutex
	all []string
}

func (o *ends) add(systemID string, m smppserver.MobileMessage, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, fmt.Sprintf("%s %.4s %v", systemID, m.Text, errors.Is(err, smppserver.ErrUndelivered)))
}

func (o *ends) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.all, ", ")
}

// TestMobileMessage: an ESME receives a message from a phone, in the alphabet of its
// account.
func TestMobileMessage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		zero   sms.Encoding
		text   string
		coding uint8
		data   string
	}{
		{sms.GSM7, "STOP @", 0, "STOP \x00"},
		{sms.Latin1, "STOP @", 0, "STOP @"},
		{sms.Latin1, "cl\u00e9 €", 8, "\x00c\x00l\x00\xe9\x00 \x20\xac"},
		{sms.GSM7, "СТОП", 8, "\x04\x21\x04\x22\x04\x1e\x04\x1f"},
		{sms.UCS2, "NO", 8, "\x00N\x00O"},
		{sms.GSM7, "", 0, ""},
	} {
		c := serverConfig()
		c.Alphabet = tt.zero
		s := startServer(t, c)
		e := bound(t, s)
		m := aStop
		m.Text = tt.text
		if err := s.DeliverMessage("bank", m); err != nil {
			t.Fatal(err)
		}
		f := e.Next()
		got, err := wire.DecodeMessage(f.Body)
		if err != nil || f.ID != pdu.DeliverSmID {
			t.Fatalf("%+v, %v", f.Header, err)
		}
		if got.Source != (wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"}) ||
			got.Dest != (wire.Addr{Digits: "12345"}) || got.EsmClass != 0 || got.DataCoding != tt.coding ||
			string(got.Short) != tt.data || len(got.TLVs) != 0 {
			t.Errorf("%q: %+v", tt.text, got)
		}
		e.Write(peertest.Answer(f))
	}
}

// TestLongMobileMessage: a long message comes in parts, each of which is sent until it
// is acknowledged. Its end is told once.
func TestLongMobileMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told ends
		c := serverConfig()
		c.OnMessage = told.add
		s := startServer(t, c)
		e := bound(t, s)
		m := aStop
		m.Text = strings.Repeat("0123456789", 40)
		parts := make(map[byte]string)
		for _, reference := range []byte{1, 2} {
			if err := s.DeliverMessage("bank", m); err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				f := e.Next()
				got, _ := wire.DecodeMessage(f.Body)
				if udh, text := got.Payload(); got.EsmClass != wire.EsmUDHI || len(udh) != 6 || udh[3] != reference ||
					udh[5] != byte(n+1) {
					t.Errorf("part %d: %+v", n, got)
				} else {
					parts[udh[5]] = string(text)
				}
				if n == 1 {
					e.Write(wire.AppendEmpty(nil, f.Response(), 0x64, f.Seq)) // refused
				} else {
					e.Write(peertest.Answer(f))
				}
			}
			synctest.Wait()
			if told.String() != "" {
				t.Errorf("told before the last part: %v", &told)
			}
			f := e.Next()
			e.Write(peertest.Answer(f))
			synctest.Wait()
			if got := parts[1] + parts[2] + parts[3]; got != m.Text {
				t.Errorf("text is %q", got)
			}
			if told.String() != "bank 0123 false" {
				t.Errorf("told %v", &told)
			}
			told.all = nil
		}
	})
}

// TestMobileMessageToClient: our own client puts a long message together again.
func TestMobileMessageToClient(t *testing.T) {
	t.Parallel()
	got := make(chan smpp.Inbound, 1)
	s := startServer(t, serverConfig())
	esme := newClient(t, smpp.Config{
		Addr: "front:2775", DangerouslyPlaintext: true, SystemID: "bank", Password: "secret",
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			return client, s.ServeConn(located{server, "192.0.2.1"})
		},
		Inbound: func(_ context.Context, m smpp.Inbound) error { got <- m; return nil },
	})
	if err := esme.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := aStop
	m.Text = strings.Repeat("СТОП ", 30)
	if err := s.DeliverMessage("bank", m); err != nil {
		t.Fatal(err)
	}
	if in := <-got; in.From != m.From || in.To != m.To || in.Text != m.Text {
		t.Errorf("client received %+v", in)
	}
}

// TestMobileMessageGivenUp: a message that cannot be delivered is reported once.
func TestMobileMessageGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told ends
		c := serverConfig()
		c.OnMessage, c.ReceiptLife, c.ReceiptQueue = told.add, time.Minute, 4
		s := startServer(t, c)
		long := aStop
		long.Text = strings.Repeat("0123456789", 40)
		if err := s.DeliverMessage("bank", long); err != nil {
			t.Fatal(err)
		}
		if err := s.DeliverMessage("bank", long); !errors.Is(err, smppserver.ErrReceiptQueueFull) {
			t.Errorf("three parts where one has room: %v", err)
		}
		if err := s.DeliverMessage("bank", aStop); err != nil {
			t.Errorf("one where one has room: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if told.String() != "bank 0123 true, bank STOP true" {
			t.Errorf("told %v", &told)
		}
		told.all = nil
		if err := s.DeliverMessage("bank", aStop); err != nil {
			t.Error(err)
		}
		s.Close()
		if told.String() != "bank STOP true" {
			t.Errorf("at the end: told %v", &told)
		}
		if err := s.DeliverMessage("bank", aStop); !errors.Is(err, smppserver.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestMobileMessageValidates: the fields that cannot be sent are named, and not shown.
func TestMobileMessageValidates(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverConfig())
	for name, change := range map[string]func(*smppserver.MobileMessage){
		"MobileMessage.From": func(m *smppserver.MobileMessage) { m.From = "" },
		"MobileMessage.To":   func(m *smppserver.MobileMessage) { m.To = strings.Repeat("7", 22) },
		"MobileMessage.Text": func(m *smppserver.MobileMessage) { m.Text = strings.Repeat("7", 50_000) },
	} {
		m := aStop
		change(&m)
		if err := s.DeliverMessage("bank", m); err == nil || !strings.Contains(err.Error(), name) ||
			strings.Contains(err.Error(), "777") {
			t.Errorf("%s: %v", name, err)
		}
		if text := fmt.Sprintf("%v %#v %s", m, m, m.LogValue()); strings.Contains(text, "9111234") ||
			strings.Contains(text, m.Text) {
			t.Errorf("printed as %s", text)
		}
	}
}

// TestReceiptWindow: no more receipts than Config.ReceiptWindow await an answer in a
// session.
func TestReceiptWindow(t *testing.T) {
	t.Parallel()
	for window, want := range map[int]int{0: 100, 1: 1, 3: 3, 150: 150} {
		synctest.Test(t, func(t *testing.T) {
			c := serverConfig()
			c.ReceiptWindow = window
			s := startServer(t, c)
			e := bound(t, s)
			for range 200 {
				if err := s.Deliver("bank", aReceipt); err != nil {
					t.Fatal(err)
				}
			}
			var frames []wire.Frame
			for range want {
				frames = append(frames, e.Next())
			}
			if f := e.Ask(wire.AppendEmpty(nil, pdu.EnquireLinkID, 0, 99)); f.ID != pdu.EnquireLinkRespID {
				t.Errorf("window %d: one more: %+v", window, f.Header)
			}
			e.Write(peertest.Answer(frames[0]))
			if f := e.Next(); f.ID != pdu.DeliverSmID {
				t.Errorf("window %d: after an answer: %+v", window, f.Header)
			}
		})
	}
}
