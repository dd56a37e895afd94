package otp_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// downQueue takes no job.
type downQueue struct{}

func (downQueue) Enqueue(context.Context, store.Job) error { return errNoQueue }

func (downQueue) Run(ctx context.Context, _ int, _ func(context.Context, store.Job) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// flakyQueue is a queue that is down at times; with lost, what it does not
// take is queued all the same.
type flakyQueue struct {
	store.Queue
	down atomic.Bool
	lost bool
	slow time.Duration // before it says so
}

func downAtFirst(lost bool) *flakyQueue {
	q := &flakyQueue{lost: lost}
	q.down.Store(true)
	return q
}

func (q *flakyQueue) Enqueue(ctx context.Context, j store.Job) error {
	if !q.down.Load() {
		return q.Queue.Enqueue(ctx, j)
	}
	if q.lost {
		_ = q.Queue.Enqueue(ctx, j)
	}
	time.Sleep(q.slow)
	return errNoQueue
}

func (r *rig) total() int { return r.a.count() + r.b.count() + r.mail.count() }

// While the queue is down Send fails, costs nothing, and sends nothing later,
// not even where the job was queued and only the answer lost; the same request
// succeeds afterwards.
func TestQueueDown(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{true, false} {
		for _, lost := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				q := downAtFirst(lost)
				r := newRig(t, func(c *otp.Config) {
					c.Async, c.Policy.PerRecipient, c.Policy.PerIP = async, []otp.Rate{{1, time.Hour}}, []otp.Rate{{1, time.Hour}}
				})
				q.Queue = r.store
				r.cfg.Queue = q
				r.Service = r.another(t)
				request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k", IP: netip.MustParseAddr("192.0.2.1")}
				for range 3 {
					c, err := r.Send(t.Context(), request)
					wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
					if !errors.Is(err, errNoQueue) || c.State != channel.Failed {
						t.Errorf("%+v, %v", c, err)
					}
				}
				work(t, r.Service)
				time.Sleep(time.Minute)
				if n := r.total(); n != 0 {
					t.Errorf("async=%v, lost=%v: %d messages of requests that failed", async, lost, n)
				}
				q.down.Store(false)
				c, err := r.Send(t.Context(), request)
				synctest.Wait()
				if err != nil || r.total() != 1 {
					t.Fatalf("async=%v, lost=%v: %v, %d messages when it is up", async, lost, err, r.total())
				}
				r.verify(t, c.ID)
				time.Sleep(4 * time.Minute)
				if n := r.total(); n != 1 {
					t.Errorf("async=%v, lost=%v: %d messages in the end", async, lost, n)
				}
			})
		}
	}
}

// A request that is repeated while the queue is down fails, and takes back
// nothing of what an earlier one queued.
func TestQueueDownForARepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &flakyQueue{}
		r := newRig(t, func(c *otp.Config) {
			c.Async, c.Policy.PerRecipient, c.Policy.PerIP = true, []otp.Rate{}, []otp.Rate{}
		})
		q.Queue = r.store
		r.cfg.Queue = q
		r.Service = r.another(t)
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		first := r.send(t, request)
		q.down.Store(true)
		c, err := r.Send(t.Context(), request)
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		if c.ID != first.ID || c.State != channel.Queued {
			t.Errorf("%+v", c)
		}
		q.down.Store(false)
		work(t, r.Service)
		<-time.After(time.Minute)
		r.send(t, request)
		<-time.After(time.Minute)
		if r.total() != 1 {
			t.Errorf("%d messages", r.total())
		}
		r.verify(t, first.ID)
	})
}

// Where the embedder asked for it the message goes directly, once.
func TestDirectWhenQueueFails(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			q := downAtFirst(lost)
			r := newRig(t, func(c *otp.Config) { c.Async, c.DirectWhenQueueFails = true, true })
			q.Queue = r.store
			r.cfg.Queue = q
			r.Service = r.another(t)
			c := r.send(t, otp.Request{})
			if c.State != channel.Sent || c.Route != "A" || r.total() != 1 {
				t.Errorf("lost=%v: %+v", lost, c)
			}
			r.a.errs = []error{refusal(channel.Temporary, "0x08")}
			r.b.errs, r.mail.errs = r.a.errs, r.a.errs
			failed, err := r.Send(t.Context(), otp.Request{Subject: "u2", To: both})
			wantReason(t, err, otp.ReasonUndelivered, otp.ErrUndelivered)
			if failed.State != channel.Failed {
				t.Errorf("lost=%v: %+v", lost, failed)
			}
			sent := r.total()
			work(t, r.Service)
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil {
				t.Error(err)
			}
			time.Sleep(4 * time.Minute)
			if n := r.total(); n != sent+1 {
				t.Errorf("lost=%v: %d messages, want %d", lost, n, sent+1)
			}
		})
	}
}

