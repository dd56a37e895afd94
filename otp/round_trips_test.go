package otp_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// TestRoundTrips holds how often each operation calls the backend: one call is one round trip
// of redisstore. A Send has an IdempotencyKey, without which it does without its first Get. A
// message has one part, and takes the first route. Jobs are fetched beside.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	bg := context.Background()
	type op = func(r *faultRig, p *historyProc, c *otp.Challenge)
	resend := func(r *faultRig, p *historyProc, c *otp.Challenge) { _, _ = r.resend(p, c, "") }
	verify := func(right bool) op {
		return func(r *faultRig, p *historyProc, c *otp.Challenge) {
			v := otp.Verification{ID: c.ID, Subject: "ann", Code: "000000"}
			if right {
				v.Code = r.w.codesOf(r.record().ID)[0]
			}
			_, _ = p.svc.Verify(bg, v)
		}
	}
	for _, row := range []struct {
		name  string
		mode  func(*otp.Config)
		await time.Duration
		want  string
		do    op // nil: the Send itself
	}{
		{"Send in the call", inCall, 0, "Get Take Create Track Update", nil},
		{"Send in the call, one step", opens(inCall), 0, "Get Open Track Update", nil},
		{"Send, Async, one step", opens(async), 0, "Get Open Enqueue", nil},
		{"Send in the call, Takeover, one step", opens(takeover), 0, "Get Take Enqueue Create Track Update", nil},
		{"Send in the call, awaited", inCall, time.Minute, "Get Take Create Track Enqueue Update", nil},
		{"Send in the call, Takeover", takeover, 0, "Get Take Enqueue Create Track Update", nil},
		{"Send in the call, Takeover, awaited", takeover, time.Minute, "Get Take Enqueue Create Track Update", nil},
		{"Send, Async", async, 0, "Get Take Create Enqueue", nil},
		{"Send, Async, Takeover", asyncTaken, 0, "Get Take Enqueue Create Enqueue", nil},
		{"worker", async, 0, "Get Update Track Update", workOnce},
		{"worker, awaited", async, time.Minute, "Get Update Track Update", workOnce},
		{"Resend in the call", inCall, 0, "Get Take Update Track Update", resend},
		{"Resend in the call, Takeover", takeover, 0, "Get Take Enqueue Update Track Update", resend},
		{"Resend, Async", async, 0, "Get Take Update Enqueue", resend},
		{"Resend, Async, Takeover", asyncTaken, 0, "Get Take Enqueue Update Enqueue", resend},
		{"receipt: delivered", inCall, 0, "Match Get Update", func(r *faultRig, p *historyProc, _ *otp.Challenge) {
			r.receipt(p, "A", 1, channel.Delivered)
		}},
		{"receipt: failed, awaited", takeover, 3 * time.Minute, "Match Get Update Enqueue",
			func(r *faultRig, p *historyProc, _ *otp.Challenge) { r.receipt(p, "A", 1, channel.Failed) }},
		{"Verify, right", inCall, 0, "Attempt Finish", verify(true)},
		{"Verify, wrong", inCall, 0, "Attempt", verify(false)},
		{"Status", inCall, 0, "Get", func(_ *faultRig, p *historyProc, c *otp.Challenge) {
			_, _ = p.svc.Status(bg, otp.Ref{ID: c.ID, Subject: "ann"})
		}},
		{"Cancel", inCall, 0, "Finish", func(_ *faultRig, p *historyProc, c *otp.Challenge) {
			_ = p.svc.Cancel(bg, otp.Ref{ID: c.ID, Subject: "ann"})
		}},
		{"Cancel, Takeover", takeover, 0, "Finish Enqueue", func(_ *faultRig, p *historyProc, c *otp.Challenge) {
			_ = p.svc.Cancel(bg, otp.Ref{ID: c.ID, Subject: "ann"})
		}},
		{"CancelAll", inCall, 0, "CancelAll CancelAll", func(_ *faultRig, p *historyProc, _ *otp.Challenge) {
			_ = p.svc.CancelAll(bg, otp.Scope{Subject: "ann"})
		}},
	} {
		oneFault(t, func(t *testing.T, r *faultRig) {
			r.await = row.await
			p := r.proc(row.mode, false)
			c := r.sent(p)
			if row.do != nil {
				if strings.HasPrefix(row.name, "Resend, Async") { // the first message has to be out
					other := r.proc(row.mode, true)
					pass(40 * time.Second)
					other.kill()
				} else if !strings.HasPrefix(row.name, "worker") {
					pass(40 * time.Second)
				}
				synctest.Wait()
				r.w.trips = nil
				row.do(r, p, c)
			}
			synctest.Wait()
			got := strings.Join(r.w.trips, " ")
			t.Logf("%-36s %d  %s", row.name, len(r.w.trips), got)
			if got != row.want {
				t.Errorf("%s: %q, want %q", row.name, got, row.want)
			}
		})
	}
}

// opens is a mode with a store that is a store.Opener.
func opens(mode func(*otp.Config)) func(*otp.Config) {
	return func(c *otp.Config) {
		mode(c)
		c.Store = historyOpener{c.Store.(*historyProc)}
	}
}

// workOnce lets a worker deliver what is queued.
func workOnce(_ *faultRig, p *historyProc, _ *otp.Challenge) {
	go func() { _ = p.svc.Work(p.ctx) }()
	time.Sleep(2 * time.Second)
}
