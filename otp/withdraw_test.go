package otp_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
)

// A recaller is a provider that messages can be withdrawn from.
type recaller struct {
	*provider
	answer func(ctx context.Context) error // default: withdrawn

	mu        sync.Mutex
	withdrawn []string
}

func (p *recaller) Cancel(ctx context.Context, m *channel.Message, s channel.Submission) error {
	p.mu.Lock()
	for _, sent := range p.messages() {
		if sent.ID == m.ID && sent.To == m.To && sent.Code == m.Code && m.Route == s.Route {
			p.withdrawn = append(p.withdrawn, s.ProviderIDs...)
		}
	}
	p.mu.Unlock()
	if p.answer != nil {
		return p.answer(ctx)
	}
	return nil
}

// recallers gives r two routes whose messages can be withdrawn, and returns a
// function that lists those that were.
func (r *rig) recallers(t *testing.T, answer func(context.Context) error) (withdrawn func() string) {
	t.Helper()
	a, b := &recaller{provider: r.a, answer: answer}, &recaller{provider: r.b, answer: answer}
	f, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "A", Channel: channelOf{a, a}, Address: channel.Phone, Await: await},
		channel.Route{Name: "B", Channel: channelOf{b, b}, Address: channel.Phone, Await: await},
		channel.Route{Name: "M", Channel: r.mail, Address: channel.Email, Await: await},
	)})
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Channel = channelOf{f, f}
	r.Service = r.another(t)
	return func() string { // each once: to withdraw a message twice does no harm
		var all []string
		for _, p := range []*recaller{a, b} {
			p.mu.Lock()
			all = append(all, p.withdrawn...)
			p.mu.Unlock()
		}
		slices.Sort(all)
		return strings.Join(slices.Compact(all), " ")
	}
}

// What is still on its way when a challenge ends is withdrawn, by the route
// that carries it; what has arrived, or never will, is not.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	receipt := func(id string, s channel.State) channel.Receipt {
		return channel.Receipt{Route: strings.ToUpper(id[:1]), ProviderID: id, State: s}
	}
	for _, c := range []struct {
		name string
		do   func(t *testing.T, r *rig, id string)
		want string
	}{
		{"verified, one message", func(t *testing.T, r *rig, id string) { r.verify(t, id) }, ""},
		{"cancelled, one message", func(t *testing.T, r *rig, id string) { r.cancel(t, id) }, "a-1"},
		{"cancelled, delivered", func(t *testing.T, r *rig, id string) {
			handle(t, r.Service, receipt("a-1", channel.Delivered))
			r.cancel(t, id)
		}, ""},
		{"verified after silence", func(t *testing.T, r *rig, id string) {
			time.Sleep(await + time.Second)
			r.verify(t, id)
		}, "a-1 b-1"},
		{"cancelled after silence", func(t *testing.T, r *rig, id string) {
			time.Sleep(await + time.Second)
			r.cancel(t, id)
		}, "a-1 b-1"},
		{"verified after a failure", func(t *testing.T, r *rig, id string) {
			handle(t, r.Service, receipt("a-1", channel.Failed))
			time.Sleep(time.Second)
			r.verify(t, id)
		}, "b-1"},
		{"a late failure", func(t *testing.T, r *rig, id string) {
			time.Sleep(await + time.Second)
			handle(t, r.Service, receipt("a-1", channel.Failed))
			r.verify(t, id)
		}, "b-1"},
		{"a late delivery", func(t *testing.T, r *rig, id string) {
			time.Sleep(await + time.Second)
			handle(t, r.Service, receipt("a-1", channel.Delivered))
			r.verify(t, id)
		}, "b-1"},
		{"the later one delivered", func(t *testing.T, r *rig, id string) {
			time.Sleep(await + time.Second)
			handle(t, r.Service, receipt("b-1", channel.Delivered))
			r.verify(t, id)
		}, "a-1"},
		{"resent", func(t *testing.T, r *rig, id string) {
			handle(t, r.Service, receipt("a-1", channel.Delivered))
			time.Sleep(await)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1", Route: "B"}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			r.verify(t, id)
		}, "b-1"},
		{"by a route that cannot", func(t *testing.T, r *rig, id string) {
			time.Sleep(await + time.Second)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1", Route: "M"}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			r.verify(t, id)
		}, "a-1 b-1"},
	} {
		for _, async := range []bool{false, true} {
			for _, elsewhere := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s,async=%v,elsewhere=%v", c.name, async, elsewhere), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						r := newRig(t, func(c *otp.Config) { c.Async = async; c.Policy.Waits = []time.Duration{await} })
						withdrawn := r.recallers(t, nil)
						if elsewhere {
							work(t, r.another(t))
						} else {
							work(t, r.Service)
						}
						ch := r.send(t, otp.Request{})
						synctest.Wait()
						c.do(t, r, ch.ID)
						before := r.a.count() + r.b.count() + r.mail.count()
						time.Sleep(4 * time.Minute)
						if got := withdrawn(); got != c.want {
							t.Errorf("withdrawn %q, want %q", got, c.want)
						}
						if after := r.a.count() + r.b.count() + r.mail.count(); after != before {
							t.Errorf("%d messages went out after the end", after-before)
						}
					})
				})
			}
		}
	}
}

