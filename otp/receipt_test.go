package otp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

const await = 20 * time.Second

// A receipt that fails, or stays away, sends the same code by the next route;
// a late one, a verification and a cancellation stop that. "other" is a second
// process: it shares only the store, and both look for work.
func TestReceiptsDriveFailover(t *testing.T) {
	t.Parallel()
	failed := channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed, Code: "UNDELIV"}
	for _, c := range []struct {
		name    string
		do      func(t *testing.T, r *rig, other *otp.Service, id string)
		a, b, m int           // messages in the end
		state   channel.State // of the latest message, in the end
	}{
		{"failed, told thrice", func(t *testing.T, r *rig, other *otp.Service, _ string) {
			for range 3 {
				handle(t, other, failed)
			}
		}, 1, 1, 1, channel.Sent},
		{"silence", func(*testing.T, *rig, *otp.Service, string) {}, 1, 1, 1, channel.Sent},
		{"silence and failure at once", func(t *testing.T, r *rig, other *otp.Service, _ string) {
			time.Sleep(await)
			for range 2 {
				go handle(t, other, failed)
				go handle(t, r.Service, failed)
			}
		}, 1, 1, 1, channel.Sent},
		{"delivered", func(t *testing.T, _ *rig, other *otp.Service, _ string) {
			rc := failed
			rc.State = channel.Delivered
			handle(t, other, rc)
		}, 1, 0, 0, channel.Delivered},
		{"delivered after the next route was used", func(t *testing.T, _ *rig, other *otp.Service, _ string) {
			time.Sleep(await + time.Second)
			rc := failed
			rc.State = channel.Delivered
			handle(t, other, rc)
		}, 1, 1, 0, channel.Sent},
		{"delivered, then failed", func(t *testing.T, _ *rig, other *otp.Service, _ string) {
			rc := failed
			rc.State = channel.Delivered
			handle(t, other, rc)
			handle(t, other, failed)
		}, 1, 0, 0, channel.Delivered},
		{"verified meanwhile", func(t *testing.T, r *rig, _ *otp.Service, id string) {
			if err := verify(t.Context(), r, otp.Verification{ID: id, Subject: "u1",
				Code: r.a.messages()[0].Code}); err != nil {
				t.Error(err)
			}
		}, 1, 0, 0, channel.Sent},
		{"cancelled meanwhile", func(t *testing.T, r *rig, _ *otp.Service, id string) {
			if err := r.Cancel(t.Context(), ref(id)); err != nil {
				t.Error(err)
			}
			handle(t, r.Service, failed)
		}, 1, 0, 0, channel.Failed},
		{"the number is wrong", func(t *testing.T, _ *rig, other *otp.Service, _ string) {
			rc := failed
			rc.Class = channel.InvalidRecipient
			handle(t, other, rc)
		}, 1, 0, 1, channel.Sent},
		{"resend against silence", func(t *testing.T, r *rig, other *otp.Service, id string) {
			time.Sleep(30 * time.Second) // B took over at 20 s
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"}); err != nil {
				t.Error(err)
			}
		}, 2, 2, 1, channel.Sent}, // the silence of B's first message, at 40 s, is void
	} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,async=%v", c.name, async), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(cfg *otp.Config) {
						cfg.Async, cfg.Policy.Waits = async, []time.Duration{await,
							await}
					})
					r.cfg.Channel = r.failover(t, await)
					r.Service = r.another(t)
					other := r.another(t)
					work(t, other)
					work(t, r.Service)
					ch := r.send(t, otp.Request{})
					synctest.Wait()
					c.do(t, r, other, ch.ID)
					time.Sleep(4 * time.Minute)
					synctest.Wait()
					if got := [3]int{r.a.count(), r.b.count(), r.mail.count()}; got != [3]int{c.a, c.b, c.m} {
						t.Errorf("messages by A, B, M: %v, want %d %d %d", got, c.a, c.b, c.m)
					}
					s := r.status(t, ch.ID)
					if arrived := strings.HasPrefix(c.name, "delivered"); s.State != c.state || s.Delivered != arrived {
						t.Errorf("state %v, delivered=%v, want %v and %v", s.State, s.Delivered, c.state, arrived)
					}
					for _, p := range []*provider{r.b, r.mail} {
						for _, m := range p.messages() {
							if m.Code != r.a.messages()[0].Code {
								t.Error("the next route carries another code")
							}
						}
					}
				})
			})
		}
	}
}

