package otp_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// What a person is offered follows what became of the message, and Resend
// keeps to it.
func TestNext(t *testing.T) {
	t.Parallel()
	wrong := func(t *testing.T, r *rig, id string) {
		code := []byte(r.a.messages()[0].Code)
		code[0] = '0' + (code[0]-'0'+1)%10
		_ = verify(t.Context(), r, otp.Verification{ID: id, Subject: "u1", Code: string(code)})
	}
	receipt := func(id string, s channel.State, class channel.Class) func(*testing.T, *rig, string) {
		return func(t *testing.T, r *rig, _ string) {
			handle(t, r.Service, channel.Receipt{Route: map[byte]string{'a': "A", 'm': "M"}[id[0]], ProviderID: id,
				State: s, Class: class})
		}
	}
	resendBy := func(route string, after time.Duration) func(*testing.T, *rig, string) {
		return func(t *testing.T, r *rig, id string) {
			time.Sleep(after)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1", Route: route}); err != nil {
				t.Error(err)
			}
		}
	}
	resend := func(after time.Duration) func(*testing.T, *rig, string) { return resendBy("", after) }
	phone := channel.Recipient{Phone: both.Phone}
	for _, c := range []struct {
		name    string
		refused []error // by route A
		to      channel.Recipient
		route   string
		policy  otp.Policy
		do      []func(*testing.T, *rig, string)
		next    otp.Next
		in      time.Duration // until ResendAt; negative: no resend is left
		sends   int
		left    channel.Address
	}{
		{name: "sent", to: both, next: otp.NextWait, in: 40 * time.Second, sends: 2, left: channel.Email},
		{name: "delivered", to: both, do: do(receipt("a-1", channel.Delivered, 0)), next: otp.NextWait,
			in: 30 * time.Second, sends: 2, left: channel.Email},
		{name: "failed", to: phone, do: do(receipt("a-1", channel.Failed, channel.Unreachable)), next: otp.NextWait,
			in: 30 * time.Second, sends: 2},
		{name: "wrong number", to: phone, do: do(receipt("a-1", channel.Failed, channel.InvalidRecipient)),
			next: otp.NextAddress, in: -1},
		{name: "wrong number, with an e-mail address", to: both, do: do(receipt("a-1", channel.Failed,
			channel.InvalidRecipient)), next: otp.NextWait, in: 30 * time.Second, sends: 2, left: channel.Email},
		{name: "wrong number, and only it was asked for", to: both, route: "A", do: do(receipt("a-1", channel.Failed,
			channel.InvalidRecipient)), next: otp.NextAddress, in: -1, left: channel.Email},
		{name: "wrong number, and only it was asked for again", to: both, do: do(resendBy("A", 40*time.Second),
			receipt("a-2", channel.Failed, channel.InvalidRecipient)),
			next: otp.NextAddress, in: -1, left: channel.Email},
		{name: "wrong number, but then another route was asked for", to: both, route: "A", do: do(resendBy("M",
			40*time.Second), receipt("a-1", channel.Failed, channel.InvalidRecipient)),
			next: otp.NextWait, in: 40 * time.Second, sends: 1},
		{name: "wrong number, then it was delivered", to: phone, do: do(receipt("a-1", channel.Failed,
			channel.InvalidRecipient), receipt("a-1", channel.Delivered, 0)),
			next: otp.NextWait, in: 30 * time.Second, sends: 2},
		{name: "time to resend", to: both, do: do(sleep(40 * time.Second)), next: otp.NextResend, in: 0, sends: 2,
			left: channel.Email},
		{name: "delivered, time to resend", to: both, do: do(receipt("a-1", channel.Delivered, 0),
			sleep(30*time.Second)), next: otp.NextResend, sends: 2, left: channel.Email},
		{name: "no sends left, another kind is", to: both, policy: otp.Policy{Resend: otp.SameRoute},
			do: do(resend(40*time.Second), resend(40*time.Second)), next: otp.NextAddress, in: -1, left: channel.Email},
		{name: "no sends left", to: phone, do: do(resend(40*time.Second), resend(40*time.Second)), next: otp.NextCode,
			in: -1},
		{name: "no sends left, and the last failed", to: phone, do: do(resend(40*time.Second), resend(40*time.Second),
			receipt("a-2", channel.Failed, 0)), next: otp.NextAddress, in: -1},
		{name: "two more once delivered", to: phone, policy: otp.Policy{Waits: four}, do: do(receipt("a-1",
			channel.Delivered, 0)), next: otp.NextWait, in: 10 * time.Second, sends: 2},
		{name: "two more, and they are used", to: phone, policy: otp.Policy{Waits: four}, do: do(resend(10*time.Second),
			receipt("a-1", channel.Delivered, 0), resend(10*time.Second), resend(10*time.Second)),
			next: otp.NextCode, in: -1},
		{name: "two more, counted from the first delivery", to: phone, policy: otp.Policy{Waits: four},
			do: do(receipt("a-1", channel.Delivered, 0), resend(10*time.Second),
				receipt("a-2", channel.Delivered, 0)), next: otp.NextWait, in: 10 * time.Second, sends: 1},
		{name: "too short a life for another resend", to: phone, policy: otp.Policy{Life: 110 * time.Second},
			do: do(resend(40 * time.Second)), next: otp.NextCode, in: -1},
		{name: "no other kind is right", to: both, refused: []error{refusal(channel.InvalidRecipient, "0x0B")},
			next: otp.NextWait, in: 40 * time.Second, sends: 2},
		{name: "a wait of one's own for what is sent", to: phone, policy: otp.Policy{SentWait: time.Minute},
			next: otp.NextWait, in: time.Minute, sends: 2},
		{name: "waits of one's own hold for what is sent too", to: phone, policy: otp.Policy{Waits: four},
			next: otp.NextWait, in: 10 * time.Second, sends: 4},
		{name: "a minute left", to: phone, do: do(sleep(4*time.Minute + time.Second)), next: otp.NextCode, in: -1},
		{name: "a minute left, and failed", to: phone, do: do(receipt("a-1", channel.Failed, 0),
			sleep(4*time.Minute+time.Second)), next: otp.NextRestart, in: -1},
		{name: "attempts used up", to: phone, do: do(wrong, wrong, wrong, wrong, wrong, sleep(time.Minute)),
			next: otp.NextRestart, in: -1},
		{name: "locked", to: phone, policy: otp.Policy{MaxFailures: 2}, do: do(wrong, wrong), next: otp.NextRestart,
			in: -1},
		{name: "cancelled", to: phone, do: do(func(t *testing.T, r *rig, id string) { r.cancel(t, id) }),
			next: otp.NextRestart, in: -1},
		{name: "verified", to: phone, do: do(func(t *testing.T, r *rig, id string) { r.verify(t, id) }),
			next: otp.NextDone, in: -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(cfg *otp.Config) { cfg.Policy = c.policy })
				r.a.errs = c.refused
				ch := r.send(t, otp.Request{To: c.to, Route: c.route})
				for _, do := range c.do {
					do(t, r, ch.ID)
				}
				s, err := r.Status(t.Context(), ref(ch.ID))
				if err != nil {
					t.Fatal(err)
				}
				if s.Next != c.next || s.SendsLeft != c.sends || s.Alternatives != c.left ||
					s.ResendAt.IsZero() != (c.in < 0) {
					t.Fatalf("next %q at %v, sends left %d, kinds left %v; want %q, %d, %v", s.Next, s.ResendAt,
						s.SendsLeft, s.Alternatives, c.next, c.sends, c.left)
				}
				if wait := time.Until(s.ResendAt); c.in > 0 && wait != c.in {
					t.Errorf("resend in %v, want %v", wait, c.in)
				}
				r.keepsTo(t, s)
			})
		})
	}
}