// A message that is being handed over while its challenge ends is withdrawn by
// who sends it, and by nobody else.
func TestWithdrawnInFlight(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Async = async })
			r.b.hook = func(*channel.Message, string) { time.Sleep(5 * time.Second) }
			withdrawn := r.recallers(t, nil)
			work(t, r.another(t))
			c := r.send(t, otp.Request{})
			synctest.Wait()
			time.Sleep(await + time.Second) // B has the message, and has not answered
			r.cancel(t, c.ID)
			synctest.Wait()
			if got := withdrawn(); got != "a-1" {
				t.Errorf("async=%v, before the answer: %q", async, got)
			}
			time.Sleep(4 * time.Minute)
			if got := withdrawn(); got != "a-1 b-1" || r.mail.count() != 0 {
				t.Errorf("async=%v: withdrawn %q, %d mails", async, got, r.mail.count())
			}
		})
	}
}

// A provider that refuses to withdraw, or does not answer, undoes nothing and
// holds up nobody for long; with a worker there, not at all.
func TestNotWithdrawn(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(context.Context) error{
		"refuses": func(context.Context) error { return fmt.Errorf("%s was delivered", both.Phone) },
		"hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		for _, working := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var log syncBuffer
				r := newRig(t, func(c *otp.Config) {
					c.Logger, c.Policy.PerRecipient = slog.New(slog.NewTextHandler(&log, nil)), []otp.Rate{}
				})
				withdrawn := r.recallers(t, answer)
				if working {
					work(t, r.Service)
				}
				for _, end := range []func(*testing.T, string){r.verify, r.cancel} {
					c := r.send(t, otp.Request{IdempotencyKey: "k"})
					time.Sleep(await*2 + time.Second)
					if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
						t.Fatal(err)
					}
					r.a.mu.Lock()
					r.a.got = r.a.got[len(r.a.got)-1:] // this challenge's
					r.a.mu.Unlock()
					start, most := time.Now(), 2*time.Second
					if working || name == "refuses" {
						most = 0
					}
					end(t, c.ID)
					if took := time.Since(start); took > most {
						t.Errorf("%s, working=%v: it took %v", name, working, took)
					}
					time.Sleep(5 * time.Minute)
				}
				if withdrawn() == "" || !strings.Contains(log.String(), "not withdrawn") ||
					strings.Contains(log.String(), both.Phone[3:]) {
					t.Errorf("%s, working=%v: withdrawn %q, logged %s", name, working, withdrawn(), log.String())
				}
			})
		}
	}
}

// Where two routes may have sent within one step, the code may have come by
// either, and what one reports says nothing about the other.
func TestWithdrawnAfterAnUnknownEnd(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			withdrawn := r.recallers(t, nil)
			r.a.errs = []error{refusal(channel.Unknown, "")}
			work(t, r.Service)
			c := r.send(t, otp.Request{})
			if late {
				time.Sleep(await + time.Second) // M has taken over
				handle(t, r.Service, channel.Receipt{Route: "A", MessageID: r.b.messages()[0].ID,
					State: channel.Failed})
			}
			r.verify(t, c.ID)
			synctest.Wait()
			if got := withdrawn(); got != "b-1" {
				t.Errorf("late=%v: withdrawn %q", late, got)
			}
		})
	}
}