// A receipt may be faster than the record of its submission, and come to
// another process.
func TestEarlyReceipt(t *testing.T) {
	t.Parallel()
	for _, state := range []channel.State{channel.Failed, channel.Delivered} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			other := r.another(t)
			work(t, other)
			r.a.hook = func(_ *channel.Message, id string) {
				handle(t, other, channel.Receipt{Route: "A", ProviderID: id, State: state})
			}
			c := r.send(t, otp.Request{})
			time.Sleep(time.Second)
			want := map[channel.State][2]int{channel.Failed: {1, 1}, channel.Delivered: {1, 0}}[state]
			if got := [2]int{r.a.count(), r.b.count()}; got != want {
				t.Errorf("%v early: messages by A, B: %v, want %v", state, got, want)
			}
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || state == channel.Delivered &&
				s.State != state {
				t.Errorf("%v early: %+v, %v", state, s, err)
			}
		})
	}
}

// Providers that echo our message id need no tracker, and an early failure is
// not forgotten when the submission is recorded.
func TestEchoedMessageID(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.a.hook = func(m *channel.Message, _ string) {
		handle(t, r.Service, channel.Receipt{Route: "A", MessageID: m.ID, State: channel.Failed,
			Class: channel.InvalidRecipient})
	}
	c := r.send(t, otp.Request{})
	if c.State != channel.Failed {
		t.Errorf("state %v", c.State)
	}
	for _, id := range []string{"x", c.ID, c.ID + ".1.0", c.ID + ".1.3.2", c.ID + ".x", c.ID + ".-1",
		"abc-aaaaaaaaaaaaaaaaaaaaaaaa.1"} {
		handle(t, r.Service, channel.Receipt{Route: "A", MessageID: id, State: channel.Delivered})
	}
	if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Failed {
		t.Errorf("a foreign id moved the state to %v, %v", s.State, err)
	}
}

// What a provider says is bounded before it is kept.
func TestHugeReceipt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	huge := strings.Repeat("é", 1<<20)
	r.a.hook = func(_ *channel.Message, id string) {
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: id, State: channel.Failed, Code: huge})
	}
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: huge, State: channel.Failed})
	c := r.send(t, otp.Request{})
	if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Failed {
		t.Errorf("%+v, %v", s, err)
	}
	if e := r.last(); len(e.Code) > 128 {
		t.Errorf("%d octets of code in the event", len(e.Code))
	}
}

// A long message is delivered when all its parts are.
func TestParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.cfg.Receipts = nil
	r.cfg.Channel = channel.Func(func(_ context.Context, _ *channel.Message) (channel.Submission, error) {
		return channel.Submission{ProviderIDs: []string{"p1", "p2", "p3"}}, nil
	})
	r.Service = r.another(t)
	c := r.send(t, otp.Request{})
	for i, id := range []string{"p3", "p3", "p1", "p2"} {
		handle(t, r.Service, channel.Receipt{ProviderID: id, State: channel.Delivered})
		s, err := r.Status(t.Context(), ref(c.ID))
		if err != nil || (s.State == channel.Delivered) != (i == 3) {
			t.Errorf("after %d receipts: %v, %v", i+1, s.State, err)
		}
	}
	want := []otp.EventKind{otp.EventGenerated, otp.EventSent, otp.EventReceipt, otp.EventReceipt, otp.EventReceipt}
	if diff := cmp.Diff(want, r.kinds()); diff != "" {
		t.Error("a repeated receipt is an event of its own: ", diff)
	}
}

