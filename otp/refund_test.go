package otp_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

var perHour = []otp.Rate{{Most: 1, Per: time.Hour}}

// createLost returns a service with a worker, whose store loses the answer to the
// call that creates a challenge.
func createLost(t *testing.T, m mode, policy func(*otp.Policy)) (*rig, *faulty) {
	t.Helper()
	f := &faulty{backend: newStore(t), after: true, down: m.creates(), opens: m.opens}
	r := newRig(t, func(c *otp.Config) {
		m.apply(c)
		c.Store = f
		policy(&c.Policy)
	})
	work(t, r.Service)
	return r, f
}

// unsure asks for a code, and does not learn whether it was stored.
func (r *rig) unsure(t *testing.T, q otp.Request) {
	t.Helper()
	c, err := r.Send(t.Context(), q)
	wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
	if c == nil || c.ID == "" {
		t.Errorf("the challenge is %+v", c)
	}
}

// A request whose answer from the store was lost costs nothing once its message
// was surely refused, wherever the repeat comes from. Unless it was for the call
// to send: then nobody can know that the call did not.
func TestUndeliveredAfterCreateAnswerLost(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			r, f := createLost(t, m, func(p *otp.Policy) { p.PerRecipient, p.PerIP = perHour, perHour })
			r.a.fail(refusal(channel.Misconfigured, "0x45"))
			here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k",
				IP: here}
			r.unsure(t, q)
			f.setDown("")
			r.send(t, otp.Request{To: channel.Recipient{Email: both.Email}, IP: there}) // counts
			time.Sleep(lease)
			synctest.Wait()
			if m.takeover == 0 { // else Work has sent it
				q.IP = there
				if _, err := r.Send(t.Context(), q); otp.ReasonOf(err) != otp.ReasonUndelivered && !m.async {
					t.Errorf("%+v: the repeat: %v", m, err)
				}
			}
			synctest.Wait()
			if n := r.a.count(); n != 1 {
				t.Fatalf("%+v: %d messages were tried", m, n)
			}
			other := otp.Request{Subject: "u1", To: channel.Recipient{Phone: "+447912345679"}, IP: there}
			if _, err := r.Send(t.Context(), other); otp.ReasonOf(err) != otp.ReasonLimited {
				t.Errorf("%+v: from where the repeat came: %v", m, err)
			}
			q.IdempotencyKey, q.IP = "", here
			if _, err := r.Send(t.Context(), q); (err == nil) != m.async {
				t.Errorf("%+v: %v", m, err)
			}
		})
	}
}

// Until then it costs: a later repeat may send it. A request without a key that
// nobody will send costs nothing.
func TestUnfinishedCounts(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		keyed, m := i%2 == 1, mode{opens: i > 1}
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), after: true, down: m.creates(), opens: m.opens}
			r := newRig(t, func(c *otp.Config) { c.Store, c.Policy.PerRecipient = f, perHour })
			q := otp.Request{Subject: "u1", To: both}
			want := otp.Reason("")
			if keyed {
				q.IdempotencyKey, want = "k", otp.ReasonLimited
				r.unsure(t, q)
				time.Sleep(lease)
				f.after = false
				f.setDown("Update") // the repeat's claim
				r.unsure(t, q)
			} else if c, err := r.Send(t.Context(), q); c != nil || otp.ReasonOf(err) != otp.ReasonUnavailable {
				t.Errorf("%+v, %v", c, err)
			}
			f.setDown("")
			if _, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both}); otp.ReasonOf(err) != want {
				t.Errorf("keyed=%v, %+v: then %v, want %q", keyed, m, err, want)
			}
		})
	}
}

// A message that one of several processes has sent counts, though the others
// were not needed.
func TestSentElsewhereCounts(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			r, f := createLost(t, m, func(p *otp.Policy) { p.PerRecipient = perHour })
			r.a.hook = func(*channel.Message, string) { <-time.After(3 * time.Second) }
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
			r.unsure(t, q)
			f.setDown("")
			<-time.After(lease)
			for range 3 {
				go func() {
					if _, err := r.Send(t.Context(), q); err != nil {
						t.Errorf("%+v: %v", m, err)
					}
				}()
			}
			<-time.After(10 * time.Second)
			synctest.Wait()
			if n := r.a.count(); n != 1 {
				t.Fatalf("%+v: %d messages", m, n)
			}
			q.IdempotencyKey = ""
			_, err := r.Send(t.Context(), q)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

// A message that is refused at once is refunded to the shortest of limits.
func TestUndeliveredInTime(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				m.apply(c)
				c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Second}}
			})
			work(t, r.Service)
			r.a.fail(refusal(channel.Unreachable, ""))
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
			if _, err := r.Send(t.Context(), q); (err == nil) != m.async {
				t.Errorf("%+v: %v", m, err)
			}
			synctest.Wait()
			if _, err := r.Send(t.Context(), q); err != nil {
				t.Errorf("%+v: then %v", m, err)
			}
		})
	}
}