func do(steps ...func(*testing.T, *rig, string)) []func(*testing.T, *rig, string) { return steps }

func sleep(d time.Duration) func(*testing.T, *rig, string) {
	return func(*testing.T, *rig, string) { time.Sleep(d) }
}

var four = []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second}

// keepsTo resends where s offers it, and is refused where it does not.
func (r *rig) keepsTo(t *testing.T, s *otp.Challenge) {
	t.Helper()
	resend := func() error {
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: s.ID, Subject: "u1"})
		return err
	}
	sent := r.total()
	if wait := time.Until(s.ResendAt); s.Next == otp.NextWait {
		if e := wantReason(t, resend(), otp.ReasonTooSoon, otp.ErrWait); e.RetryAfter != wait {
			t.Errorf("retry after %v, offered in %v", e.RetryAfter, wait)
		}
		time.Sleep(wait - time.Millisecond)
		wantReason(t, resend(), otp.ReasonTooSoon, otp.ErrWait)
		time.Sleep(time.Millisecond)
	}
	err := resend()
	offered := !s.ResendAt.IsZero()
	if e := (*otp.Error)(nil); errors.As(err, &e) && e.Reason == otp.ReasonTooSoon && e.RetryAfter != 0 {
		t.Errorf("next %q: retry after %v, when none is left", s.Next, e.RetryAfter)
	}
	if (err == nil) != offered || (r.total() > sent) != offered {
		t.Errorf("next %q: a resend gives %v after %d messages", s.Next, err, r.total()-sent)
	}
}

