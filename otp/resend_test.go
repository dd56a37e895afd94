package otp_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/oath"
)

func TestResend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Support, c.ShowTry, c.Policy.Resend = "+44 20 7946 0000", true, otp.SameRoute
		})
		c := r.send(t, otp.Request{})
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
		if e := wantReason(t, err, otp.ReasonTooSoon, otp.ErrWait); e.RetryAfter != 40*time.Second {
			t.Errorf("too soon: %+v", e)
		}
		for i, minutes := range []string{"4 minutes", "3 minutes"} {
			time.Sleep(time.Minute)
			again, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
			if err != nil {
				t.Fatal(err)
			}
			m := r.a.messages()
			first, latest := m[0], m[len(m)-1]
			if latest.Code != first.Code || latest.ID == m[len(m)-2].ID || !strings.Contains(latest.Text, minutes) ||
				!latest.Expires.Equal(first.Expires) {
				t.Errorf("resend %d: %q with id %s", i, latest.Text, latest.ID)
			}
			if again.SendsLeft != 1-i {
				t.Errorf("%d sends left", again.SendsLeft)
			}
		}
		_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
		if e := wantReason(t, err, otp.ReasonSends, otp.ErrWait); e.Alternatives != channel.Email || e.Support == "" ||
			e.RetryAfter != 0 {
			t.Errorf("used up: %+v", e)
		}
		if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1",
			Code: r.a.messages()[2].Code}); err != nil {
			t.Error(err)
		}
	})
}

func TestResendNearTheEndIsExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{})
		time.Sleep(4 * time.Minute)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
			t.Errorf("with a minute left: %v", err)
		}
		time.Sleep(time.Second)
		s, err := r.Status(t.Context(), ref(c.ID))
		if err != nil || s.SendsLeft != 0 {
			t.Errorf("status offers %+v, %v", s, err)
		}
		_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
		wantReason(t, err, otp.ReasonExpired, otp.ErrInvalidCode)
		if r.total() != 2 {
			t.Errorf("%d messages", r.total())
		}
	})
}

func TestNewCodes(t *testing.T) {
	t.Parallel()
	for _, g := range []otp.Generator{otp.Random{Length: 8}, oath.HOTP{Digits: 8}, oath.TOTP{Digits: 8}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				c.Policy.NewCode, c.Policy.Resend, c.Generator = true, otp.SameRoute, g
			})
			c := r.send(t, otp.Request{})
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
				t.Fatal(err)
			}
			m := r.a.messages()
			if m[0].Code == m[1].Code {
				t.Errorf("%T: the resend carries the same code", g)
			}
			if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: m[0].Code}); err != nil {
				t.Errorf("%T: the older code: %v", g, err)
			}
		})
	}
}

// A user's choice of route holds, at first and for a resend.
func TestRouteByName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.send(t, otp.Request{Route: "M"})
		if r.a.count() != 0 || r.mail.count() != 1 {
			t.Errorf("%d SMS, %d mails", r.a.count(), r.mail.count())
		}
		c := r.send(t, otp.Request{})
		time.Sleep(time.Minute)
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Route: "M"}); err != nil ||
			got.Route != "M" {
			t.Errorf("resent by %+v, %v", got, err)
		}
		time.Sleep(time.Minute)
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil ||
			got.Route != "M" {
			t.Errorf("once more, by %+v, %v", got, err)
		}
		if r.mail.messages()[1].Code != r.a.messages()[0].Code {
			t.Error("the mail has another code")
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both, Route: "X"})
		if e := wantReason(t, err, otp.ReasonInvalid, otp.ErrInvalidRequest); e.Field != "Route" {
			t.Errorf("unknown route: %+v", e)
		}
	})
}

// The end of a wait for a receipt that has come means nothing, even while a
// resend begins.
func TestResendWhileAWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f *faulty
		r := newRig(t, func(c *otp.Config) {
			c.Policy.Waits = []time.Duration{time.Second}
			f = &faulty{backend: c.Store.(backend)}
			c.Store = f
		})
		r.cfg.Channel = r.failover(t, await)
		r.Service = r.another(t)
		work(t, r.Service)
		c := r.send(t, otp.Request{})
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
		time.Sleep(await - time.Second)
		var slow sync.Once
		f.hooks(nil, func(what string) { // the store takes its time to answer
			if what == "Update" {
				slow.Do(func() { time.Sleep(3 * time.Second) })
			}
		})
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Route: "B"}); err != nil {
			t.Fatal(err)
		}
		if r.a.count() != 1 || r.b.count() != 1 {
			t.Errorf("A %d, B %d messages", r.a.count(), r.b.count())
		}
	})
}

// A resend by a route that cannot be costs nothing.
func TestResendByAWrongRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{To: channel.Recipient{Phone: both.Phone}})
		time.Sleep(time.Minute)
		for route, field := range map[string]string{"typo": "Route", "M": "To"} {
			_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Route: route})
			if e := wantReason(t, err, otp.ReasonInvalid, otp.ErrInvalidRequest); e.Field != field {
				t.Errorf("%s: %+v", route, e)
			}
		}
		if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.SendsLeft != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil ||
			got.Route != "B" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A Resend while a message is being sent follows it, and begins with the first