// A message that is refused only when it does not count any more gives nothing
// back that another took.
func TestRefundedTooLate(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			r, f := createLost(t, m, func(p *otp.Policy) {
				p.PerRecipient = []otp.Rate{{Most: 1,
					Per: 10 * time.Second}}
			})
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
			r.unsure(t, q)
			f.setDown("")
			<-time.After(lease - time.Second)
			other := otp.Request{Subject: "u1", To: q.To, Route: "B"}
			r.send(t, other)
			r.a.fail(refusal(channel.Unreachable, ""))
			<-time.After(time.Second)
			synctest.Wait()
			if m.takeover == 0 {
				if _, err := r.Send(t.Context(), q); otp.ReasonOf(err) != otp.ReasonUndelivered && !m.async {
					t.Errorf("%+v: the repeat: %v", m, err)
				}
			}
			synctest.Wait()
			if n := r.a.count(); n != 1 {
				t.Fatalf("%+v: %d messages were tried", m, n)
			}
			_, err := r.Send(t.Context(), other)
			wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
		})
	}
}

// Nor does a Resend that Work comes to after the lease, since its sender died.
func TestTakenOverTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Takeover, c.Policy.Waits = lease, []time.Duration{15 * time.Second}
			c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: 15 * time.Second}}
		})
		work(t, r.Service)
		doomed, f := r.process(t)
		q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
		id := r.send(t, q).ID
		<-time.After(15 * time.Second)
		f.hook = func(what string) {
			if what == "Update" {
				f.die()
			}
		}
		apart(func() { _, _ = doomed.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"}) })
		<-time.After(16 * time.Second)
		r.send(t, q)
		r.a.fail(refusal(channel.Unreachable, ""))
		if n := r.a.count(); n != 2 {
			t.Fatalf("%d messages within the lease", n)
		}
		<-time.After(5 * time.Second)
		if n := r.a.count(); n != 3 {
			t.Fatalf("%d messages after the lease", n)
		}
		_, err := r.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
}

// A caller that leaves before anything was stored, or while the store refuses,
// has used no limit.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, at := range []string{"Get", "Take", "Enqueue", m.creates()} {
			for _, lost := range []bool{false, true} { // the call fails, too
				synctest.Test(t, func(t *testing.T) {
					f := &faulty{backend: newStore(t), opens: m.opens}
					r := newRig(t, func(c *otp.Config) {
						m.apply(c)
						c.Store, c.Policy.PerRecipient, c.Policy.PerIP = f, perHour, perHour
					})
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					f.hook = func(what string) {
						if what == at {
							leave()
						}
					}
					if lost {
						f.err = store.ErrFull // the store says so
						f.setDown(at)
					}
					q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, IdempotencyKey: "k",
						IP: netip.MustParseAddr("192.0.2.1")}
					c, err := r.Send(ctx, q)
					if ctx.Err() == nil {
						return // the mode does not make that call before it stores
					}
					f.setDown("")
					f.hooks(nil, nil)
					work(t, r.Service)
					<-time.After(time.Minute)
					stored := f.calledOf(m.creates()) > 0
					if !stored && (err == nil || r.total() != 0 || c != nil && at != m.creates()) {
						t.Errorf("%+v, leaves at %s: %+v, %v, %d messages", m, at, c, err, r.total())
					}
					if !stored { // else the same request goes on with it
						q.IdempotencyKey = "other"
					}
					_, err = r.Send(t.Context(), q)
					synctest.Wait()
					if err != nil || r.total() != 1 {
						t.Errorf("%+v, leaves at %s, lost=%v: then %v, %d messages in the end", m, at, lost, err,
							r.total())
					}
				})
			}
		}
	}
}