// A worker that has the job before the answer is lost sends the message, and
// the request has not failed.
func TestQueueAnswerLost(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]channel.State{0: channel.Sent, 3 * time.Second: channel.Queued} {
		synctest.Test(t, func(t *testing.T) {
			q := downAtFirst(true)
			q.slow = time.Second
			r := newRig(t, func(c *otp.Config) { c.Async = true })
			q.Queue = r.store
			r.cfg.Queue = q
			r.a.hook = func(*channel.Message, string) { time.Sleep(took) }
			r.Service = r.another(t)
			work(t, r.Service)
			c := r.send(t, otp.Request{})
			if c.State != want {
				t.Errorf("a worker that takes %v: %+v", took, c)
			}
			time.Sleep(time.Minute)
			if s, err := r.Status(t.Context(), c.ID); err != nil || s.State != channel.Sent || r.total() != 1 {
				t.Errorf("a worker that takes %v: %+v, %v, %d messages", took, s, err, r.total())
			}
		})
	}
}

// A resend that cannot be queued leaves what was sent before as it is: its
// receipt, its route's successor.
func TestQueueDownForAResend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lost  bool
		route string
	}{{false, ""}, {false, "M"}, {true, ""}, {true, "M"}} {
		synctest.Test(t, func(t *testing.T) {
			q := &flakyQueue{lost: c.lost}
			r := newRig(t, func(cfg *otp.Config) {
				cfg.Async, cfg.Policy.Waits = true, []time.Duration{10 * time.Second, 30 * time.Second}
			})
			q.Queue = r.store
			r.cfg.Queue, r.cfg.Channel = q, r.failover(t, await)
			r.Service = r.another(t)
			stop := work(t, r.Service)
			sent := func(when string, a, b, m int) {
				t.Helper()
				if got := [3]int{r.a.count(), r.b.count(), r.mail.count()}; got != [3]int{a, b, m} {
					t.Errorf("%+v, %s: messages by A, B, M: %v, want %d %d %d", c, when, got, a, b, m)
				}
			}
			id := r.send(t, otp.Request{RequestID: "first"}).ID
			time.Sleep(10 * time.Second)
			stop() // a worker could have the job before the Service is told that it has none
			q.down.Store(true)
			_, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Route: c.route, RequestID: "second"})
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			q.down.Store(false)
			work(t, r.Service)
			time.Sleep(time.Second)
			if s, err := r.Status(t.Context(), id); err != nil || s.State != channel.Sent {
				t.Errorf("%+v: %+v, %v", c, s, err)
			}
			sent("after the resend", 1, 0, 0)
			time.Sleep(await) // the first message's silence is heard all the same
			sent("after the silence", 1, 1, 0)
			if e := r.last(); e.Kind != otp.EventSent || e.RequestID != "first" {
				t.Errorf("%+v: the last event is %+v", c, e)
			}
			handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered})
			time.Sleep(time.Minute)
			if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			sent("after the resend that was queued", 2, 1, 0)
		})
	}
}

// Of any number of resends that could not be queued none is sent later, though
// they were queued and only the answers lost; the next that is queued is.
func TestQueueDownForResends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &flakyQueue{lost: true}
		r := newRig(t, func(c *otp.Config) {
			c.Async, c.Policy.Waits = true, slices.Repeat([]time.Duration{10 * time.Second}, 4)
		})
		q.Queue = r.store
		r.cfg.Queue = q
		r.Service = r.another(t)
		stop := work(t, r.Service)
		id := r.send(t, otp.Request{}).ID
		<-time.After(10 * time.Second)
		stop()
		q.down.Store(true)
		for range 3 {
			_, err := r.Resend(t.Context(), otp.ResendRequest{ID: id})
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			<-time.After(10 * time.Second)
		}
		q.down.Store(false)
		stop = work(t, r.Service)
		<-time.After(time.Minute)
		if n := r.total(); n != 1 {
			t.Errorf("%d messages, and one was to be sent", n)
		}
		stop()
		if _, err := r.Resend(t.Context(), otp.ResendRequest{ID: id}); err != nil {
			t.Error(err)
		}
		work(t, r.Service)
		<-time.After(time.Minute)
		if n := r.total(); n != 2 {
			t.Errorf("%d messages after a resend that was queued", n)
		}
	})
}