// The message of a send that a resend has overtaken is not forgotten.
func TestWithdrawnOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Policy.Waits, c.Takeover = []time.Duration{time.Second},
				20*time.Second
		})
		withdrawn := r.recallers(t, nil)
		work(t, r.Service)
		var again atomic.Bool
		r.a.hook = func(*channel.Message, string) {
			if again.CompareAndSwap(false, true) {
				time.Sleep(5 * time.Second)
			}
		}
		go func() { _, _ = r.Send(t.Context(), otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}) }()
		time.Sleep(2 * time.Second)
		c := r.send(t, otp.Request{IdempotencyKey: "k"})
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Subject: "u1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		r.verify(t, c.ID)
		synctest.Wait()
		if got := withdrawn(); got != "a-1 b-1" {
			t.Errorf("withdrawn %q", got)
		}
	})
}

// What the provider knows to have arrived at once is not withdrawn, and may be
// resent sooner than what was only sent.
func TestDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Receipts = nil })
	p := &recaller{provider: r.a}
	at := channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		sub, err := p.Send(ctx, m)
		sub.State = channel.Delivered
		return sub, err
	})
	r.cfg.Channel = channelOf{at, p}
	r.cfg.Policy = otp.Policy{Waits: four, SentWait: time.Minute}
	r.Service = r.another(t)
	c := r.send(t, otp.Request{})
	if c.State != channel.Delivered || c.ResendAt.Sub(c.Created).Round(time.Second) != four[0] || c.SendsLeft != 2 {
		t.Errorf("%+v", c)
	}
	r.cancel(t, c.ID)
	if p.withdrawn != nil {
		t.Errorf("withdrawn %q", p.withdrawn)
	}
}

// A channel on its own, without routes, withdraws too; and where none can,
// nothing is asked of the store or the queue.
func TestWithdrawnWithoutRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Receipts = nil })
	p := &recaller{provider: r.a}
	r.cfg.Channel = channelOf{p, p}
	r.Service = r.another(t)
	r.cancel(t, r.send(t, otp.Request{}).ID)
	if diff := cmp.Diff([]string{"a-1"}, p.withdrawn); diff != "" {
		t.Error(diff)
	}

	r = newRig(t, nil) // routes that are not known beforehand
	p = &recaller{provider: r.a}
	f, err := failover.New(failover.Config{Router: channel.RouterFunc(func(context.Context,
		*channel.Message) ([]channel.Route, error) {
		return []channel.Route{{Name: "A", Channel: p, Address: channel.Phone}}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Channel = f
	r.Service = r.another(t)
	r.cancel(t, r.send(t, otp.Request{}).ID)
	if diff := cmp.Diff([]string{"a-1"}, p.withdrawn); diff != "" {
		t.Error(diff)
	}

	var log syncBuffer
	r = newRig(t, func(c *otp.Config) {
		f := &faulty{backend: newStore(t), down: "Enqueue"}
		c.Store = f
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	r.cancel(t, r.send(t, otp.Request{}).ID)
	if log := log.String(); strings.Contains(log, "withdrawn") || strings.Contains(log, errDown.Error()) {
		t.Errorf("logged %s", log)
	}
}

// A message is withdrawn though the caller leaves when the challenge has ended.
func TestWithdrawnWithoutCaller(t *testing.T) {
	t.Parallel()
	for _, worker := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t)}
			r := newRig(t, func(c *otp.Config) { c.Store = f })
			var asked error
			withdrawn := r.recallers(t, func(ctx context.Context) error { asked = ctx.Err(); return nil })
			if worker {
				work(t, r.Service)
				synctest.Wait()
			}
			c := r.send(t, otp.Request{})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			f.hook = func(what string) {
				if what == "Finish" {
					leave()
				}
			}
			if err := r.Cancel(ctx, ref(c.ID)); err != nil || ctx.Err() == nil {
				t.Fatalf("%v, and the caller: %v", err, ctx.Err())
			}
			synctest.Wait()
			if got := withdrawn(); got != "a-1" || asked != nil {
				t.Errorf("worker=%v: withdrawn %q, %v", worker, got, asked)
			}
		})
	}
}