// With Async an outage is waited for, within the code's life.
func TestAsyncOutlastsAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Async = true })
		for range 3 {
			r.a.errs = append(r.a.errs, refusal(channel.Temporary, "0x08"))
			r.b.errs = append(r.b.errs, refusal(channel.Temporary, "0x08"))
			r.mail.errs = append(r.mail.errs, refusal(channel.Temporary, "421"))
		}
		work(t, r.Service)
		c := r.send(t, otp.Request{})
		if c.State != channel.Queued {
			t.Errorf("state %v", c.State)
		}
		time.Sleep(time.Minute)
		s, err := r.Status(t.Context(), ref(c.ID))
		if err != nil || s.State != channel.Sent || s.Route != "A" || r.a.count() != 4 {
			t.Errorf("%+v, %v after %d tries", s, err, r.a.count())
		}
		ids := map[string]bool{}
		for _, m := range r.a.messages() {
			ids[m.ID] = true
		}
		if len(ids) != 1 {
			t.Errorf("the tries of one step have the ids %v", ids)
		}
	})
}

// A channel that says nothing about an error is taken at its worst.
func TestErrorsWithoutAClass(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Async = async })
			tries := 0
			r.cfg.Receipts = nil
			r.cfg.Channel = channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
				tries++
				return channel.Submission{}, errDown
			})
			r.Service = r.another(t)
			work(t, r.Service)
			c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
			if !async {
				wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
				if channel.ClassOf(err) != channel.Unknown {
					t.Errorf("class %v", channel.ClassOf(err))
				}
			}
			time.Sleep(4 * time.Minute)
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Sent || tries != 1 {
				t.Errorf("async=%v: %d tries, %+v, %v", async, tries, s, err)
			}
		})
	}
}

// A wording that is gone after a redeployment does not stop a resend.
func TestLanguageIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		klingon := wording.Wording{SMS: "{{.Code}} {{.Brand}} code {{.Life}}", Subject: "{{.Brand}}",
			Text:    "{{.Code}} {{.Brand}} {{.Life}}",
			Minutes: wording.Plural{Other: "# tup"}}
		r := newRig(t, func(c *otp.Config) { c.Wording.Wordings = map[string]wording.Wording{"en-x-tlh": klingon} })
		c := r.send(t, otp.Request{Language: "en-x-tlh"})
		if text := r.a.messages()[0].Text; !strings.Contains(text, "5 tup") {
			t.Fatalf("text %q", text)
		}
		r.cfg.Wording.Wordings = nil
		time.Sleep(time.Minute)
		if _, err := r.another(t).Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		if text := r.b.messages()[0].Text; !strings.Contains(text, "4 minutes") {
			t.Errorf("text %q", text)
		}
	})
}

func TestWorkNeedsAQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.cfg.Store, r.cfg.Limiter, r.cfg.Tracker = onlyStore{r.store}, r.store, r.store
	if err := r.another(t).Work(t.Context()); err == nil {
		t.Error("Work runs without a queue")
	}
	var _ store.Queue = r.store
}

// A failure report of a route that was left for another within one step says
// nothing about the other.
func TestReceiptOfARouteThatWasLeft(t *testing.T) {
	t.Parallel()
	for _, during := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			work(t, r.Service)
			r.a.errs = []error{refusal(channel.Unknown, "")}
			report := func(m *channel.Message) {
				handle(t, r.Service, channel.Receipt{Route: "A", MessageID: m.ID, State: channel.Failed})
			}
			if during {
				r.b.hook = func(m *channel.Message, _ string) { report(m) }
			}
			c := r.send(t, otp.Request{})
			if !during {
				report(r.b.messages()[0])
			}
			time.Sleep(time.Second)
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Sent || s.Route != "B" ||
				r.mail.count() != 0 {
				t.Errorf("during=%v: %+v, %v, %d mails", during, s, err, r.mail.count())
			}
		})
	}
}

// A part of an older message is not the message.
func TestPartOfAnOlderMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.cfg.Channel = r.failover(t, await)
		r.Service = r.another(t)
		c := r.send(t, otp.Request{})
		id := r.a.messages()[0].ID
		for _, part := range []string{id + ".1.3", c.ID + ".77-aaa", strings.Replace(id, ".1-", ".2-", 1)} {
			handle(t, r.Service, channel.Receipt{Route: "A", MessageID: part, State: channel.Delivered})
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Sent {
				t.Errorf("after %s: %v, %v", part, s.State, err)
			}
		}
		work(t, r.Service)
		time.Sleep(await + time.Second) // B has taken over
		handle(t, r.Service, channel.Receipt{Route: "A", MessageID: id + ".1.3", State: channel.Delivered})
		if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Sent || s.Route != "B" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