// A request that is repeated after its job has become a dead letter is queued
// again, once in a minute at most, and is one message.
func TestRepeatedAfterDeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) {
			c.Async, c.Store = true, memstore.New(memstore.Config{JobAttempts: 2})
		})
		r.a.errs = slices.Repeat([]error{refusal(channel.Temporary, "0x08")}, 4)
		r.b.errs, r.mail.errs = slices.Clone(r.a.errs), slices.Clone(r.a.errs)
		work(t, r.Service)
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		for i, wait := range []time.Duration{30 * time.Second, 5 * time.Second, 25 * time.Second} {
			r.send(t, request)
			time.Sleep(wait)
			if want := []int{2, 4, 4}[i]; r.a.count() != want {
				t.Errorf("%d tries after request %d, want %d", r.a.count(), i+1, want)
			}
		}
		c := r.send(t, request)
		synctest.Wait()
		if r.a.count() != 5 || r.total() != 13 {
			t.Fatalf("%d messages by A, %d in all", r.a.count(), r.total())
		}
		r.send(t, request)
		r.verify(t, c.ID)
		time.Sleep(4 * time.Minute)
		if n := r.total(); n != 13 {
			t.Errorf("%d messages in the end", n)
		}
	})
}

// downStore fails one call, by its name.
type downStore struct {
	store.Store
	down atomic.Value
}

func (s *downStore) failing(what string) error {
	if s.down.Load() == what {
		return errDown
	}
	return nil
}

func (s *downStore) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := s.failing("Create"); err != nil {
		return err
	}
	return s.Store.Create(ctx, r, now)
}

func (s *downStore) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	if err := s.failing("Get"); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, id, now)
}

func (s *downStore) Attempt(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	if err := s.failing("Attempt"); err != nil {
		return nil, err
	}
	return s.Store.Attempt(ctx, id, now)
}

func (s *downStore) Finish(ctx context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
	if err := s.failing("Finish"); err != nil {
		return nil, err
	}
	return s.Store.Finish(ctx, id, o, now)
}

func (s *downStore) Resend(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	if err := s.failing("Resend"); err != nil {
		return nil, err
	}
	return s.Store.Resend(ctx, id, now)
}

func (s *downStore) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
	if err := s.failing("Update"); err != nil {
		return nil, err
	}
	return s.Store.Update(ctx, id, revision, delivery, now)
}

// downLimiter cannot count.
type downLimiter struct{ store.Limiter }

func (downLimiter) Take(context.Context, time.Time, ...store.Limit) (store.Decision, error) {
	return store.Decision{}, errDown
}

// Whichever part of the store is down: nothing is sent that is not recorded,
// nobody is verified, and no wrong error says otherwise.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		down  string // the call that fails
		async bool
		call  string // "Send", "Resend", "Verify", "Cancel"
	}{
		{"Create", false, "Send"},
		{"Create", true, "Send"},
		{"Take", false, "Send"},
		{"Take", true, "Send"},
		{"Get", false, "Resend"},
		{"Resend", false, "Resend"},
		{"Update", false, "Resend"},
		{"Take", true, "Resend"},
		{"Attempt", false, "Verify"},
		{"Finish", false, "Verify"},
		{"Finish", false, "Cancel"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &downStore{}
			r := newRig(t, func(cfg *otp.Config) { cfg.Async = c.async })
			s.Store = r.store
			r.cfg.Store, r.cfg.Limiter, r.cfg.Tracker, r.cfg.Queue = s, r.store, r.store, nil
			if c.async {
				r.cfg.Queue = r.store
			}
			up := r.another(t)
			if c.async {
				work(t, up)
			}
			ch, err := up.Send(t.Context(), otp.Request{Subject: "u1", To: both})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			sent := r.total()
			s.down.Store(c.down)
			if c.down == "Take" {
				r.cfg.Limiter = downLimiter{r.store}
			}
			down := r.another(t)
			right := otp.Verification{ID: ch.ID, Subject: "u1", Code: r.a.messages()[0].Code}
			switch c.call {
			case "Send":
				_, err = down.Send(t.Context(), otp.Request{Subject: "u1", To: both})
			case "Resend":
				_, err = down.Resend(t.Context(), otp.ResendRequest{ID: ch.ID})
			case "Verify":
				err = down.Verify(t.Context(), right)
			case "Cancel":
				err = down.Cancel(t.Context(), ch.ID)
			}
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			time.Sleep(time.Minute)
			if n := r.total(); n != sent {
				t.Errorf("%+v: %d messages beyond the record", c, n-sent)
			}
			s.down.Store("")
			if err := up.Verify(t.Context(), right); err != nil {
				t.Errorf("%+v: when it is up again: %v", c, err)
			}
		})
	}
}

