package otp_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A sender that dies with the provider's answer in its hands leaves its step to
// another process, after Takeover and under the same Message.ID, unless the
// code is done with by then. Whoever dies, and however many processes look:
// each step goes out once more, and no other.
func TestSenderDies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dies      string
		meanwhile string
		a, b, m   int
	}{
		{"A", "", 2, 1, 1},
		{"A", "verified", 1, 0, 0},
		{"A", "cancelled", 1, 0, 0},
		{"A", "delivered", 1, 0, 0},
		{"A", "resent", 2, 1, 1}, // by the resend: the dead step is not taken over
		{"B", "", 1, 2, 1},
		{"B", "verified", 1, 1, 0},
		{"B", "cancelled", 1, 1, 0},
		{"B", "delivered", 1, 1, 0},
	} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,%s,async=%v", c.dies, c.meanwhile, async), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(cfg *otp.Config) { cfg.Async, cfg.Policy.Waits = async, []time.Duration{time.Second} })
					r.cfg.Queue, r.cfg.Channel = r.store, r.failover(t, await)
					var died atomic.Bool
					dies := map[string]*provider{"A": r.a, "B": r.b}[c.dies]
					dies.hook = func(*channel.Message, string) {
						if died.CompareAndSwap(false, true) {
							panic("the process dies")
						}
					}
					r.Service = r.another(t)
					for range 3 {
						work(t, r.another(t))
					}
					id := r.sendMayDie(t)
					synctest.Wait()
					if c.dies == "B" {
						time.Sleep(await)
						synctest.Wait()
					}
					r.meanwhile(t, c.meanwhile, id, dies.messages()[0])
					time.Sleep(15 * time.Second)
					if n := dies.count(); n != 1 && c.meanwhile != "resent" {
						t.Errorf("%d messages within Takeover", n)
					}
					time.Sleep(4 * time.Minute)
					if got := [3]int{r.a.count(), r.b.count(), r.mail.count()}; got != [3]int{c.a, c.b, c.m} {
						t.Errorf("messages by A, B, M: %v, want %d %d %d", got, c.a, c.b, c.m)
					}
					if m := dies.messages(); len(m) == 2 && (m[0].ID == m[1].ID) == (c.meanwhile == "resent") {
						t.Errorf("the messages have the ids %s, %s", m[0].ID, m[1].ID)
					}
				})
			})
		}
	}
}

// What a sender that died may have sent counts, though it is refused when it is
// sent again.
func TestSenderDiesAndCounts(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		for _, after := range [][]error{
			{refusal(channel.Unreachable, "0x45")},
			{refusal(channel.Temporary, "0x08"), refusal(channel.Unreachable, "0x45")},
		} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(c *otp.Config) {
					c.Async, c.Policy.PerRecipient = async, []otp.Rate{{Most: 1, Per: time.Hour}}
				})
				r.cfg.Queue = r.store
				var died atomic.Bool
				r.a.hook = func(*channel.Message, string) {
					if died.CompareAndSwap(false, true) {
						r.a.mu.Lock()
						r.a.errs = after
						r.a.mu.Unlock()
						panic("the process dies")
					}
				}
				r.Service = r.another(t)
				work(t, r.another(t))
				q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
				func() {
					defer func() { _ = recover() }()
					_, _ = r.Send(t.Context(), q)
				}()
				<-time.After(2 * time.Minute)
				if n := r.a.count(); n != len(after)+1 && async || n < 2 {
					t.Fatalf("async=%v: %d messages", async, n)
				}
				_, err := r.Send(t.Context(), q)
				wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
			})
		}
	}
}

// With a queue that is merely taken from the Store nobody takes a dead Send
// over, but the request repeated with its key, after Takeover.
func TestSenderDiesWithoutQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.cfg.Channel = r.failover(t, await)
		r.a.hook = func(*channel.Message, string) {
			if r.a.count() == 1 {
				panic("the process dies")
			}
		}
		r.Service = r.another(t)
		work(t, r.another(t))
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		func() {
			defer func() { _ = recover() }()
			r.send(t, request)
		}()
		time.Sleep(10 * time.Second)
		r.send(t, request) // within Takeover
		time.Sleep(2 * time.Minute)
		if n := r.total(); n != 1 {
			t.Fatalf("%d messages", n)
		}
		r.send(t, request)
		time.Sleep(await + time.Second)
		if m := r.a.messages(); len(m) != 2 || m[0].ID != m[1].ID || r.b.count() != 1 {
			t.Errorf("messages by A, B: %d, %d", len(m), r.b.count())
		}
	})
}

// sendMayDie returns the id of the challenge of a Send that may not return.
func (r *rig) sendMayDie(t *testing.T) (id string) {
	t.Helper()
	defer func() {
		if recover() != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			id = r.events[0].Challenge
		}
	}()
	return r.send(t, otp.Request{}).ID
}

// meanwhile does what is named to the challenge whose sender of m has died.
func (r *rig) meanwhile(t *testing.T, what, id string, m *channel.Message) {
	t.Helper()
	switch what {
	case "verified":
		r.verify(t, id)
	case "cancelled":
		r.cancel(t, id)
	case "delivered":
		route := map[bool]string{true: "A", false: "B"}[r.b.count() == 0]
		handle(t, r.Service, channel.Receipt{Route: route, MessageID: m.ID, State: channel.Delivered})
	case "resent":
		time.Sleep(time.Second)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id}); err != nil {
			t.Error(err)
		}
	}
}

// What was queued and not begun is dropped when the challenge ends.
func TestEndedBeforeItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Async = true })
		c := r.send(t, otp.Request{})
		r.cancel(t, c.ID)
		work(t, r.Service)
		time.Sleep(4 * time.Minute)
		if n := r.total(); n != 0 {
			t.Errorf("%d messages", n)
		}
	})
}

// A code that is verified while the next route has the message, and has not
// answered, does not go on to the one after that, whatever the answer.
func TestVerifiedInFlight(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			r.b.hook = func(*channel.Message, string) { time.Sleep(5 * time.Second) }
			work(t, r.Service)
			c := r.send(t, otp.Request{})
			time.Sleep(await + time.Second)
			r.verify(t, c.ID)
			time.Sleep(10 * time.Second)
			if refused {
				handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: "b-1", State: channel.Failed})
			}
			time.Sleep(4 * time.Minute)
			if r.b.count() != 1 || r.mail.count() != 0 {
				t.Errorf("B %d, M %d", r.b.count(), r.mail.count())
			}
		})
	}
}

// An embedder sees what came too late: a message that no worker came to is a
// dead letter, one whose challenge had ended is not.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Async = true })
		r.cancel(t, r.send(t, otp.Request{}).ID)
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			stop()
		}()
		if err := r.Work(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		late := r.send(t, otp.Request{Subject: "u2"})
		time.Sleep(4 * time.Minute)
		if s, err := r.store.Stats(t.Context()); err != nil || s.Normal != 1 || s.Oldest != 4*time.Minute {
			t.Errorf("%+v, %v", s, err)
		}
		time.Sleep(time.Minute)
		work(t, r.Service)
		synctest.Wait()
		dead, err := r.store.Dead(t.Context(), 10)
		if err != nil || len(dead) != 1 || dead[0].Job.Challenge != late.ID || dead[0].Reason != store.Late || r.total() != 0 {
			t.Errorf("%+v, %v, %d messages", dead, err, r.total())
		}
	})
}
