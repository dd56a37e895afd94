package otp_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// ends are the ways in which a challenge ends.
var ends = map[string]func(t *testing.T, r *rig, c *otp.Challenge){
	"verified":  func(t *testing.T, r *rig, c *otp.Challenge) { r.verify(t, c.ID) },
	"cancelled": func(t *testing.T, r *rig, c *otp.Challenge) { r.cancel(t, c.ID) },
	"all cancelled": func(t *testing.T, r *rig, c *otp.Challenge) {
		if err := r.CancelAll(t.Context(), otp.Scope{Subject: "u1"}); err != nil {
			t.Error(err)
		}
	},
	"expired": func(_ *testing.T, _ *rig, c *otp.Challenge) { time.Sleep(time.Until(c.Expires)) },
}

// Nothing starts after the end, not even if the challenge ends between the call
// that reads it and the call that claims a message, or before either.
func TestNothingStartsAfterTheEnd(t *testing.T) {
	t.Parallel()
	type start struct {
		mode
		before int // messages
		do     func(t *testing.T, r *rig, c *otp.Challenge)
	}
	resend := func(t *testing.T, r *rig, c *otp.Challenge) {
		time.Sleep(40 * time.Second)
		_, _ = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", Route: "M"})
	}
	silence := func(*testing.T, *rig, *otp.Challenge) { time.Sleep(time.Minute) }
	failure := func(t *testing.T, r *rig, _ *otp.Challenge) {
		_ = r.HandleReceipt(t.Context(), channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
	}
	for name, s := range map[string]start{
		"resend":           {modes[0], 1, resend},
		"resend, takeover": {modes[1], 1, resend},
		"resend, async":    {modes[2], 1, resend},
		"silence":          {modes[0], 1, silence},
		"silence, async":   {modes[2], 1, silence},
		"failure":          {modes[0], 1, failure},
		"failure, async":   {modes[3], 1, failure},
	} {
		for end, ends := range ends {
			for _, at := range []string{"before Get", "after Get", "before Update", "after Update"} {
				t.Run(fmt.Sprintf("%s,%s,%s", name, end, at), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						r := newRig(t, s.apply)
						f := &faulty{backend: r.store}
						r.cfg.Channel = r.failover(t, time.Minute)
						other := r.another(t) // ends the challenge
						r.cfg.Store = f
						r.Service = r.another(t)
						work(t, r.Service)
						c := r.send(t, otp.Request{})
						synctest.Wait()
						time.Sleep(time.Second)
						racing := &rig{Service: other, a: r.a}
						var ended atomic.Bool
						hook := func(when string) func(string) {
							return func(what string) {
								if at == when+what {
									if ended.CompareAndSwap(false, true) {
										ends(t, racing, c)
									}
								}
							}
						}
						f.hooks(hook("before "), hook("after "))
						s.do(t, r, c)
						time.Sleep(6 * time.Minute)
						synctest.Wait()
						if !ended.Load() {
							t.Fatal("nothing was read or claimed")
						}
						// If the claim was recorded before the end, its message may go out.
						most := s.before
						if at == "after Update" {
							most++
						}
						if end == "expired" { // until then the next routes follow
							most = 4
						}
						if n := r.total(); n > most {
							t.Errorf("messages %v", r.sent())
						}
						for _, p := range []*provider{r.a, r.b, r.mail} {
							for _, at := range p.at {
								if !at.Before(c.Expires) {
									t.Errorf("a message at the code's end, by %s", p.name)
								}
							}
						}
					})
				})
			}
		}
	}
}

// A message that was queued and not begun is dropped when the challenge ends.
func TestEndedBeforeItsTurn(t *testing.T) {
	t.Parallel()
	for end, ends := range ends {
		if end == "verified" { // nobody has the code
			continue
		}
		for _, m := range modes[2:4] {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, m.apply)
				c := r.send(t, otp.Request{})
				time.Sleep(time.Second)
				ends(t, r, c)
				work(t, r.Service)
				time.Sleep(4 * time.Minute)
				if n := r.total(); n != 0 {
					t.Errorf("%+v, %s: %d messages", m, end, n)
				}
			})
		}
	}
}

