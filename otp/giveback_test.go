package otp_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// The ways in which a message goes out: at once, at once but with a queue for
// when that fails, or by workers.
var ways = []way{{false, false}, {false, true}, {true, false}}

type way struct{ async, queue bool }

// createLost returns a service with a worker, whose store loses the answer to
// Create.
func createLost(t *testing.T, w way, policy func(*otp.Policy)) (*rig, *faulty) {
	t.Helper()
	f := &faulty{backend: newStore(t), after: true, down: "Create"}
	r := newRig(t, func(c *otp.Config) {
		c.Store, c.Async = f, w.async
		policy(&c.Policy)
	})
	if w.queue {
		r.cfg.Queue = f
	}
	r.Service = r.another(t)
	work(t, r.Service)
	return r, f
}

// A request whose answer from the store was lost costs nothing once its repeat
// is surely refused, wherever that comes from.
func TestUndeliveredAfterCreateAnswerLost(t *testing.T) {
	t.Parallel()
	for _, c := range ways {
		synctest.Test(t, func(t *testing.T) {
			r, f := createLost(t, c, func(p *otp.Policy) {
				p.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}}
				p.PerIP = p.PerRecipient
			})
			r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
			here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k", IP: here}
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			f.setDown("")
			r.send(t, otp.Request{To: channel.Recipient{Email: both.Email}, IP: there}) // counts
			q.IP = there
			if _, err = r.Send(t.Context(), q); otp.ReasonOf(err) != otp.ReasonUndelivered && !c.async {
				t.Errorf("%+v: the repeat: %v", c, err)
			}
			synctest.Wait()
			if n := r.a.count(); n != 1 {
				t.Fatalf("%+v: %d messages were tried", c, n)
			}
			other := otp.Request{Subject: "u1", To: channel.Recipient{Phone: "+447912345679"}, IP: there}
			if _, err := r.Send(t.Context(), other); otp.ReasonOf(err) != otp.ReasonLimited {
				t.Errorf("%+v: from where the repeat came: %v", c, err)
			}
			q.IdempotencyKey, q.IP = "", here
			if _, err := r.Send(t.Context(), q); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		})
	}
}

// Until then it costs: a later repeat may send it.
func TestUnfinishedCounts(t *testing.T) {
	t.Parallel()
	f := &faulty{backend: newStore(t), after: true, down: "Create"}
	r := newRig(t, func(c *otp.Config) {
		c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 1, Per: time.Hour}}
	})
	q := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
	for _, down := range []string{"Create", "Update"} { // the repeat's claim
		f.setDown(down)
		_, err := r.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
	}
	_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
}

// What one of several has sent is counted, though the others were not needed:
// repeats of a request whose answer was lost, or a worker that had the job
// before the queue's answer was lost.
func TestSentElsewhereCounts(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), after: true, down: "Create"}
			r := newRig(t, func(c *otp.Config) {
				c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 1, Per: time.Hour}}
				if direct {
					f.down, c.Async, c.DirectWhenQueueFails = "Enqueue", true, true
					f.hook = func(what string) {
						if what == "Enqueue" {
							<-time.After(time.Second)
						}
					}
				}
			})
			r.a.hook = func(*channel.Message, string) { <-time.After(3 * time.Second) }
			work(t, r.Service)
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
			if _, err := r.Send(t.Context(), q); (err == nil) != direct {
				t.Fatal(err)
			}
			f.setDown("")
			for range 3 {
				go func() {
					if _, err := r.Send(t.Context(), q); err != nil {
						t.Errorf("direct=%v: %v", direct, err)
					}
				}()
			}
			<-time.After(10 * time.Second)
			synctest.Wait()
			if n := r.a.count(); n != 1 {
				t.Fatalf("direct=%v: %d messages", direct, n)
			}
			q.IdempotencyKey = ""
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