// route again: the first send's outcome does not count for it. Without Takeover
// it is refused until the lease is over, and costs nothing, since nobody would
// go on if that sender died.
func TestResendFollows(t *testing.T) {
	t.Parallel()
	for _, m := range modes[:3] {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) {
				m.apply(c)
				c.Policy.Resend = otp.SameRoute
				c.Policy.Waits, c.Policy.PerRecipient = []time.Duration{time.Second}, []otp.Rate{{Most: 4,
					Per: time.Hour}}
			})
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			work(t, r.Service)
			r.a.fail(refusal(channel.Temporary, "0x08"))
			var slow sync.Once
			r.b.hook = func(*channel.Message, string) { slow.Do(func() { time.Sleep(5 * time.Second) }) }
			go func() { _, _ = r.Send(t.Context(), otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}) }()
			time.Sleep(2 * time.Second)
			c := r.send(t, otp.Request{IdempotencyKey: "k"})
			again, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
			if !m.async && m.takeover == 0 {
				if e := wantReason(t, err, otp.ReasonTooSoon, otp.ErrWait); e.RetryAfter != 18*time.Second {
					t.Errorf("retry after %v", e.RetryAfter)
				}
				time.Sleep(4 * time.Second)
				again, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
			}
			if err != nil || again.SendsLeft != 0 {
				t.Fatalf("%+v: %+v, %v", m, again, err)
			}
			time.Sleep(5 * time.Second) // B has answered meanwhile
			if got := r.sent(); got != [3]int{2, 1, 0} {
				t.Fatalf("%+v: messages %v", m, got)
			}
			handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-2", State: channel.Failed})
			time.Sleep(time.Second)
			if got := r.sent(); got != [3]int{2, 2, 0} {
				t.Errorf("%+v: after the resend's failure: messages %v", m, got)
			}
			r.allows(t, 1, "B, A and B were sent")
		})
	}
}

// A resend goes by a route that was not tried before, unless the Policy says
// otherwise or the first message was reported delivered. A route that is named holds.
func TestResendByTheNextRoute(t *testing.T) {
	t.Parallel()
	delivered := func(t *testing.T, r *rig) {
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
	}
	failed := func(t *testing.T, r *rig) {
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
	}
	for name, c := range map[string]struct {
		policy  otp.Policy
		to      channel.Recipient
		first   string // Request.Route
		refused []error
		receipt func(*testing.T, *rig)
		want    string
	}{
		"silent":             {want: "A B M"},
		"failed":             {receipt: failed, want: "A B M"},
		"delivered":          {receipt: delivered, want: "A A B"},
		"same route":         {policy: otp.Policy{Resend: otp.SameRoute}, want: "A A A"},
		"refused, the next":  {refused: []error{refusal(channel.Temporary, "8")}, want: "B M A"},
		"no other kind":      {to: channel.Recipient{Phone: both.Phone}, want: "A B A"},
		"forced":             {first: "B", want: "B B B"},
		"of another purpose": {policy: otp.Policy{Life: 6 * time.Minute}, want: "A B M"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(cfg *otp.Config) { cfg.Purposes = map[string]otp.Policy{"login": c.policy} })
				r.a.errs = c.refused
				got := r.send(t, otp.Request{Purpose: "login", To: c.to, Route: c.first})
				routes := []string{got.Route}
				if c.receipt != nil {
					c.receipt(t, r)
				}
				for range 2 {
					time.Sleep(time.Minute)
					got, err := r.Resend(t.Context(), otp.ResendRequest{ID: got.ID, Subject: "u1"})
					if err != nil {
						t.Fatal(err)
					}
					routes = append(routes, got.Route)
				}
				if got := strings.Join(routes, " "); got != c.want {
					t.Errorf("by %s, want %s", got, c.want)
				}
			})
		})
	}
}

// A resend counts against the limits of the address that its route uses.
func TestResendByTheNextRouteIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 2, Per: time.Hour}} })
		c := r.send(t, otp.Request{})
		for _, want := range []string{"B", "M"} {
			time.Sleep(time.Minute)
			got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
			if err != nil || got.Route != want {
				t.Fatalf("by %+v, %v, want %s", got, err, want)
			}
		}
	})
}

// A tenant's own policy holds for its resends.
func TestResendOfATenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Tenants = []otp.Tenant{{Name: "x", Policy: otp.Policy{Resend: otp.SameRoute}}}
		})
		for tenant, want := range map[string]string{"": "B", "x": "A"} {
			c := r.send(t, otp.Request{Tenant: tenant})
			time.Sleep(time.Minute)
			got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Tenant: tenant})
			if err != nil || got.Route != want {
				t.Errorf("tenant %q: by %+v, %v, want %s", tenant, got, err, want)
			}
		}
		if err := r.SetTenant(otp.Tenant{Name: "y", Policy: otp.Policy{Resend: 3}}); err == nil {
			t.Error("a Policy.Resend of 3 is valid")
		}
	})
}
