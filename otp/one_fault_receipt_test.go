package otp_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
)

// A receipt that was faster than the outcome is recorded with it, by one write.
func TestOneFaultEarlyReceipt(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.await = 10 * time.Second
		p := r.proc(async, true)
		r.does["A"] = func(context.Context, *channel.Message) historyHop {
			r.receipt(p, "A", 1, channel.Delivered)
			return taken("A.1")
		}
		r.sent(p)
		pass(time.Minute)
		r.want(1, 0, 0)
		if n := r.record(); n.delivery.Phase != delivery.Delivered || n.Revision != 2 {
			t.Errorf("%v after %d writes", n.delivery.Phase, n.Revision)
		}
	})
}

// A receipt whose message could not be tracked is found before another route is taken.
func TestOneFaultParkedReceipt(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.await = 10 * time.Second
		p := r.proc(async, true)
		began := time.Now()
		p.beforeCalls(func(call string) error {
			if call == "Track" && time.Since(began) < 5*time.Second {
				return errHistoryFault
			}
			return nil
		})
		r.sent(p)
		pass(time.Second)
		r.receipt(p, "A", 1, channel.Delivered)
		pass(time.Minute)
		r.want(1, 0, 0)
		if r.phase() != delivery.Delivered {
			t.Error(r.phase())
		}
	})
}

// A receipt is not acknowledged before it is recorded, and a job is enqueued for what follows it.
func TestOneFaultReceiptIsRecordedBeforeItIsAcknowledged(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"Match", "Get", "Update", "Enqueue"} {
		oneFault(t, func(t *testing.T, r *faultRig) {
			r.await = time.Minute
			p := r.proc(inCall, true)
			r.sent(p)
			p.beforeCalls(func(next string) error {
				if next == call {
					return errHistoryFault
				}
				return nil
			})
			rc := channel.Receipt{ProviderID: "A.1", State: channel.Failed}
			if err := p.rc.For("A")(context.Background(), rc); err == nil {
				t.Errorf("%s fails, and the receipt is acknowledged", call)
			}
			p.beforeCalls(nil)
			r.receipt(p, "A", 1, channel.Failed)
			pass(time.Second)
			r.want(1, 1, 0)
		})
	}
}

// A worker reads the record just before the message's silence is over, and decides just after: the
// silence is followed (seed 354).
func TestOneFaultWokenJustBeforeItsTime(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.await = 20*time.Second + 100*time.Millisecond
		p := r.proc(takeover, true)
		r.sent(p) // its wake-up is that of the lease, which is over 100 ms earlier
		p.afterCalls(func(call string) error {
			if call == "Get" {
				time.Sleep(200 * time.Millisecond)
			}
			return nil
		})
		pass(time.Minute)
		r.want(1, 1, 1)
	})
}

// A message in two parts went by the second route of its step, and one part has arrived. Then the
// message by the first route arrives whole: it is Delivered (seed 653).
func TestOneFaultWholeMessageBesideAPart(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(inCall, false)
		id := ""
		r.does["A"] = func(_ context.Context, m *channel.Message) historyHop {
			id = m.ID
			return lost(true)
		}
		r.does["B"] = func(context.Context, *channel.Message) historyHop { return taken("B.1", "B.2") }
		r.sent(p)
		r.receipt(p, "B", 2, channel.Delivered)
		if r.phase() != delivery.Sent {
			t.Fatal(r.phase())
		}
		err := p.rc.For("A")(context.Background(), channel.Receipt{MessageID: id, State: channel.Delivered})
		if err != nil || r.phase() != delivery.Delivered {
			t.Error(err, r.phase())
		}
	})
}

// Late and contradicting receipts: a Delivered ends the delivery, and Failed does not undo it.
func TestOneFaultLateReceipts(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.await = 10 * time.Second
		p := r.proc(async, true)
		c := r.sent(p)
		pass(12 * time.Second) // B is awaited now
		r.receipt(p, "A", 1, channel.Failed)
		r.receipt(p, "A", 1, channel.Delivered)
		r.receipt(p, "B", 2, channel.Failed)
		pass(time.Minute)
		r.want(1, 1, 0)
		got, err := p.svc.Status(context.Background(), otp.Ref{ID: c.ID, Subject: "ann"})
		if err != nil || !got.Delivered {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// The messages of a closed challenge are withdrawn, although the process that closed it died before
// it could wake anybody: the wake-up of an awaited receipt sees to it.
func TestOneFaultWithdrawn(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.await = 20 * time.Second
		p := r.proc(asyncTaken, true)
		c := r.sent(p)
		pass(30 * time.Second) // A was silent, B is awaited
		p.dies(1)
		inProcess(func() { _ = p.svc.Cancel(context.Background(), otp.Ref{ID: c.ID, Subject: "ann"}) })
		if len(r.recalled()) > 0 {
			t.Fatal("withdrawn too early for this test")
		}
		r.proc(asyncTaken, true)
		pass(time.Minute)
		if all := r.recalled(); !slices.Contains(all, "1/A") || !slices.Contains(all, "2/B") {
			t.Errorf("withdrawn: %v", all)
		}
		r.want(1, 1, 0)
	})
}
