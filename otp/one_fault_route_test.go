package otp_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

func hangs(ctx context.Context, _ *channel.Message) historyHop { return hang(ctx) }

// Routes that hang do not use up the time of the routes behind them.
func TestOneFaultHangingRoutes(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(mode.set, true)
			r.does["A"], r.does["B"] = hangs, hangs
			r.sent(p)
			pass(time.Minute)
			r.want(1, 1, 1)
		})
	}
}

// A caller that leaves while a route hangs: Work goes on with the other routes, if it takes
// over.
func TestOneFaultImpatientCaller(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(takeover, true)
		r.does["A"] = hangs
		ctx, cancel := context.WithTimeout(context.Background(), 900*time.Millisecond)
		defer cancel()
		_, _ = r.sendWith(ctx, p)
		pass(2 * time.Second)
		r.want(1, 1, 0)
	})
}

// A channel that panics, answers without a class or with a nil error of a type, or ends its
// goroutine, harms its own try only: the next route is tried, and the message may be out.
func TestOneFaultFaultyChannel(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(async, true)
			r.does["A"] = func(context.Context, *channel.Message) historyHop { return odd(n) }
			r.sent(p)
			pass(4 * time.Minute)
			r.want(1, 1, 0)
			r.wantCounted(2) // the first may be out, too
		})
	}
}

// If a channel that panics is the only one, its message is not sent again.
func TestOneFaultUnknownIsNotRetried(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(async, true)
			for _, route := range []string{"A", "B", "C"} {
				r.does[route] = func(context.Context, *channel.Message) historyHop { return odd(n) }
			}
			r.sent(p)
			pass(4 * time.Minute)
			r.want(1, 1, 1)
		})
	}
}

// A message that is refused for now is tried again by the same routes; the tries that were
// refused are not counted (seed 1573: a mailbox that took nothing stayed charged).
func TestOneFaultRefusedForNowIsTriedAgain(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(async, true)
		var n atomic.Int32
		for _, route := range []string{"A", "B", "C"} {
			r.does[route] = func(context.Context, *channel.Message) historyHop {
				if n.Add(1) < 8 {
					return busyFor(0)
				}
				return taken()
			}
		}
		r.sent(p)
		pass(time.Minute)
		r.want(3, 3, 2)
		if phone, email := r.counted(channel.Phone), r.counted(channel.Email); phone != 1 || email != 0 {
			t.Errorf("%d messages to the phone and %d to the mailbox are counted", phone, email)
		}
	})
}

// What no route takes is refunded. A repeat with the same key tries again, and counts again.
func TestOneFaultRefusedByAllRoutes(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(inCall, false)
		for _, route := range []string{"A", "B", "C"} {
			r.does[route] = func(context.Context, *channel.Message) historyHop { return refused(channel.Unreachable) }
		}
		if c, err := r.send(p); c == nil || !errors.Is(err, otp.ErrUndelivered) {
			t.Error(c, err)
		}
		r.wantCounted(0)
		clear(r.does)
		if c := r.sent(p); !c.Repeated {
			t.Error("no repeat")
		}
		r.want(2, 1, 1)
		r.wantCounted(1)
	})
}

// A Resend waits for a sender that is at work, which sends it then.
func TestOneFaultResendWaitsForTheLease(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.waits = []time.Duration{3 * time.Second}
		p := r.proc(takeover, true)
		var n atomic.Int32
		r.does["A"] = func(ctx context.Context, m *channel.Message) historyHop {
			if n.Add(1) == 1 {
				time.Sleep(4500 * time.Millisecond)
			}
			return taken()
		}
		go func() { _, _ = r.send(p) }()
		pass(4 * time.Second)
		c := r.sent(p)
		if _, err := r.resend(p, c, ""); err != nil {
			t.Fatal(err)
		}
		r.want(1, 0, 0)
		pass(time.Second)
		r.want(1, 1, 0)
		r.wantCounted(2)
	})
}

// If nobody would go on after the death of that sender, the Resend is refused until the lease is
// over, and counts nothing.
func TestOneFaultResendWithoutTakeover(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.waits = []time.Duration{3 * time.Second}
		p := r.proc(inCall, false)
		var n atomic.Int32
		r.does["A"] = func(context.Context, *channel.Message) historyHop {
			if n.Add(1) == 1 {
				time.Sleep(4500 * time.Millisecond)
			}
			return taken()
		}
		go func() { _, _ = r.send(p) }()
		pass(4 * time.Second)
		c := r.sent(p)
		if _, err := r.resend(p, c, ""); otp.ReasonOf(err) != otp.ReasonTooSoon {
			t.Error(err)
		}
		r.wantCounted(1)
		pass(5 * time.Second)
		if _, err := r.resend(p, c, ""); err != nil {
			t.Error(err)
		}
		r.want(1, 1, 0)
	})
}