// A request that was refused, and is repeated by several at once, is one message
// and counts as one.
func TestRetriesCountOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{backend: newStore(t), hook: func(what string) {
			if what == "Get" {
				<-time.After(time.Second) // for all to have read the same
			}
		}}
		r := newRig(t, func(c *otp.Config) {
			c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 4, Per: time.Hour}}
		})
		r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
		q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
		_, err := r.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
		for range 4 {
			go func() {
				if _, err := r.Send(t.Context(), q); err != nil {
					t.Error(err)
				}
			}()
		}
		<-time.After(10 * time.Second)
		synctest.Wait()
		if n := r.a.count(); n != 2 {
			t.Fatalf("%d messages, want the refused one and one more", n)
		}
		q.IdempotencyKey = ""
		for range 3 {
			r.send(t, q)
		}
		_, err = r.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
}

// What is refused at once is given back to the shortest of limits.
func TestUndeliveredInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ async, queue bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(cfg *otp.Config) {
				cfg.Async, cfg.Policy.PerRecipient = c.async, []otp.Rate{{Most: 1, Per: time.Second}}
			})
			if c.queue {
				r.cfg.Queue = r.store
			}
			r.Service = r.another(t)
			work(t, r.Service)
			r.a.errs = []error{refusal(channel.Unreachable, "")}
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
			if _, err := r.Send(t.Context(), q); (err == nil) != c.async {
				t.Errorf("%+v: %v", c, err)
			}
			synctest.Wait()
			if _, err := r.Send(t.Context(), q); err != nil {
				t.Errorf("%+v: then %v", c, err)
			}
		})
	}
}

// What was counted when its answer from the store was lost, and is refused only
// when that does not count any more, gives nothing back that another took.
func TestRepeatedTooLate(t *testing.T) {
	t.Parallel()
	for _, c := range ways {
		synctest.Test(t, func(t *testing.T) {
			r, f := createLost(t, c, func(p *otp.Policy) { p.PerRecipient = []otp.Rate{{Most: 1, Per: 10 * time.Second}} })
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			f.setDown("")
			<-time.After(11 * time.Second)
			other := otp.Request{Subject: "u1", To: q.To, Route: "B"}
			r.send(t, other)
			r.a.errs = []error{refusal(channel.Unreachable, "")}
			if _, err := r.Send(t.Context(), q); otp.ReasonOf(err) != otp.ReasonUndelivered && !c.async {
				t.Errorf("%+v: the repeat: %v", c, err)
			}
			synctest.Wait()
			if n := r.a.count(); n != 1 {
				t.Fatalf("%+v: %d messages were tried", c, n)
			}
			_, err = r.Send(t.Context(), other)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

// Nor does a resend that a worker comes to after Takeover, since its sender died.
func TestTakenOverTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dies atomic.Bool
		f := &faulty{backend: newStore(t), hook: func(what string) {
			if what == "Enqueue" && dies.CompareAndSwap(true, false) {
				panic("the process dies")
			}
		}}
		r := newRig(t, func(c *otp.Config) {
			c.Store, c.Policy.Waits = f, []time.Duration{15 * time.Second}
			c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: 15 * time.Second}}
		})
		r.cfg.Queue = f
		r.Service = r.another(t)
		work(t, r.Service)
		q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
		id := r.send(t, q).ID
		<-time.After(15 * time.Second)
		dies.Store(true)
		func() {
			defer func() { _ = recover() }()
			_, _ = r.Resend(t.Context(), otp.ResendRequest{ID: id})
		}()
		<-time.After(16 * time.Second)
		r.send(t, q)
		r.a.errs = []error{refusal(channel.Unreachable, "")}
		if n := r.a.count(); n != 2 {
			t.Fatalf("%d messages within Takeover", n)
		}
		<-time.After(5 * time.Second)
		if n := r.a.count(); n != 3 {
			t.Fatalf("%d messages after Takeover", n)
		}
		_, err := r.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
}
