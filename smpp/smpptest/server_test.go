package smpptest_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An esme is the client's end in the test's own hands.
type esme struct {
	t *testing.T
	net.Conn
	in *wire.Reader
}

func connect(t *testing.T, s *smpptest.Server) *esme {
	t.Helper()
	c, err := s.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &esme{t, c, wire.NewReader(c)}
}

// ask sends a frame and returns the next one that comes.
func (e *esme) ask(frame []byte) wire.Frame {
	e.t.Helper()
	if _, err := e.Write(frame); err != nil {
		e.t.Fatal(err)
	}
	return e.next()
}

func (e *esme) next() wire.Frame {
	e.t.Helper()
	f, err := e.in.Next()
	if err != nil {
		e.t.Fatal(err)
	}
	return f
}

func (e *esme) bind(id pdu.CommandID, systemID, password string) wire.Frame {
	e.t.Helper()
	b, err := wire.AppendBind(nil, id, 1, wire.Bind{SystemID: systemID, Password: password, Version: 0x34})
	if err != nil {
		e.t.Fatal(err)
	}
	return e.ask(b)
}

func submit(seq uint32, to, text string) []byte {
	m := &wire.Message{Dest: wire.Addr{TON: 1, NPI: 1, Digits: to}, Short: []byte(text), Registered: 1}
	if len(text) > wire.MaxShortMessage {
		m.TLVs, m.Short = m.TLVs.Append(pdu.TagMessagePayload, m.Short), nil
	}
	return wire.AppendMessage(nil, pdu.SubmitSmID, seq, m)
}

func TestBinds(t *testing.T) {
	t.Parallel()
	s := smpptest.NewPipeServer(smpptest.Config{SystemID: "bank", Password: "secret"})
	defer s.Close()
	for _, tt := range []struct {
		id                 pdu.CommandID
		systemID, password string
		want               smpp.Status
	}{
		{pdu.BindTransceiverID, "bank", "secret", smpp.StatusOK},
		{pdu.BindTransmitterID, "bank", "secret", smpp.StatusOK},
		{pdu.BindReceiverID, "bank", "secret", smpp.StatusOK},
		{pdu.BindTransceiverID, "bank", "guess", smpp.StatusInvalidPassword},
		{pdu.BindTransceiverID, "other", "secret", smpp.StatusInvalidPassword},
	} {
		e := connect(t, s)
		f := e.bind(tt.id, tt.systemID, tt.password)
		if f.ID != tt.id|pdu.GenericNackID || smpp.Status(f.Status) != tt.want {
			t.Errorf("%+v: answered with %+v", tt, f)
		}
		if tt.want == smpp.StatusOK {
			if f := e.bind(tt.id, "bank", "secret"); smpp.Status(f.Status) != smpp.StatusAlreadyBound {
				t.Errorf("second bind: %+v", f)
			}
		}
	}
	s.RefuseBinds(smpp.StatusBindFailed)
	if f := connect(t, s).bind(pdu.BindTransceiverID, "bank",
		"secret"); smpp.Status(f.Status) != smpp.StatusBindFailed {
		t.Errorf("refused bind: %+v", f)
	}
	if n := len(s.Binds()); n != 9 {
		t.Errorf("%d binds, want 9", n)
	}
}

