package otp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

const lease = 20 * time.Second

// A sender that dies with the provider's answer in its hands leaves its step to
// another process, after its lease and under the same Message.ID, unless the
// code is done with by then. However many processes look, each step goes out
// once more, and no other.
func TestSenderDies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dies      string
		meanwhile string
		a, b, m   int
	}{
		{"A", "", 2, 1, 1},
		{"A", "verified", 1, 0, 0},
		{"A", "cancelled", 1, 0, 0},
		{"A", "all cancelled", 1, 0, 0},
		{"A", "delivered", 1, 0, 0},
		{"A", "resent", 2, 1, 1}, // by the resend: the dead step is not taken over
		{"B", "", 1, 2, 1},
		{"B", "verified", 1, 1, 0},
		{"B", "cancelled", 1, 1, 0},
		{"B", "all cancelled", 1, 1, 0},
		{"B", "delivered", 1, 1, 0},
	} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,%s,async=%v", c.dies, c.meanwhile, async), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(cfg *otp.Config) {
						cfg.Async, cfg.Takeover, cfg.Policy.Waits = async, lease, []time.Duration{time.Second}
					})
					r.cfg.Channel = r.failover(t, await)
					dies := map[string]*provider{"A": r.a, "B": r.b}[c.dies]
					r.dies(dies)
					for range 3 {
						s, _ := r.process(t)
						work(t, s)
					}
					id := r.sendMayDie(t)
					synctest.Wait()
					if c.dies == "B" {
						time.Sleep(await)
						synctest.Wait()
					}
					r.meanwhile(t, c.meanwhile, id, dies.messages()[0])
					time.Sleep(15 * time.Second)
					if n := dies.count(); n != 1 && c.meanwhile != "resent" {
						t.Errorf("%d messages within the lease", n)
					}
					time.Sleep(4 * time.Minute)
					if got := r.sent(); got != [3]int{c.a, c.b, c.m} {
						t.Errorf("messages by A, B, M: %v, want %d %d %d", got, c.a, c.b, c.m)
					}
					if m := dies.messages(); len(m) == 2 && (m[0].ID == m[1].ID) == (c.meanwhile == "resent") {
						t.Errorf("the messages have the ids %s, %s", m[0].ID, m[1].ID)
					}
				})
			})
		}
	}
}

// sendMayDie returns the id of the challenge of a Send that may not return.
func (r *rig) sendMayDie(t *testing.T) (id string) {
	t.Helper()
	s, _ := r.process(t)
	apart(func() { _, _ = s.Send(t.Context(), otp.Request{Subject: "u1", To: both}) })
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[0].Challenge
}

// meanwhile does what is named to the challenge whose sender of m has died.
func (r *rig) meanwhile(t *testing.T, what, id string, m *channel.Message) {
	t.Helper()
	switch what {
	case "verified":
		r.verify(t, id)
	case "cancelled":
		r.cancel(t, id)
	case "all cancelled":
		time.Sleep(time.Second)
		if err := r.CancelAll(t.Context(), otp.Scope{Subject: "u1"}); err != nil {
			t.Error(err)
		}
	case "delivered":
		route := map[bool]string{true: "A", false: "B"}[r.b.count() == 0]
		handle(t, r.Service, channel.Receipt{Route: route, MessageID: m.ID, State: channel.Delivered})
	case "resent":
		time.Sleep(time.Second)
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"}); err != nil {
			t.Error(err)
		}
	}
}

// A step is taken over once: a second death would be one message too many. The
// log says so, and a Resend goes on.
func TestTakenOverOnce(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var log syncBuffer
			r := newRig(t, func(c *otp.Config) {
				c.Async, c.Takeover, c.Logger = async, lease, slog.New(slog.NewTextHandler(&log, nil))
			})
			r.a.hook = func(*channel.Message, string) {
				if r.a.count() <= 2 {
					r.sending.Load().die()
				}
			}
			for range 4 {
				s, _ := r.process(t)
				work(t, s)
			}
			id := r.sendMayDie(t)
			time.Sleep(2 * time.Minute)
			if got := r.sent(); got != [3]int{2, 0, 0} {
				t.Fatalf("async=%v: messages %v", async, got)
			}
			if !strings.Contains(log.String(), "two senders of a message have died") {
				t.Errorf("async=%v: the log does not say that a Resend must follow: %s", async, &log)
			}
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := r.sent(); got != [3]int{3, 0, 0} {
				t.Errorf("async=%v: after a Resend: messages %v", async, got)
			}
			r.verify(t, id)
		})
	}
}

