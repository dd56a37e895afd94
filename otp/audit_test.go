package otp_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// trail returns kind, request id and step of the events so far.
func (r *rig) trail() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		line := string(e.Kind) + " " + e.RequestID
		if e.Reason != "" {
			line += " " + string(e.Reason)
		}
		if e.Challenge == "" {
			line += " without a challenge"
		}
		all = append(all, line)
	}
	return all
}

// Every generation, send, receipt and verification is an event that carries
// the id of the request it belongs to.
func TestAuditTrail(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Policy.NewCode = true; c.Async = async })
			work(t, r.Service)
			c := r.send(t, otp.Request{RequestID: "first"})
			synctest.Wait()
			_, _ = r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1", RequestID: "hasty"})
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1",
				RequestID: "second"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: "b-1", State: channel.Delivered})
			handle(t, r.Service, channel.Receipt{Route: "B", ProviderID: "b-1", State: channel.Delivered})
			_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: "1", RequestID: "typo"})
			_ = verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1", Code: r.b.messages()[0].Code,
				RequestID: "third"})
			_ = r.Cancel(t.Context(), ref(c.ID))
			_, _ = r.Send(t.Context(), otp.Request{Subject: "u1", RequestID: "fourth"})
			want := []string{"generated first", "sent first", "refused hasty too_soon", "generated second",
				"sent second", "receipt second",
				"rejected typo malformed", "verified third", "refused  closed",
				"refused fourth invalid without a challenge"}
			if diff := cmp.Diff(want, r.trail()); diff != "" {
				t.Errorf("async=%v: %s", async, diff)
			}
		})
	}
}

// A reviewer's resend is marked as well.
func TestFixedCodeResend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.FixedCodes, c.DangerouslyAcceptFixedCodes = []otp.FixedCode{{"+447912345600", "123456"}}, true
		})
		c := r.send(t, otp.Request{To: channel.Recipient{Phone: "+447912345600"}})
		time.Sleep(time.Minute)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil || r.a.count() != 0 {
			t.Error(err, r.a.count())
		}
		if e := r.last(); e.Kind != otp.EventSent || !e.Fixed {
			t.Errorf("%+v", e)
		}
	})
}

// counting counts derivations.
type counting struct {
	otp.Random
	n *atomic.Int32
}

func (c counting) Generate(s otp.Seed) (string, error) {
	c.n.Add(1)
	return c.Random.Generate(s)
}

// Whether a challenge exists cannot be told from how much is derived.
func TestUnknownChallengeDerives(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	r := newRig(t, func(c *otp.Config) { c.Generator = counting{n: &n} })
	c := r.send(t, otp.Request{})
	for name, v := range map[string]otp.Verification{
		"wrong":           {ID: c.ID, Subject: "u1", Code: another6(r.a.messages()[0].Code)},
		"another subject": {ID: c.ID, Subject: "u2", Code: "123456"},
		"unknown":         {ID: noID, Subject: "u1", Code: "123456"},
		"malformed":       {ID: "x", Subject: "u1", Code: "123456"},
	} {
		n.Store(0)
		if err := verify(t.Context(), r, v); !errors.Is(err, otp.ErrInvalidCode) {
			t.Error(err)
		}
		if n.Load() != 1 {
			t.Errorf("%s: %d derivations", name, n.Load())
		}
	}
}

// rawDashes makes codes that clean reads differently.
type rawDashes struct{}

func (rawDashes) Generate(otp.Seed) (string, error) { return "123-456", nil }

type long struct{}

func (long) Generate(otp.Seed) (string, error) { return strings.Repeat("1", 33), nil }

func TestUnusableGenerators(t *testing.T) {
	t.Parallel()
	for _, g := range []otp.Generator{rawDashes{}, long{}} {
		cfg := newRig(t, nil).cfg
		cfg.Generator = g
		if _, err := otp.New(cfg); err == nil || !strings.Contains(err.Error(), "Generator") {
			t.Errorf("%T: %v", g, err)
		}
	}
}

