package otp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// The event of a refusal names the operation.
func TestRefusedOperation(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ctx, tenant := t.Context(), "none of that name"
	for want, call := range map[otp.Operation]func() error{
		otp.OperationSend: func() error { _, err := r.Send(ctx, otp.Request{}); return err },
		otp.OperationResend: func() error {
			_, err := r.Resend(ctx, otp.ResendRequest{ID: "unknown", Subject: "ann"})
			return err
		},
		otp.OperationCancel: func() error { return r.Cancel(ctx, otp.Ref{ID: "unknown", Subject: "ann"}) },
		otp.OperationUnlock: func() error { return r.Unlock(ctx, otp.Scope{Tenant: tenant}) },
		otp.OperationErase:  func() error { return r.Erase(ctx, otp.Erasure{Tenant: tenant}) },
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", want)
		}
		if e := r.last(); e.Kind != otp.EventRefused || e.Operation != want {
			t.Errorf("event %s %q, want %q", e.Kind, e.Operation, want)
		}
	}
	r.send(t, otp.Request{})
	if e := r.last(); e.Operation != "" {
		t.Errorf("event %s has the operation %q", e.Kind, e.Operation)
	}
}

// The event of a receipt tells when the route took the message, and a message carries
// the RequestID of what it was sent for.
func TestReceiptTellsWhenSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		const took = 300 * time.Millisecond
		r.a.before = func() { time.Sleep(took) }
		began := time.Now()
		c := r.send(t, otp.Request{RequestID: "first"})
		time.Sleep(4 * time.Second)
		if e := r.receipt(t, "A", "a-1"); e.Sent.UnixMilli() != began.Add(took).UnixMilli() {
			t.Errorf("sent %v, want %v", e.Sent, began.Add(took))
		}
		time.Sleep(3 * time.Minute)
		again := time.Now()
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Route: "A",
			RequestID: "second"}); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"first", "second"} {
			if got := r.a.messages()[i].RequestID; got != want {
				t.Errorf("message %d has the RequestID %q, want %q", i+1, got, want)
			}
		}
		time.Sleep(time.Second)
		if e := r.receipt(t, "A", "a-2"); e.Sent.UnixMilli() != again.Add(took).UnixMilli() {
			t.Errorf("sent again %v, want %v", e.Sent, again.Add(took))
		}
	})
}

// receipt reports a message delivered, and returns the event.
func (r *rig) receipt(t *testing.T, route, id string) otp.Event {
	t.Helper()
	report := r.receipts.For(route)
	if err := report(t.Context(), channel.Receipt{ProviderID: id, State: channel.Delivered}); err != nil {
		t.Fatal(err)
	}
	e := r.last()
	if e.Kind != otp.EventReceipt || e.Providers[0] != id {
		t.Errorf("event %s of %v", e.Kind, e.Providers)
	}
	return e
}
