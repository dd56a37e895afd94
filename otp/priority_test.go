package otp_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// TestPriority: what waits in the queue goes by its priority, and so does what
// follows a message.
func TestPriority(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Async, c.Workers = true, 1 })
		for _, q := range []otp.Request{
			{Subject: "sign-up", Purpose: "newsletter", Priority: store.Low},
			{Subject: "login", Purpose: "login"},
			{Subject: "payment", Purpose: "payment", Priority: store.High},
		} {
			r.send(t, q)
		}
		work(t, r.Service)
		synctest.Wait()
		var order []string
		for _, m := range r.a.messages() {
			order = append(order, m.Purpose)
		}
		if want := []string{"payment", "login", "newsletter"}; !slices.Equal(order, want) {
			t.Errorf("sent %v, want %v", order, want)
		}
	})
}

func TestPriorityOfWhatFollows(t *testing.T) {
	t.Parallel()
	for what, follows := range map[string]func(t *testing.T, r *rig, low, high string) *provider{
		"failed": func(t *testing.T, r *rig, _, _ string) *provider {
			for _, id := range []string{"a-1", "a-2"} {
				rc := channel.Receipt{ProviderID: id, State: channel.Failed, At: time.Now()}
				if err := r.receipts.For("A")(t.Context(), rc); err != nil {
					t.Fatal(err)
				}
			}
			return r.b
		},
		"silence": func(_ *testing.T, r *rig, _, _ string) *provider {
			<-time.After(await)
			return r.b
		},
		"resend": func(t *testing.T, r *rig, low, high string) *provider {
			r.cfg.Async = true
			async := r.another(t)
			<-time.After(time.Minute)
			for id, subject := range map[string]string{low: "sign-up", high: "payment"} {
				q := otp.ResendRequest{ID: id, Subject: subject, Route: "M"}
				if _, err := async.Resend(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			return r.mail
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Workers = 1 })
			if what != "resend" { // else the silence carries it too
				r.cfg.Channel = r.failover(t, await)
			}
			r.Service = r.another(t)
			low := r.send(t, otp.Request{Subject: "sign-up", Purpose: "newsletter", Priority: store.Low})
			high := r.send(t, otp.Request{Subject: "payment", Purpose: "payment", Priority: store.High})
			p := follows(t, r, low.ID, high.ID)
			work(t, r.Service)
			synctest.Wait()
			var order []string
			for _, m := range p.messages() {
				order = append(order, m.Purpose)
			}
			if want := []string{"payment", "newsletter"}; !slices.Equal(order, want) {
				t.Errorf("%s: sent %v, want %v", what, order, want)
			}
		})
	}
}

func TestPriorityOutOfRange(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both, Priority: store.High + 1})
	var e *otp.Error
	if !errors.As(err, &e) || e.Field != "Priority" || r.a.count() > 0 {
		t.Errorf("error %v, %d sent", err, r.a.count())
	}
}