// Receipts name their route, so there must be routes with names.
func TestReceiptsNeedRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.cfg.Channel = r.a
	if _, err := otp.New(r.cfg); err == nil || !strings.Contains(err.Error(), "Config.Receipts") {
		t.Error(err)
	}
}

// What a worker could not send costs nothing either.
func TestAsyncUndeliveredIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Async, c.Policy.PerRecipient, c.Policy.PerIP = true, []otp.Rate{{Most: 1, Per: time.Hour}},
				[]otp.Rate{{Most: 1, Per: time.Hour}}
		})
		work(t, r.Service)
		for range 3 {
			r.a.errs = []error{refusal(channel.Misconfigured, "0x0A")}
			r.b.errs, r.mail.errs = r.a.errs, r.a.errs
			c := r.send(t, otp.Request{IP: netip.MustParseAddr("2001:db8::1")})
			synctest.Wait()
			if s, err := r.Status(t.Context(), ref(c.ID)); err != nil || s.State != channel.Failed {
				t.Errorf("%+v, %v", s, err)
			}
		}
	})
}

// What went out is not sent again because its receipt reports failure, early or
// late, nor because the request is repeated: that is for a Resend, or for the
// routes' Await.
func TestFailedReceiptWithoutAwait(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		for _, async := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(c *otp.Config) { c.Async = async })
				work(t, r.Service)
				fail := func(m *channel.Message, _ string) {
					handle(t, r.Service, channel.Receipt{Route: "A", MessageID: m.ID, State: channel.Failed})
				}
				if early {
					r.a.hook = fail
				}
				c := r.send(t, otp.Request{IdempotencyKey: "k"})
				synctest.Wait()
				if !early {
					fail(r.a.messages()[0], "")
				}
				<-time.After(time.Minute)
				again := r.send(t, otp.Request{IdempotencyKey: "k"})
				<-time.After(time.Minute)
				if again.ID != c.ID || again.State != channel.Failed || r.total() != 1 {
					t.Errorf("early=%v, async=%v: %+v after %d messages", early, async, again, r.total())
				}
			})
		}
	}
}

// Nothing is tried for a code that is at its end.
func TestNothingOutlivesItsCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Policy.Life, c.Policy.Waits = time.Minute, []time.Duration{}
			c.Async, c.Receipts = true, nil
		})
		var deadline time.Time
		r.cfg.Channel = channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Submission, error) {
			deadline, _ = ctx.Deadline()
			return channel.Submission{}, nil
		})
		r.Service = r.another(t)
		c := r.send(t, otp.Request{})
		time.Sleep(50 * time.Second)
		work(t, r.Service)
		synctest.Wait()
		if !deadline.Equal(c.Expires) {
			t.Errorf("the channel may take until %v, the code expires at %v", deadline, c.Expires)
		}
		r.send(t, otp.Request{IdempotencyKey: "k"})
		time.Sleep(time.Second)
	})
}

// If a process cannot arrange for what follows its message, the wait for the
// receipt or the provider's ids, another process does.
func TestSettledByTheNextWorker(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"Enqueue", "Track"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Takeover = 20 * time.Second })
			r.cfg.Channel = r.failover(t, time.Minute)
			work(t, r.another(t))
			f := &faulty{backend: r.store}
			f.hook = func(called string) {
				if what == "Track" || called == "Enqueue" { // the first is the takeover
					f.setDown(what)
				}
			}
			r.cfg.Store = f
			if _, err := r.another(t).Send(t.Context(), otp.Request{Subject: "u1", To: both}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second) // the takeover finds the step recorded
			if what == "Track" {
				handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
			}
			time.Sleep(40 * time.Second)
			if r.a.count() != 1 || r.b.count() != 1 {
				t.Errorf("%s lost: A %d, B %d", what, r.a.count(), r.b.count())
			}
		})
	}
}