// A worker that cannot claim a step does not send it.
func TestStoreDownForAWorker(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"Get", "Update"} {
		synctest.Test(t, func(t *testing.T) {
			s := &downStore{}
			s.down.Store(what)
			r := newRig(t, func(c *otp.Config) { c.Async = true })
			s.Store = r.store
			r.cfg.Store, r.cfg.Limiter, r.cfg.Tracker, r.cfg.Queue = s, r.store, r.store, r.store
			r.Service = r.another(t)
			c := r.send(t, otp.Request{})
			work(t, r.Service)
			time.Sleep(time.Minute)
			if r.total() != 0 {
				t.Errorf("%s: %d messages", what, r.total())
			}
			s.down.Store("")
			time.Sleep(33 * time.Second) // the queue's longest pause
			if r.total() != 1 {
				t.Errorf("%s: %d messages when it is up", what, r.total())
			}
			r.verify(t, c.ID)
		})
	}
}

// A receipt that cannot be handled is not acknowledged, and does its work when
// it is repeated.
func TestReceiptWhileDown(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"Match", "Get", "Update", "Enqueue"} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t)}
			r := newRig(t, func(c *otp.Config) { c.Store = f })
			r.cfg.Channel = r.failover(t, await)
			r.Service = r.another(t)
			work(t, r.Service)
			r.send(t, otp.Request{})
			rc := channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed}
			f.setDown(what)
			for range 2 {
				wantReason(t, r.HandleReceipt(t.Context(), rc), otp.ReasonUnavailable, otp.ErrUnavailable)
			}
			f.setDown("")
			handle(t, r.Service, rc)
			synctest.Wait()
			if r.total() != 2 || r.b.count() != 1 {
				t.Errorf("%s: %d messages, %d by B", what, r.total(), r.b.count())
			}
		})
	}
}

// The failure of a challenge that has ended needs no queue.
func TestReceiptAfterTheEnd(t *testing.T) {
	t.Parallel()
	f := &faulty{backend: newStore(t)}
	r := newRig(t, func(c *otp.Config) { c.Store = f })
	r.cfg.Channel = r.failover(t, await)
	r.Service = r.another(t)
	r.cancel(t, r.send(t, otp.Request{}).ID)
	f.setDown("Enqueue")
	handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
}

// What is refused by a store or a queue that is full costs nothing; what may
// have been stored by one that is down does.
func TestFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what   string
		err    error
		reason otp.Reason
		then   otp.Reason // of another Send
	}{
		{"Create", store.ErrFull, otp.ReasonFull, ""},
		{"Create", errDown, otp.ReasonUnavailable, otp.ReasonLimited},
		{"Enqueue", store.ErrFull, otp.ReasonFull, ""},
		{"Enqueue", errDown, otp.ReasonUnavailable, ""},
	} {
		f := &faulty{backend: newStore(t), down: c.what, err: c.err}
		r := newRig(t, func(cfg *otp.Config) {
			cfg.Store, cfg.Async, cfg.Policy.PerRecipient = f, true, []otp.Rate{{Most: 1, Per: time.Hour}}
		})
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
		wantReason(t, err, c.reason, otp.ErrUnavailable)
		f.setDown("")
		if _, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both}); otp.ReasonOf(err) != c.then {
			t.Errorf("%+v: then %v", c, err)
		}
	}
}

// A Send that fails while its caller leaves is void, and costs nothing.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at    string // the call that fails, and at whose end the caller leaves
		async bool
	}{{"Create", false}, {"Create", true}, {"Enqueue", true}, {"Channel", false}} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), after: c.at == "Enqueue", err: store.ErrFull}
			r := newRig(t, func(cfg *otp.Config) {
				cfg.Store, cfg.Async, cfg.Policy.PerRecipient = f, c.async, []otp.Rate{{Most: 1, Per: time.Hour}}
			})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			f.hook = func(what string) {
				if what == c.at {
					leave()
				}
			}
			f.setDown(c.at)
			routes := r.cfg.Channel
			r.cfg.Receipts, r.cfg.Channel = nil, channel.Func(func(ctx context.Context, m *channel.Message) (sub channel.Submission, err error) {
				err = f.call("Channel", func() error { sub, err = routes.Send(ctx, m); return err })
				if errors.Is(err, store.ErrFull) {
					err = refusal(channel.Unreachable, "")
				}
				return sub, err
			})
			r.Service = r.another(t)
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}}
			if _, err := r.Send(ctx, q); err == nil || ctx.Err() == nil {
				t.Fatalf("%+v: %v, and the caller: %v", c, err, ctx.Err())
			}
			f.setDown("")
			work(t, r.Service)
			<-time.After(time.Minute)
			if n := r.total(); n != 0 {
				t.Errorf("%+v: %d messages", c, n)
			}
			r.send(t, q)
		})
	}
}
