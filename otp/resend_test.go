package otp_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

func TestResend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Support = "+44 20 7946 0000"; c.ShowTry = true })
		c := r.send(t, otp.Request{})
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		if e := wantReason(t, err, otp.ReasonTooSoon, otp.ErrWait); e.RetryAfter != 40*time.Second {
			t.Errorf("too soon: %+v", e)
		}
		for i, minutes := range []string{"4 minutes", "3 minutes"} {
			time.Sleep(time.Minute)
			again, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
			if err != nil {
				t.Fatal(err)
			}
			m := r.a.messages()
			first, latest := m[0], m[len(m)-1]
			if latest.Code != first.Code || latest.ID == m[len(m)-2].ID || !strings.Contains(latest.Text, minutes) || !latest.Expires.Equal(first.Expires) {
				t.Errorf("resend %d: %q with id %s", i, latest.Text, latest.ID)
			}
			if again.SendsLeft != 1-i {
				t.Errorf("%d sends left", again.SendsLeft)
			}
		}
		_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		if e := wantReason(t, err, otp.ReasonSends, otp.ErrWait); e.Left != channel.Email || e.Support == "" || e.RetryAfter != 0 {
			t.Errorf("used up: %+v", e)
		}
		if err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[2].Code}); err != nil {
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
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil {
			t.Errorf("with a minute left: %v", err)
		}
		time.Sleep(time.Second)
		s, err := r.Status(t.Context(), c.ID)
		if err != nil || s.SendsLeft != 0 {
			t.Errorf("status offers %+v, %v", s, err)
		}
		_, err = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		wantReason(t, err, otp.ReasonExpired, otp.ErrInvalidCode)
		if r.a.count() != 2 {
			t.Errorf("%d messages", r.a.count())
		}
	})
}

func TestNewCodes(t *testing.T) {
	t.Parallel()
	for _, g := range []otp.Generator{otp.Random{Length: 8}, otp.HOTP{Digits: 8}, otp.TOTP{Digits: 8}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Policy.NewCode = true; c.Generator = g })
			c := r.send(t, otp.Request{})
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil {
				t.Fatal(err)
			}
			m := r.a.messages()
			if m[0].Code == m[1].Code {
				t.Errorf("%T: the resend carries the same code", g)
			}
			if err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: m[0].Code}); err != nil {
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
		c := r.send(t, otp.Request{Subject: "u2"})
		time.Sleep(time.Minute)
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Route: "M"}); err != nil || got.Route != "M" {
			t.Errorf("resent by %+v, %v", got, err)
		}
		time.Sleep(time.Minute)
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil || got.Route != "M" {
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

// lingering takes its time to answer that a send is claimed.
type lingering struct{ backend }

func (l lingering) Resend(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	r, err := l.backend.Resend(ctx, id, now)
	time.Sleep(10 * time.Second)
	return r, err
}

// The end of a wait for a receipt that has come means nothing, even while a
// resend begins.
func TestResendWhileAWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Policy.Waits = []time.Duration{time.Second}
			c.Store = lingering{c.Store.(backend)}
		})
		r.cfg.Channel = r.failover(t, await)
		r.Service = r.another(t)
		work(t, r.Service)
		c := r.send(t, otp.Request{})
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
		time.Sleep(await - time.Second)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Route: "B"}); err != nil {
			t.Fatal(err)
		}
		if r.a.count() != 1 || r.b.count() != 1 {
			t.Errorf("A %d, B %d messages", r.a.count(), r.b.count())
		}
	})
}
