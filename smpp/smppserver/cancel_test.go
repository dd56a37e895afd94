package smppserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

var aCancel = wire.Cancel{
	ID: "m1", Source: wire.Addr{TON: 5, Digits: "MyBank"}, Dest: wire.Addr{TON: 1, NPI: 1, Digits: "447911123456"},
}

// withdraw sends a cancel_sm and returns its answer.
func (e *esme) withdraw(change func(*wire.Cancel)) smpp.Status {
	e.t.Helper()
	v := aCancel
	if change != nil {
		change(&v)
	}
	f := e.Ask(wire.AppendCancel(nil, 8, v))
	if f.ID != pdu.CancelSmRespID || f.Seq != 8 || len(f.Body) != 0 {
		e.t.Fatalf("answered with %+v", f)
	}
	return smpp.Status(f.Status)
}

// canceling is a server whose Cancel is f.
func canceling(t testing.TB, f func(context.Context, *smppserver.CancelRequest) error) *smppserver.Server {
	c := serverConfig()
	c.Cancel = f
	return startServer(t, c)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	var got *smppserver.CancelRequest
	e := bound(t, canceling(t, func(_ context.Context, r *smppserver.CancelRequest) error {
		got = r
		return nil
	}))
	if status := e.withdraw(nil); status != smpp.StatusOK {
		t.Fatal(status)
	}
	want := &smppserver.CancelRequest{
		SystemID: "bank", Sequence: 8, ID: "m1", From: "MyBank", FromTON: 5, To: "+447911123456", ToTON: 1,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(*want, "Session")); diff != "" ||
		got.Session.SystemID() != "bank" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if s := fmt.Sprintf("%v %#v %s", got, got, got.LogValue()); strings.Contains(s, "7911") ||
		strings.Contains(s, "MyBank") {
		t.Errorf("printed as %s", s)
	}
	if status := e.withdraw(func(v *wire.Cancel) { v.Dest = wire.Addr{TON: 1} }); status != smpp.StatusOK ||
		got.To != "" {
		t.Errorf("without a destination: %v, To %q", status, got.To)
	}
}

func TestCancelAnswers(t *testing.T) {
	t.Parallel()
	refused := func(class channel.Class, cause error) error {
		return &channel.Error{Class: class, Op: "test", Err: cause}
	}
	for _, tt := range []struct {
		err  error
		want smpp.Status
	}{
		{nil, smpp.StatusOK},
		{smpp.StatusInvalidMessageID, smpp.StatusInvalidMessageID},
		{fmt.Errorf("wrapped: %w", smpp.StatusSystemError), smpp.StatusSystemError},
		{smpp.StatusOK, smpp.StatusCancelFailed}, // an error is one
		{errors.New("any"), smpp.StatusCancelFailed},
		{refused(channel.Unknown, nil), smpp.StatusCancelFailed},
		{refused(channel.Unreachable, errors.ErrUnsupported), smpp.StatusCancelFailed},
		{refused(channel.Temporary, nil), smpp.StatusSystemError},
		{refused(channel.Misconfigured, smpp.StatusInvalidPassword), smpp.StatusSystemError},
		{refused(channel.Throttled, smpp.StatusQueueFull), smpp.StatusThrottled},
		{refused(channel.Unknown, smpp.StatusInvalidMessageID), smpp.StatusCancelFailed},
	} {
		e := bound(t, canceling(t, func(context.Context, *smppserver.CancelRequest) error { return tt.err }))
		if got := e.withdraw(nil); got != tt.want {
			t.Errorf("%v: answered with %v, want %v", tt.err, got, tt.want)
		}
	}
}

// What is wrong with a cancel_sm is found before anybody is asked.
func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	s := canceling(t, func(context.Context, *smppserver.CancelRequest) error {
		t.Error("Cancel was called")
		return nil
	})
	for _, tt := range []struct {
		name   string
		change func(*wire.Cancel)
		want   smpp.Status
	}{
		{"many", func(v *wire.Cancel) { v.ID = "" }, smpp.StatusCancelFailed},
		{"message_id of 65", func(v *wire.Cancel) { v.ID = strings.Repeat("1", 65) }, smpp.StatusInvalidMessageID},
		{"service_type of 6", func(v *wire.Cancel) { v.ServiceType = "sixsix" }, smpp.StatusInvalidServiceType},
		{"source_addr of 22", func(v *wire.Cancel) { v.Source.Digits = strings.Repeat("1", 22) },
			smpp.StatusInvalidSource},
		{"destination_addr of 22", func(v *wire.Cancel) { v.Dest.Digits = strings.Repeat("1", 22) },
			smpp.StatusInvalidDestination},
	} {
		if got := bound(t, s).withdraw(tt.change); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := dial(t, s).withdraw(nil); got != smpp.StatusInvalidBindStatus {
		t.Errorf("before a bind: %v", got)
	}
	receiver := dial(t, s)
	receiver.bindAs(pdu.BindReceiverID, "secret")
	if got := receiver.withdraw(nil); got != smpp.StatusInvalidBindStatus {
		t.Errorf("as receiver: %v", got)
	}
	if f := bound(t, s).Ask(wire.AppendID(nil, pdu.CancelSmID, 0, 9, "")); f.ID != pdu.CancelSmRespID ||
		smpp.Status(f.Status) != smpp.StatusInvalidCmdLength {
		t.Errorf("cut off: %+v", f.Header)
	}
}

func TestCancelLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.Window, c.HandlerTimeout = 1, 3*time.Second
		c.Cancel = func(ctx context.Context, _ *smppserver.CancelRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		s := startServer(t, c)
		e := bound(t, s)
		began := time.Now()
		e.Write(wire.AppendCancel(nil, 8, aCancel))
		if got := e.submit(nil); got != smpp.StatusThrottled {
			t.Errorf("over the window: %v", got)
		}
		if f := e.Next(); f.Seq != 8 || smpp.Status(f.Status) != smpp.StatusCancelFailed {
			t.Errorf("after HandlerTimeout: %+v", f.Header)
		}
		took(t, began, 3*time.Second)
		if got := e.submit(nil); got != smpp.StatusOK {
			t.Errorf("the place was not given back: %v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := serverConfig()
		c.TPS = func(string) int { return 1 }
		c.Cancel = func(context.Context, *smppserver.CancelRequest) error { return nil }
		e := bound(t, startServer(t, c))
		if a, b := e.withdraw(nil), e.withdraw(nil); a != smpp.StatusOK || b != smpp.StatusThrottled {
			t.Errorf("two at once: %v, %v", a, b)
		}
	})
}
