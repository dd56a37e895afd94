package otp_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// faulty is a backend whose n-th call fails, or all of one name: before they are
// done, or after, so that only the answer is lost.
type faulty struct {
	backend
	mu    sync.Mutex
	calls int
	fail  int  // the call that fails, from 1; 0: none
	also  int  // how many after it fail too
	after bool // only the answer is lost
	what  string

	down string            // the calls that fail, by name
	err  error             // what they fail with; default errDown
	hook func(what string) // at the end of each
}

func (f *faulty) setDown(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = what
}

func (f *faulty) call(what string, do func() error) error {
	f.mu.Lock()
	f.calls++
	nth := f.fail > 0 && f.calls >= f.fail && f.calls <= f.fail+f.also
	if nth {
		f.what += what
	}
	fails := nth || what == f.down
	f.mu.Unlock()
	if f.hook != nil {
		defer f.hook(what)
	}
	if fails && !f.after {
		return cmp.Or(f.err, errDown)
	}
	err := do()
	if fails {
		return cmp.Or(f.err, errDown)
	}
	return err
}

func (f *faulty) record(what string, do func() (*store.Record, error)) (r *store.Record, err error) {
	failed := f.call(what, func() error { r, err = do(); return err })
	if failed != nil && !errors.Is(err, failed) { // ours, not the backend's
		return nil, failed
	}
	return r, failed
}

func (f *faulty) Create(ctx context.Context, r *store.Record, now time.Time) error {
	return f.call("Create", func() error { return f.backend.Create(ctx, r, now) })
}

func (f *faulty) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return f.record("Get", func() (*store.Record, error) { return f.backend.Get(ctx, id, now) })
}

func (f *faulty) Attempt(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return f.record("Attempt", func() (*store.Record, error) { return f.backend.Attempt(ctx, id, now) })
}

func (f *faulty) Finish(ctx context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
	return f.record("Finish", func() (*store.Record, error) { return f.backend.Finish(ctx, id, o, now) })
}

func (f *faulty) Resend(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return f.record("Resend", func() (*store.Record, error) { return f.backend.Resend(ctx, id, now) })
}

func (f *faulty) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
	return f.record("Update", func() (*store.Record, error) { return f.backend.Update(ctx, id, revision, delivery, now) })
}

func (f *faulty) Take(ctx context.Context, now time.Time, limits ...store.Limit) (d store.Decision, err error) {
	err = f.call("Take", func() error { d, err = f.backend.Take(ctx, now, limits...); return err })
	return d, err
}

func (f *faulty) Give(ctx context.Context, now time.Time, limits ...store.Limit) error {
	return f.call("Give", func() error { return f.backend.Give(ctx, now, limits...) })
}

func (f *faulty) Track(ctx context.Context, key, message string, expires, now time.Time) (early [][]byte, err error) {
	err = f.call("Track", func() error { early, err = f.backend.Track(ctx, key, message, expires, now); return err })
	return early, err
}

func (f *faulty) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error) {
	err = f.call("Match", func() error { message, err = f.backend.Match(ctx, key, receipt, expires, now); return err })
	return message, err
}

func (f *faulty) Enqueue(ctx context.Context, j store.Job) error {
	return f.call("Enqueue", func() error { return f.backend.Enqueue(ctx, j) })
}

// TestEachCallFails lets each call to the backend fail once, in turn, while a
// person asks for a code, repeats the request as programs do, and verifies.
// However it fails: one code reaches the person, in one message, and passes
// once.
func TestEachCallFails(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for n := 0; ; n++ {
				var what string
				synctest.Test(t, func(t *testing.T) { what = eachCallFails(t, async, after, n) })
				if n > 0 && what == "" {
					break // there are fewer calls than n
				}
				if n > 60 {
					t.Fatal("there is no end to the calls")
				}
			}
		}
	}
}

