package otp_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// Whatever receipts come, and in whatever order, the state of the latest message
// moves forward only, it begins anew with a next message only, and Delivered is
// never taken back.
func TestStateMovesForwardOnly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		for _, m := range modes {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				r := newRig(t, func(c *otp.Config) {
					m.apply(c)
					c.Policy.PerRecipient, c.Policy.Waits = []otp.Rate{}, four
				})
				r.cfg.Channel = r.failover(t, map[bool]time.Duration{true: await}[seed%3 > 0])
				r.Service = r.another(t)
				work(t, r.Service)
				id := r.send(t, otp.Request{}).ID
				synctest.Wait()
				last, sent := r.status(t, id), r.total()
				for step := range 12 {
					what := r.something(t, rng, id)
					synctest.Wait()
					now, total := r.status(t, id), r.total()
					if last.Delivered && !now.Delivered {
						t.Fatalf("seed %d, %+v, step %d, %s: Delivered is taken back", seed, m, step, what)
					}
					if now.State == channel.Delivered && !now.Delivered {
						t.Fatalf("seed %d, %+v, step %d, %s: %+v", seed, m, step, what, now)
					}
					if now.State < last.State && total == sent && now.State != channel.Queued {
						t.Fatalf("seed %d, %+v, step %d, %s: from %v to %v without a message", seed, m, step, what,
							last.State, now.State)
					}
					last, sent = now, total
				}
			})
		}
	}
}

// something happens to the challenge.
func (r *rig) something(t *testing.T, rng *rand.Rand, id string) string {
	t.Helper()
	switch rng.IntN(5) {
	case 0:
		d := time.Duration(rng.IntN(15)) * time.Second
		time.Sleep(d)
		return fmt.Sprint("after ", d)
	case 1:
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"})
		return fmt.Sprint("a Resend: ", err)
	}
	p := []*provider{r.a, r.b, r.mail}[rng.IntN(3)]
	if p.count() == 0 {
		return "nothing"
	}
	rc := channel.Receipt{Route: map[*provider]string{r.a: "A", r.b: "B", r.mail: "M"}[p],
		ProviderID: fmt.Sprintf("%s-%d", p.name, 1+rng.IntN(p.count())),
		State:      []channel.State{channel.Failed, channel.Delivered, channel.Sent, channel.Queued}[rng.IntN(4)]}
	if err := r.HandleReceipt(t.Context(), rc); err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%s: %v", rc.ProviderID, rc.State)
}

// State is that of the latest message, and Delivered says that some message was
// delivered.
func TestStateAndDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.cfg.Channel = r.failover(t, await)
		r.Service = r.another(t)
		work(t, r.Service)
		id := r.send(t, otp.Request{}).ID
		is := func(when string, state channel.State, delivered bool, route string) {
			t.Helper()
			if s := r.status(t, id); s.State != state || s.Delivered != delivered || s.Route != route {
				t.Errorf("%s: state %v, delivered=%v by %q, want %v, %v by %q", when, s.State, s.Delivered, s.Route,
					state, delivered, route)
			}
		}
		is("sent", channel.Sent, false, "A")
		time.Sleep(await + time.Second)
		is("the next route has it", channel.Sent, false, "B")
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
		is("the first has arrived", channel.Sent, true, "B")
		handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: "b-1", State: channel.Failed})
		is("the second has failed", channel.Failed, true, "B")
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
		is("the first is said to have failed", channel.Failed, true, "B")
		handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: "b-1", State: channel.Delivered})
		is("the second has arrived after all", channel.Delivered, true, "B")
		time.Sleep(time.Minute)
		if c, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"}); err != nil ||
			c.State != channel.Sent || !c.Delivered {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