// TestOTPBlue has a case for each row of the guide's input limits, and for the
// statuses that a submit_sm can meet.
func TestOTPBlue(t *testing.T) {
	t.Parallel()
	s := smpptest.NewPipeServer(smpptest.Config{
		Handler: smpptest.OTPBlue(func(number string) bool { return number != "+14155550101" }),
	})
	defer s.Close()
	e := connect(t, s)
	if f := e.ask(submit(1, "14155551234", "482910")); smpp.Status(f.Status) != smpp.StatusInvalidBindStatus {
		t.Errorf("not bound: %+v", f)
	}
	e.bind(pdu.BindTransceiverID, "", "")
	for _, tt := range []struct {
		name, to, text string
		want           smpp.Status
	}{
		{"sentence", "14155551234", "Your verification code is 482910", 0},
		{"prefix", "14155551234", "OTP: 123456", 0},
		{"in the middle", "14155551234", "Use code 482910 to verify your account", 0},
		{"bare", "14155551234", "482910", 0},
		{"four digits", "14155551234", "Your PIN is 9821", 0},
		{"hyphen", "14155551234", "code: 482-910", 0},
		{"ten digits", "14155551234", "1234567890", 0},
		{"512 octets", "14155551234", "482910 " + strings.Repeat("a", 505), 0},
		{"513 octets", "14155551234", "482910 " + strings.Repeat("a", 506), smpp.StatusInvalidMsgLength},
		{"no digits", "14155551234", "Hello", smpp.StatusInvalidMsgLength},
		{"three digits", "14155551234", "code 123", smpp.StatusInvalidMsgLength},
		{"eleven digits", "14155551234", "12345678901", smpp.StatusInvalidMsgLength},
		{"no iMessage", "14155550101", "482910", smpp.StatusSubmitFailed},
		{"22 characters", strings.Repeat("1", 22), "482910", smpp.StatusInvalidDestination},
		{"not E.164", "0123", "482910", smpp.StatusInvalidDestination},
	} {
		f := e.ask(submit(2, tt.to, tt.text))
		if smpp.Status(f.Status) != tt.want || f.ID != pdu.SubmitSmRespID {
			t.Errorf("%s: answered with %+v, want %v", tt.name, f, tt.want)
		}
		if tt.want != smpp.StatusOK {
			continue
		}
		id := wire.DecodeID(f.Body)
		receipt := e.next()
		m, err := wire.DecodeMessage(receipt.Body)
		if err != nil || receipt.ID != pdu.DeliverSmID || m.TLVs.String(pdu.TagReceiptedMessageID) != id ||
			m.EsmClass != wire.EsmReceipt || !bytes.HasPrefix(m.Short,
			[]byte("id:"+id+" sub:001 dlvrd:001 submit date:")) {
			t.Errorf("%s: receipt is %+v, %v", tt.name, m, err)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		defer s.Close()
		e := connect(t, s)
		e.bind(pdu.BindTransceiverID, "", "")
		go func() {
			time.Sleep(time.Second)
			e.ask(submit(2, "447911123456", "482910"))
		}()
		if m, err := s.Wait(t.Context(), 1); err != nil || len(m) != 1 || m[0].To != "+447911123456" ||
			m[0].Text != "482910" {
			t.Errorf("Wait: %+v, %v", m, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if m, err := s.Wait(ctx, 2); !errors.Is(err, context.DeadlineExceeded) || len(m) != 1 {
			t.Errorf("Wait: %+v, %v", m, err)
		}
	})
}

func TestUnbindAndClose(t *testing.T) {
	t.Parallel()
	s := smpptest.NewPipeServer(smpptest.Config{})
	e := connect(t, s)
	e.bind(pdu.BindTransceiverID, "", "")
	if f := e.ask(wire.AppendEmpty(nil, 0xDEF, 0, 5)); f.Header != (wire.Header{ID: pdu.GenericNackID, Status: 3,
		Seq: 5}) {
		t.Errorf("unknown command: %+v", f)
	}
	if f := e.ask(wire.AppendEmpty(nil, pdu.UnbindID, 0, 6)); f.Header != (wire.Header{ID: pdu.UnbindRespID, Seq: 6}) {
		t.Errorf("unbind: %+v", f)
	}
	if _, err := e.in.Next(); err == nil {
		t.Error("connection is open after unbind")
	}
	s.Close()
	s.Close()
	if _, err := s.Dial(t.Context(), "", ""); err == nil {
		t.Error("Dial after Close succeeds")
	}
}

// A sender may have a blank in its name.
func TestReceiptForSenderWithBlank(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		defer s.Close()
		e := connect(t, s)
		e.bind(pdu.BindTransceiverID, "bank", "secret")
		m := &wire.Message{
			Source: wire.Addr{TON: 5, Digits: "My Bank"}, Dest: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"},
			Short: []byte("482910"), Registered: 1,
		}
		e.ask(wire.AppendMessage(nil, pdu.SubmitSmID, 2, m))
		if f := e.next(); f.ID != pdu.DeliverSmID {
			t.Errorf("after the response comes %+v", f.Header)
		}
	})
}