// Where every address is wrong a Resend says so, and costs neither a send nor
// a limit.
func TestResendToAWrongAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{2, time.Hour}} })
		c := r.send(t, otp.Request{})
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed,
			Class: channel.InvalidRecipient})
		time.Sleep(time.Minute)
		for range 3 {
			_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Route: "B"})
			wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
			if channel.ClassOf(err) != channel.InvalidRecipient {
				t.Error(err)
			}
			if e := r.last(); e.Kind != otp.EventRefused || e.Reason != otp.ReasonUndelivered {
				t.Errorf("%+v", e)
			}
		}
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil ||
			got.Route != "M" || got.SendsLeft != 1 || got.Alternatives != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// What no provider has yet is waited for as long as what was sent.
func TestNextOfAQueuedMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Async = true })
	if c := r.send(t, otp.Request{}); c.Next != otp.NextWait ||
		c.ResendAt.Sub(c.Created).Round(time.Second) != 40*time.Second {
		t.Errorf("%+v", c)
	}
}

// What is queued anew is queued, whatever became of the message before it.
func TestQueuedAnew(t *testing.T) {
	t.Parallel()
	for _, before := range []channel.State{channel.Failed, channel.Delivered} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Async = true })
			work(t, r.Service)
			r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
			q := otp.Request{To: channel.Recipient{Phone: both.Phone}, Route: "A", IdempotencyKey: "k"}
			id := r.send(t, q).ID
			synctest.Wait()
			if s, err := r.Status(t.Context(), ref(id)); err != nil || s.State != channel.Failed {
				t.Fatalf("%+v, %v", s, err)
			}
			queued := func(c *otp.Challenge, err error) {
				t.Helper()
				if err != nil || c.State != channel.Queued || c.Route != "" || c.Next != otp.NextWait {
					t.Errorf("after %v: %+v, %v", before, c, err)
				}
			}
			queued(r.send(t, q), nil)
			synctest.Wait()
			handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-2", State: before})
			<-time.After(time.Minute)
			queued(r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"}))
		})
	}
}

// Only kinds that a route serves are offered.
func TestLeftIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Policy.Waits = []time.Duration{} })
		to := both
		to.Push = "token-1234567890"
		c := r.send(t, otp.Request{To: to})
		_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"})
		if e := wantReason(t, err, otp.ReasonSends, otp.ErrWait); e.Alternatives != channel.Email ||
			c.Alternatives != channel.Email {
			t.Errorf("left %v, %v", e.Alternatives, c.Alternatives)
		}
	})
}
