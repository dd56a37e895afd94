package otp_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
)

// observed is a channel that writes down what it is told.
type observed struct {
	channel.Channel
	began time.Time
	then  func()

	mu   sync.Mutex
	told []string
}

func (o *observed) Unwrap() channel.Channel { return o.Channel }

func (o *observed) Observe(f channel.Feedback) {
	o.mu.Lock()
	o.told = append(o.told, fmt.Sprintf("%v %s %v", f.Kind, f.Route, f.Sent.Sub(o.began)))
	o.mu.Unlock()
	if o.then != nil {
		o.then()
	}
}

func (o *observed) tells(t *testing.T, want ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if got := strings.Join(o.told, ", "); got != strings.Join(want, ", ") {
		t.Errorf("told %q, want %q", got, strings.Join(want, ", "))
	}
	o.told = nil
}

func observing(t *testing.T, change func(*otp.Config), then func()) (*rig, *observed) {
	t.Helper()
	r := newRig(t, change)
	o := &observed{Channel: r.cfg.Channel, began: time.Now(), then: then}
	r.cfg.Channel = o
	r.Service = r.another(t)
	return r, o
}

// The channel is told of verifications, resends and receipts: by which route, and when
// that took the message.
func TestFeedback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, o := observing(t, nil, nil)
		c := r.send(t, otp.Request{})
		time.Sleep(time.Minute)
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
		o.tells(t, "delivered A 0s")
		for range 2 {
			_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", IdempotencyKey: "k", Route: "B"})
			if err != nil {
				t.Fatal(err)
			}
		}
		o.tells(t, "resent A 0s")
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed}) // of an older one
		_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: another6(r.a.messages()[0].Code)})
		o.tells(t)
		for range 2 {
			_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code,
				IdempotencyKey: "k"})
		}
		o.tells(t, "verified B 1m0s")
	})
}

// A failed receipt tells of the route, awaited or not, unless the address is wrong.
func TestFeedbackOfFailures(t *testing.T) {
	t.Parallel()
	for class, want := range map[channel.Class]string{channel.Unreachable: "failed A 0s",
		channel.InvalidRecipient: ""} {
		for _, await := range []time.Duration{0, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				r, o := observing(t, nil, nil)
				o.Channel = r.failover(t, await)
				r.send(t, otp.Request{})
				handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed,
					Class: class})
				if want == "" {
					o.tells(t)
				} else {
					o.tells(t, want)
				}
			})
		}
	}
}

// Nothing is told of app reviewers and decoys, which are sent nothing.
func TestFeedbackOfNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, o := observing(t, func(c *otp.Config) {
			c.FixedCodes = []otp.FixedCode{{Address: both.Phone, Code: "123456"}}
			c.DangerouslyAcceptFixedCodes = true
		}, nil)
		c := r.send(t, otp.Request{To: channel.Recipient{Phone: both.Phone}})
		if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: "123456"}); err != nil {
			t.Error(err)
		}
		d := r.send(t, otp.Request{Subject: "u2", To: channel.Recipient{Email: both.Email}, Decoy: true})
		time.Sleep(time.Minute)
		_, _ = r.Resend(t.Context(), otp.ResendRequest{ID: d.ID, Subject: "u2"})
		o.tells(t)
	})
}

// An Observer that panics fails no call.
func TestFeedbackPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, o := observing(t, nil, func() { panic("secret") })
		c := r.send(t, otp.Request{})
		time.Sleep(time.Minute)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
			t.Error(err)
		}
		r.verify(t, c.ID)
		o.tells(t, "resent A 0s", "verified B 1m0s")
	})
}

// A Service teaches the Learner of its failover, and its events tell the position of the
// route and whether it was tried to learn of it.
func TestServiceLearns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &channeltest.Fake{Name: "a"}, &channeltest.Fake{Name: "b"}
		l, err := failover.Learn(failover.Learning{Region: phone.Region, Explore: 0.1, Router: failover.List(
			channel.Route{Name: "a", Channel: a, Address: channel.Phone},
			channel.Route{Name: "b", Channel: b, Address: channel.Phone})})
		if err != nil {
			t.Fatal(err)
		}
		f, err := failover.New(failover.Config{Router: l})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(c *otp.Config) { c.Channel, c.Receipts = f, nil })
		positions, explored := map[int]int{}, 0
		for i := 0; i < 120 || explored == 0 && i < 1000; i++ { // the Learner explores by chance
			subject := fmt.Sprint("u", i)
			to := channel.Recipient{Phone: fmt.Sprintf("+4479123%05d", i)}
			c := r.send(t, otp.Request{Subject: subject, To: to})
			e := r.last()
			if e.Kind != otp.EventSent || (e.Route == "a") != (e.Position == 1) {
				t.Fatalf("%+v", e)
			}
			if e.Explored {
				explored++
			}
			time.Sleep(20 * time.Second)
			if c.Route == "b" || i < 60 { // then a loses all messages
				m := append(a.Accepted(), b.Accepted()...)
				code := ""
				for _, m := range m {
					if m.To.Phone == to.Phone {
						code = m.Code
					}
				}
				if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: subject, Code: code}); err != nil {
					t.Fatal(err)
				}
			}
			if i >= 60 && i < 120 {
				positions[e.Position]++
			}
		}
		if positions[2] < 40 || explored == 0 {
			t.Errorf("positions %v, %d explored: %+v", positions, explored, l.Health().Routes)
		}
	})
}