func eachCallFails(t *testing.T, async, after bool, n int) string {
	f := &faulty{backend: newStore(t), fail: n, after: after}
	r := newRig(t, func(c *otp.Config) { c.Store, c.Async = f, async })
	r.cfg.Channel = r.failover(t, time.Minute)
	r.Service = r.another(t)
	work(t, r.Service)
	where := func() string { return fmt.Sprintf("async=%v after=%v call %d (%s)", async, after, n, f.what) }
	q := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
	c, err := r.Send(t.Context(), q)
	synctest.Wait()
	for range 4 {
		if err == nil && r.a.count() > 0 {
			break
		}
		if async {
			time.Sleep(20 * time.Second) // past a worker's lease
		}
		time.Sleep(time.Second)
		c, err = r.Send(t.Context(), q)
		synctest.Wait()
	}
	if err != nil || r.a.count() == 0 {
		t.Fatalf("%s: %v after %d messages", where(), err, r.a.count())
	}
	synctest.Wait()
	for range 3 { // a provider repeats a receipt that was not acknowledged
		for i := range r.a.count() {
			rc := channel.Receipt{Route: "A", ProviderID: fmt.Sprintf("a-%d", i+1), State: channel.Delivered}
			if err := r.HandleReceipt(t.Context(), rc); err != nil && !errors.Is(err, errDown) {
				t.Errorf("%s: %v", where(), err)
			}
		}
	}
	passed := 0
	for range 4 {
		err := r.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code})
		if err == nil {
			passed++
		}
	}
	time.Sleep(4 * time.Minute)
	synctest.Wait()
	lost := after && f.what == "Finish" // the code was consumed, and nobody was told
	if passed != 1 && !lost || passed > 1 {
		t.Errorf("%s: the code passed %d times", where(), passed)
	}
	total := r.a.count() + r.b.count() + r.mail.count()
	// Where an outcome is not recorded its message looks unsent, and where
	// the tracking fails its receipt looks missing: either costs a second
	// message with the same code. Nothing costs a third.
	most := 1
	if f.what == "Update" || f.what == "Track" || f.what == "Get" || f.what == "Match" {
		most = 2
	}
	if total < 1 || total > most {
		t.Errorf("%s: %d messages (A %d, B %d, M %d)", where(), total, r.a.count(), r.b.count(), r.mail.count())
	}
	return f.what
}

// A challenge that is stored, and whose sender was not told so, is sent by the
// repeated request; after Takeover where the store failed once more.
func TestCreateAnswerLost(t *testing.T) {
	t.Parallel()
	for _, queue := range []bool{false, true} {
		for what, takeover := range map[string]bool{"Create": false, "CreateGet": true} {
			synctest.Test(t, func(t *testing.T) {
				f := &faulty{backend: newStore(t), fail: 3, after: true}
				if takeover {
					f.also = 1
				}
				r := newRig(t, func(c *otp.Config) { c.Store = f })
				if queue {
					r.cfg.Queue = f
				}
				r.Service = r.another(t)
				request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
				ctx, leave := context.WithCancel(t.Context()) // as callers do whose time is up
				defer leave()
				f.hook = func(what string) {
					if what == "Create" {
						leave()
					}
				}
				_, err := r.Send(ctx, request)
				wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
				if f.what != what {
					t.Fatalf("%s failed, want %s", f.what, what)
				}
				if takeover {
					r.send(t, request)
					<-time.After(20 * time.Second)
				}
				c := r.send(t, request)
				if c.State != channel.Sent || r.total() != 1 {
					t.Fatalf("queue=%v, %s: %+v, %d messages", queue, what, c, r.total())
				}
				r.verify(t, c.ID)
			})
		}
	}
}

// An answer that is lost so late that a repeated request has begun to send takes
// nothing from that.
func TestCreateAnswerLostLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{backend: newStore(t), fail: 3, after: true}
		r := newRig(t, func(c *otp.Config) { c.Store = f })
		r.a.hook = func(*channel.Message, string) { <-time.After(10 * time.Second) }
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		f.hook = func(what string) {
			if what == "Create" {
				<-time.After(20 * time.Second)
				go func() { _, _ = r.Send(t.Context(), request) }()
				<-time.After(time.Second)
			}
		}
		_, err := r.Send(t.Context(), request)
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		r.send(t, request)
		<-time.After(time.Minute)
		if r.total() != 1 {
			t.Errorf("%d messages", r.total())
		}
	})
}