// A code that is verified while the next route has the message, and has not
// answered, does not go on to the one after that, whatever the answer.
func TestEndedInFlight(t *testing.T) {
	t.Parallel()
	for end, ends := range ends {
		if end == "expired" { // no sender has it for so long
			continue
		}
		for answer, err := range map[string]error{"taken": nil, "refused": refusal(channel.Temporary, ""),
			"unknown": refusal(channel.Unknown, "")} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.cfg.Channel = r.failover(t, await)
				r.Service = r.another(t)
				var c atomic.Pointer[otp.Challenge]
				r.b.before = func() {
					ends(t, r, c.Load())
					time.Sleep(time.Second)
				}
				if err != nil {
					r.b.fail(err)
				}
				work(t, r.Service)
				c.Store(r.send(t, otp.Request{}))
				time.Sleep(await + time.Second)
				time.Sleep(6 * time.Minute)
				if r.b.count() != 1 || r.mail.count() > 0 {
					t.Errorf("%s, %s: messages %v", end, answer, r.sent())
				}
			})
		}
	}
}

// A code that has ended passes no more, whichever way it ended.
func TestEndedCodePassesNoMore(t *testing.T) {
	t.Parallel()
	for end, ends := range ends {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.send(t, otp.Request{Purpose: "login"})
			time.Sleep(time.Second)
			if end == "verified" {
				return // TestSendAndVerify
			}
			ends(t, r, c)
			v := otp.Verification{ID: c.ID, Subject: "u1", Purpose: "login", Code: r.a.messages()[0].Code}
			if err := verify(t.Context(), r, v); err == nil {
				t.Errorf("%s: the code passes", end)
			}
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err == nil {
				t.Errorf("%s: it is resent", end)
			}
			c = r.send(t, otp.Request{Purpose: "login"}) // the next is another
			v.ID, v.Code = c.ID, r.a.messages()[1].Code
			if err := verify(t.Context(), r, v); err != nil {
				t.Errorf("%s: the next code: %v", end, err)
			}
		})
	}
}

// CancelAll ends what was asked for until now, of one purpose or of all, and
// nothing of another subject.
func TestCancelAll(t *testing.T) {
	t.Parallel()
	for _, purpose := range []string{"", "login"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{} })
			vs := map[string]otp.Verification{}
			send := func(name, subject, purpose string) {
				c := r.send(t, otp.Request{Subject: subject, Purpose: purpose})
				all := r.a.messages()
				vs[name] = otp.Verification{ID: c.ID, Subject: subject, Purpose: purpose, Code: all[len(all)-1].Code}
			}
			send("login", "u1", "login")
			send("pay", "u1", "pay")
			send("verified", "u1", "login")
			send("another's", "u2", "login")
			if err := verify(t.Context(), r, vs["verified"]); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if err := r.CancelAll(t.Context(), otp.Scope{Subject: "u1", Purpose: purpose}); err != nil {
				t.Fatal(err)
			}
			if e := r.last(); e.Kind != otp.EventCancelled || e.Purpose != purpose {
				t.Errorf("event %+v", e)
			}
			send("later", "u1", "login")
			for name, want := range map[string]otp.Reason{"login": otp.ReasonClosed,
				"pay":      map[bool]otp.Reason{true: otp.ReasonClosed}[purpose == ""],
				"verified": otp.ReasonClosed, "another's": "", "later": ""} {
				if err := verify(t.Context(), r, vs[name]); otp.ReasonOf(err) != want {
					t.Errorf("CancelAll of %q: %s: %v, want %q", purpose, name, err, want)
				}
			}
			if s, err := r.Status(t.Context(), ref(vs["verified"].ID)); err != nil || s.Next != otp.NextDone {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	r := newRig(t, nil)
	if err := r.CancelAll(t.Context(), otp.Scope{}); otp.ReasonOf(err) != otp.ReasonInvalid {
		t.Error(err)
	}
	if err := r.CancelAll(t.Context(), otp.Scope{Subject: "u1",
		Tenant: "nobody"}); otp.ReasonOf(err) != otp.ReasonInvalid {
		t.Error(err)
	}
}
