package otp_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// A route that was passed over because its breaker was open has not been tried:
// if the message by another route fails or is not heard of, it follows, whether
// its breaker is still open or not.
func TestRouteWithOpenBreakerFollows(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for what, wait := range map[string]time.Duration{"silence": await + 2*time.Second, "failure": 2 * time.Second} {
			t.Run(fmt.Sprintf("%+v,%s", m, what), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, m.apply)
					r.cfg.Channel = r.failover(t, await)
					r.Service = r.another(t)
					stop := work(t, r.Service)
					defer stop()
					to := func(n int) channel.Recipient {
						return channel.Recipient{Phone: fmt.Sprintf("+4479123456%02d", n)}
					}
					for i := range 5 { // they open the breaker of A
						r.a.fail(refusal(channel.Temporary, "8"))
						_, _ = r.Send(t.Context(), otp.Request{Subject: fmt.Sprint("x", i), To: to(i)})
						synctest.Wait()
					}
					r.a.fail()
					before, beforeB := r.a.count(), r.b.count()
					c := r.send(t, otp.Request{To: to(10)})
					synctest.Wait()
					if r.a.count() != before || r.b.count() != beforeB+1 {
						t.Fatal("the breaker of A is not open")
					}
					if what == "failure" {
						handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: fmt.Sprintf("b-%d", beforeB+1),
							State: channel.Failed})
					}
					time.Sleep(wait)
					if r.a.count() != before+1 || r.b.count() != beforeB+1 {
						t.Errorf("%d messages by A, %d by B", r.a.count()-before, r.b.count()-beforeB)
					}
					if s := r.status(t, c.ID); s.Route != "A" || s.State != channel.Sent {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}