// What a sender that died may have sent counts, though it is refused when it is
// sent again. It is not tried a third time.
func TestSenderDiesAndCounts(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		for _, class := range []channel.Class{channel.Unreachable, channel.Temporary, channel.Misconfigured} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(c *otp.Config) {
					c.Async, c.Takeover, c.Policy.PerRecipient = async, lease, []otp.Rate{{Most: 1, Per: time.Hour}}
				})
				r.dies(r.a)
				for range 2 {
					s, _ := r.process(t)
					work(t, s)
				}
				doomed, _ := r.process(t)
				q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
				apart(func() { _, _ = doomed.Send(t.Context(), q) })
				synctest.Wait()
				r.a.fail(refusal(class, "0x45"))
				<-time.After(2 * time.Minute)
				if n := r.a.count(); n != 2 {
					t.Fatalf("async=%v, %v: %d messages", async, class, n)
				}
				_, err := r.Send(t.Context(), q)
				wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
			})
		}
	}
}

// Without Config.Takeover nobody takes a dead Send over, but the request that is
// repeated with its key, after the lease.
func TestSenderDiesWithoutTakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.cfg.Channel = r.failover(t, await)
		r.dies(r.a)
		r.Service = r.another(t)
		work(t, r.another(t))
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		doomed, _ := r.process(t)
		apart(func() { _, _ = doomed.Send(t.Context(), request) })
		time.Sleep(10 * time.Second)
		if c := r.send(t, request); !c.Repeated || c.Next != otp.NextWait { // within the lease
			t.Errorf("%+v", c)
		}
		time.Sleep(2 * time.Minute)
		if n := r.total(); n != 1 {
			t.Fatalf("%d messages", n)
		}
		r.send(t, request)
		time.Sleep(await + time.Second)
		if m := r.a.messages(); len(m) != 2 || m[0].ID != m[1].ID || r.b.count() != 1 {
			t.Errorf("messages by A, B: %d, %d", len(m), r.b.count())
		}
	})
}

// lateQueue takes its time to take a job.
type lateQueue struct {
	store.Queue
	takes time.Duration
}

func (q lateQueue) Enqueue(ctx context.Context, j store.Job) error {
	time.Sleep(q.takes)
	return q.Queue.Enqueue(ctx, j)
}

// A sender that is slow, but alive, has the step to itself until its lease ends,
// and stops sending before, whatever of that time the queue has used up.
func TestTakeoverFromTheLiving(t *testing.T) {
	t.Parallel()
	for _, queueing := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *otp.Config) { c.Takeover = lease })
			r.cfg.Receipts = nil
			var took time.Duration
			var calls int
			r.cfg.Channel = channel.Func(func(ctx context.Context, _ *channel.Message) (channel.Submission, error) {
				calls++
				start := time.Now()
				<-ctx.Done()
				took = time.Since(start)
				return channel.Submission{}, &channel.Error{Class: channel.Unknown, Op: "test: send", Err: ctx.Err()}
			})
			work(t, r.another(t))
			r.cfg.Queue = lateQueue{r.store, queueing}
			r.Service = r.another(t)
			_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
			if channel.ClassOf(err) != channel.Unknown || took != 15*time.Second-queueing {
				t.Errorf("%v after %v", err, took)
			}
			time.Sleep(4 * time.Minute)
			if calls != 1 {
				t.Errorf("sent %d times", calls)
			}
		})
	}
}

// twice gives every job to two workers at once, as a queue does that takes a
// slow worker for dead.
type twice struct{ jobs chan store.Job }

func (q twice) Enqueue(_ context.Context, j store.Job) error {
	q.jobs <- j
	return nil
}

func (q twice) Run(ctx context.Context, _ int, handle store.Handler) error {
	for {
		select {
		case j := <-q.jobs:
			for range 2 {
				go func() {
					if again, err := handle(ctx, j); err == nil && !again.IsZero() {
						time.AfterFunc(time.Until(again), func() { q.jobs <- j })
					}
				}()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestTwoWorkersWithOneJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Async = true; c.Queue = twice{make(chan store.Job, 1000)} })
		r.a.hook = func(*channel.Message, string) { time.Sleep(3 * time.Second) }
		work(t, r.Service)
		r.send(t, otp.Request{})
		time.Sleep(10 * time.Second)
		if n := r.a.count(); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// An embedder sees what came too late: a message that no worker came to is a
// dead letter, one whose challenge had ended is not.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sameStore{backend: newStore(t)}
		r := newRig(t, func(c *otp.Config) { c.Store, c.Async = s, true })
		r.cancel(t, r.send(t, otp.Request{}).ID)
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			stop()
		}()
		if err := r.Work(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		r.send(t, otp.Request{Subject: "u2"})
		time.Sleep(4 * time.Minute)
		if st, err := s.Stats(t.Context()); err != nil || st.Normal != 1 || st.Oldest != 4*time.Minute {
			t.Errorf("%+v, %v", st, err)
		}
		time.Sleep(time.Minute)
		work(t, r.Service)
		synctest.Wait()
		dead, err := s.Dead(t.Context(), 10)
		if err != nil || len(dead) != 1 || dead[0].Job.Challenge != s.record.ID || dead[0].Reason != store.Late ||
			r.total() != 0 {
			t.Errorf("%+v, %v, %d messages", dead, err, r.total())
		}
	})
}