// A request that is repeated while its message is on the way, or again, sends
// nothing more.
func TestRepeatsWhileRetrying(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, IdempotencyKey: "k", Route: "A"}
		r.a.errs = []error{refusal(channel.Temporary, "0x08")}
		if _, err := r.Send(t.Context(), q); !errors.Is(err, otp.ErrUndelivered) {
			t.Fatal(err)
		}
		r.a.hook = func(*channel.Message, string) { time.Sleep(3 * time.Second) }
		for range 4 {
			go func() {
				if c, err := r.Send(t.Context(), q); err != nil || c.State == channel.Failed {
					t.Errorf("%+v, %v", c, err)
				}
			}()
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if n := r.a.count(); n != 2 {
			t.Errorf("%d messages, want the refused one and one more", n)
		}
		// One message went out, so four more may follow within the limit of five.
		for range 4 {
			r.send(t, otp.Request{To: channel.Recipient{Phone: both.Phone}})
		}
		_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}})
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
}

// The second challenge of an idempotency key has the id of the first, but not
// its messages' ids, and not its receipts.
func TestIdempotencyKeyUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		first := r.send(t, otp.Request{IdempotencyKey: "k"})
		time.Sleep(6 * time.Minute)
		second := r.send(t, otp.Request{IdempotencyKey: "k"})
		m := r.a.messages()
		if first.ID != second.ID || m[0].ID == m[1].ID {
			t.Errorf("challenges %s, %s with messages %s, %s", first.ID, second.ID, m[0].ID, m[1].ID)
		}
		handle(t, r.Service, channel.Receipt{Route: "A", MessageID: m[0].ID, State: channel.Failed})
		if s, err := r.Status(t.Context(), second.ID); err != nil || s.State != channel.Sent {
			t.Errorf("%+v, %v", s, err)
		}
	})
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
			if s, err := r.Status(t.Context(), c.ID); err != nil || s.State != channel.Sent || s.Route != "B" || r.mail.count() != 0 {
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
			if s, err := r.Status(t.Context(), c.ID); err != nil || s.State != channel.Sent {
				t.Errorf("after %s: %v, %v", part, s.State, err)
			}
		}
		work(t, r.Service)
		time.Sleep(await + time.Second) // B has taken over
		handle(t, r.Service, channel.Receipt{Route: "A", MessageID: id + ".1.3", State: channel.Delivered})
		if s, err := r.Status(t.Context(), c.ID); err != nil || s.State != channel.Sent || s.Route != "B" {
			t.Errorf("%+v, %v", s, err)
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

// Who is slow, but alive, has the step to itself until its time is up, and
// stops sending before, whatever of that time the queue has used up.
func TestTakeoverFromTheLiving(t *testing.T) {
	t.Parallel()
	for _, queueing := range []time.Duration{0, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.cfg.Queue, r.cfg.Receipts = r.store, nil
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

// A resend by a route that cannot be costs nothing.
func TestResendByAWrongRoute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{To: channel.Recipient{Phone: both.Phone}})
		time.Sleep(time.Minute)
		for route, field := range map[string]string{"typo": "Route", "M": "To"} {
			_, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID, Route: route})
			if e := wantReason(t, err, otp.ReasonInvalid, otp.ErrInvalidRequest); e.Field != field {
				t.Errorf("%s: %+v", route, e)
			}
		}
		if s, err := r.Status(t.Context(), c.ID); err != nil || s.SendsLeft != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		if got, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID}); err != nil || got.Route != "A" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// The first send's late outcome does not count for the resend: that begins
