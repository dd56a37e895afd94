package otp_test

import (
	"context"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
)

// inProcess runs f, which may end its goroutine.
func inProcess(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// The process dies after each of the calls of a Send. What is stored is sent by Work, at most
// once more than the dead process sent it, and counts once; and a step is taken over once.
func TestOneFaultDeathAfterEachCallOfASend(t *testing.T) {
	t.Parallel()
	for _, mode := range []struct {
		name string
		set  func(*otp.Config)
	}{{"takeover", takeover}, {"async with takeover", asyncTaken}} {
		for n := int32(1); n <= 8; n++ {
			oneFault(t, func(t *testing.T, r *faultRig) {
				r.proc(mode.set, true)
				doomed := r.proc(mode.set, false)
				last := doomed.dies(n)
				inProcess(func() { _, _ = r.send(doomed) })
				pass(4 * time.Minute)
				stored := r.record() != nil
				if sent := r.tried["A"]; stored != (sent > 0) || sent > 2 {
					t.Errorf("%s: death after %s: stored %v, sent %d times", mode.name, last(), stored, sent)
				}
				if n := r.counted(channel.Phone); stored && n != 1 {
					t.Errorf("%s: death after %s: %d messages are counted", mode.name, last(), n)
				}
			})
		}
	}
}

// The process dies after each of the calls of a worker, and of the worker that follows it.
func TestOneFaultDeathAfterEachCallOfAWorker(t *testing.T) {
	t.Parallel()
	for n := int32(1); n <= 5; n++ {
		for _, again := range []bool{false, true} {
			oneFault(t, func(t *testing.T, r *faultRig) {
				doomed, second := r.proc(async, true), r.proc(async, false)
				last := doomed.dies(n)
				r.sent(second)
				pass(time.Second)
				if again {
					second.dies(n)
				}
				go func() { _ = second.svc.Work(second.ctx) }()
				pass(30 * time.Second)
				third := r.proc(async, false)
				go func() { _ = third.svc.Work(third.ctx) }()
				pass(3 * time.Minute)
				if sent := r.tried["A"]; sent == 0 || sent > 2 || r.counted(channel.Phone) != 1 {
					t.Errorf("death after %s, again %v: sent %d times, %d are counted", last(), again, sent,
						r.counted(channel.Phone))
				}
			})
		}
	}
}

// Two senders of a step die while they send: nobody sends it a third time.
func TestOneFaultTakenOverOnce(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.does["A"] = func(context.Context, *channel.Message) historyHop { return historyHop{sent: true, dies: true} }
		first := r.proc(takeover, false)
		inProcess(func() { _, _ = r.send(first) })
		for range 3 {
			r.proc(takeover, true)
			pass(time.Minute)
		}
		r.want(2, 0, 0)
		r.wantCounted(1)
		if d := r.record().delivery; d.Phase != delivery.Sending || !d.Doubt {
			t.Errorf("%v, doubt %v", d.Phase, d.Doubt)
		}
	})
}

// Without Takeover only a repeat with the same key goes on with a dead process's message, once
// its lease is over.
func TestOneFaultRepeatGoesOnAfterADeath(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		first, second := r.proc(inCall, false), r.proc(inCall, true)
		r.does["A"] = func(context.Context, *channel.Message) historyHop { return historyHop{sent: true, dies: true} }
		inProcess(func() { _, _ = r.send(first) })
		delete(r.does, "A")
		pass(15 * time.Second)
		if c := r.sent(second); !c.Repeated || c.State != channel.Queued {
			t.Errorf("%+v", c)
		}
		r.want(1, 0, 0)
		pass(10 * time.Second)
		if c := r.sent(second); c.State != channel.Sent {
			t.Errorf("%+v", c)
		}
		r.want(2, 0, 0)
		r.wantCounted(1)
	})
}

// A message is delivered while its sender, which is dead, has the lease. Without Takeover a
// Resend is refused until the lease is over, since nobody would go on (seed 4501).
func TestOneFaultResendWaitsForADeadLease(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.waits = []time.Duration{2 * time.Second}
		first, second := r.proc(inCall, false), r.proc(inCall, true)
		var m channel.Message
		r.does["A"] = func(_ context.Context, sent *channel.Message) historyHop {
			m = *sent
			return historyHop{sent: true, dies: true}
		}
		inProcess(func() { _, _ = r.send(first) })
		delete(r.does, "A")
		err := second.rc.For("A")(context.Background(), channel.Receipt{MessageID: m.ID, State: channel.Delivered})
		if err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Second)
		c := r.sent(second)
		if _, err := r.resend(second, c, ""); otp.ReasonOf(err) != otp.ReasonTooSoon {
			t.Error(err)
		}
		r.wantCounted(1)
		pass(11 * time.Second)
		if _, err := r.resend(second, c, ""); err != nil {
			t.Error(err)
		}
		r.want(2, 0, 0)
		r.wantCounted(2)
	})
}
