package otp_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// Messages are limited, and not requests: those of a failover count. A silent
// number gets no more than its limit, however it comes to them.
func TestFailoverStepsCount(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for what, wait := range map[string]time.Duration{"silence": 2*await + time.Second, "failure": time.Second} {
			t.Run(fmt.Sprintf("%+v,%s", m, what), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(c *otp.Config) {
						m.apply(c)
						c.Policy.PerRecipient = []otp.Rate{{Most: 5, Per: time.Hour}}
					})
					r.cfg.Channel = r.failover(t, await)
					r.Service = r.another(t)
					work(t, r.Service)
					for i := range 5 {
						_, _ = r.Send(t.Context(), otp.Request{Subject: fmt.Sprint("u", i),
							To: channel.Recipient{Phone: both.Phone}})
						synctest.Wait()
						if what == "failure" {
							for n := range r.a.count() {
								handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: fmt.Sprintf("a-%d", n+1),
									State: channel.Failed})
							}
						}
						time.Sleep(wait)
					}
					if got := r.sent(); got[0]+got[1] != 5 {
						t.Errorf("messages to a number with a limit of 5: %v", got)
					}
				})
			})
		}
	}
}

// A message counts against the address that its route uses, and against no
// other.
func TestOnlyTheAddressUsedCounts(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for name, c := range map[string]struct {
			errs         []error // of routes A and B
			route        string
			phone, email bool // used up
		}{
			"by the first route":        {nil, "", true, false},
			"by e-mail, as asked":       {nil, "M", false, true},
			"the number is wrong":       {[]error{refusal(channel.InvalidRecipient, "")}, "", false, true},
			"no carrier serves it":      {[]error{refusal(channel.Unreachable, "")}, "", false, true},
			"a carrier may have it":     {[]error{refusal(channel.Unknown, "")}, "", true, false},
			"nothing takes it":          {[]error{refusal(channel.Misconfigured, "")}, "A", false, false},
			"the carriers are too busy": {[]error{refusal(channel.Throttled, "")}, "", false, true},
		} {
			t.Run(fmt.Sprintf("%+v,%s", m, name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(cfg *otp.Config) {
						m.apply(cfg)
						cfg.Policy.PerRecipient = perHour
					})
					stop := work(t, r.Service)
					r.a.fail(c.errs...)
					if name != "a carrier may have it" {
						r.b.fail(c.errs...)
					}
					_, _ = r.Send(t.Context(), otp.Request{Subject: "u1", To: both, Route: c.route})
					synctest.Wait()
					time.Sleep(time.Second)
					stop()
					for to, used := range map[channel.Recipient]bool{{Phone: both.Phone}: c.phone,
						{Email: both.Email}: c.email} {
						_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: to})
						if limited := otp.ReasonOf(err) == otp.ReasonLimited; limited != used || !limited &&
							err != nil {
							t.Errorf("to %v: %v, want used=%v", to, err, used)
						}
					}
				})
			})
		}
	}
}

// A route whose address has had its share is passed over, and the message goes
// by the next.
func TestLimitedAddressIsPassedOver(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				m.apply(c)
				c.Policy.PerRecipient = perHour
			})
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			work(t, r.Service)
			c := r.send(t, otp.Request{})
			time.Sleep(await + time.Second) // silence: B has nothing left to use
			if got := r.sent(); got != [3]int{1, 0, 1} {
				t.Errorf("%+v: messages %v", m, got)
			}
			if s := r.status(t, c.ID); s.Route != "M" || s.Used != channel.Phone|channel.Email {
				t.Errorf("%+v: %+v", m, s)
			}
			r.verify(t, c.ID)
		})
	}
}

// A limit that a failover meets has its hop, and an error that says so.
func TestLimitedHop(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = perHour })
	r.send(t, otp.Request{To: channel.Recipient{Email: both.Email}})
	r.a.fail(refusal(channel.InvalidRecipient, "0x0B"))
	c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
	wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
	if len(c.Hops) != 2 || c.Hops[1].Route != "M" || c.Hops[1].Code != "limited" || r.mail.count() != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	var e *channel.Error
	if !errors.As(c.Hops[1].Err, &e) || e.Class != channel.Throttled {
		t.Errorf("%v", c.Hops[1].Err)
	}
}

// A route that may have sent a message, and the next that has, count as two: a
// number whose first carrier never answers gets no more than its limit, and what
// the last Send brings.
func TestMessagesOfOneStepCount(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				m.apply(c)
				c.Policy.PerRecipient = []otp.Rate{{Most: 4, Per: time.Hour}}
			})
			stop := work(t, r.Service)
			for i := range 6 {
				r.a.fail(refusal(channel.Unknown, ""))
				q := otp.Request{Subject: fmt.Sprint("u", i), To: channel.Recipient{Phone: both.Phone}}
				_, _ = r.Send(t.Context(), q)
				time.Sleep(time.Second)
			}
			stop()
			if got := r.sent(); got != [3]int{2, 2, 0} {
				t.Errorf("%+v: messages to a number with a limit of 4: %v", m, got)
			}
		})
	}
}