// with the first route again.
func TestResendOvertakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Policy.Waits = []time.Duration{time.Second} })
		r.cfg.Channel = r.failover(t, await)
		r.Service = r.another(t)
		r.a.errs = []error{refusal(channel.Temporary, "0x08")}
		var slow sync.Once
		r.b.hook = func(*channel.Message, string) { slow.Do(func() { time.Sleep(5 * time.Second) }) }
		go func() { _, _ = r.Send(t.Context(), otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}) }()
		time.Sleep(2 * time.Second)
		c := r.send(t, otp.Request{IdempotencyKey: "k"})
		again, err := r.Resend(t.Context(), otp.ResendRequest{ID: c.ID})
		if err != nil || again.Route != "A" {
			t.Fatalf("%+v, %v", again, err)
		}
		time.Sleep(5 * time.Second) // B has answered meanwhile
		work(t, r.Service)
		handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-2", State: channel.Failed})
		time.Sleep(time.Second)
		if r.b.count() != 2 || r.mail.count() != 0 {
			t.Errorf("after the resend's failure: B %d, M %d", r.b.count(), r.mail.count())
		}
	})
}

// twice gives every job to two workers at once, as a queue does that takes a
// slow worker for dead.
type twice struct{ jobs chan store.Job }

func (q twice) Enqueue(_ context.Context, j store.Job) error {
	q.jobs <- j
	return nil
}

func (q twice) Run(ctx context.Context, _ int, handle func(context.Context, store.Job) error) error {
	for {
		select {
		case j := <-q.jobs:
			for range 2 {
				go func() { _ = handle(ctx, j) }()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestTwoWorkersWithOneJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Async = true; c.Queue = twice{make(chan store.Job, 8)} })
		r.a.hook = func(*channel.Message, string) { time.Sleep(3 * time.Second) }
		work(t, r.Service)
		r.send(t, otp.Request{})
		time.Sleep(10 * time.Second)
		if n := r.a.count(); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

// A repeat with other contents is another request, and one that comes too late
// is told so.
func TestRepeatsThatAreNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		first := otp.Request{IdempotencyKey: "k", Subject: "u1", To: both, Binding: []byte("1"), Details: "one", Route: "A"}
		r.send(t, first)
		for name, change := range map[string]func(*otp.Request){
			"to":      func(q *otp.Request) { q.To.Email = "bob@example.com" },
			"binding": func(q *otp.Request) { q.Binding = []byte("2") },
			"details": func(q *otp.Request) { q.Details = "two" },
			"route":   func(q *otp.Request) { q.Route = "B" },
		} {
			q := first
			change(&q)
			if _, err := r.Send(t.Context(), q); otp.ReasonOf(err) != otp.ReasonConflict {
				t.Errorf("another %s: %v", name, err)
			}
		}
		r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
		late := otp.Request{IdempotencyKey: "late", Subject: "u1", To: both, Route: "A"}
		if _, err := r.Send(t.Context(), late); !errors.Is(err, otp.ErrUndelivered) {
			t.Fatal(err)
		}
		time.Sleep(4*time.Minute + time.Second)
		_, err := r.Send(t.Context(), late)
		wantReason(t, err, otp.ReasonExpired, otp.ErrInvalidCode)
	})
}

// What a channel says too much of stays out of errors and events.
func TestCarelessChannel(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *otp.Config) { c.Receipts = nil })
	r.cfg.Channel = channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, &channel.Error{Class: channel.InvalidRecipient, Op: "test: send", Code: "550",
			Err: fmt.Errorf("<%s> or %s unknown, cannot send %q", strings.ToUpper(m.To.Email), m.To.Phone[1:], m.Text)}
	})
	_, err := r.another(t).Send(t.Context(), otp.Request{Subject: "u1", To: both})
	if channel.ClassOf(err) != channel.InvalidRecipient || !errors.Is(err, otp.ErrUndelivered) {
		t.Fatal(err)
	}
	want := `otp: not delivered: test: send: invalid recipient (550): <***> or *** unknown, cannot send "*** is your MyBank code. It expires in 5 minutes. Do not share it."`
	if err.Error() != want || !strings.Contains(r.last().Err.Error(), "<***> or ***") {
		t.Errorf("error %q, event %q", err, r.last().Err)
	}
}
