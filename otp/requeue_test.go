package otp_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// answers is a queue that answers each call when it is told to: nil, or that it
// has failed.
type answers struct {
	store.Queue
	calls chan chan error
}

func (q answers) Enqueue(ctx context.Context, j store.Job) error {
	answer := make(chan error)
	q.calls <- answer
	err := <-answer
	if err != nil {
		return err
	}
	err = q.Queue.Enqueue(ctx, j)
	<-answer
	return err
}

// A request that is repeated while the queue has not answered the first is sent
// if its own job was queued, though the first fails then, before the repeat has
// its answer or after. It is one message, and counts as one.
func TestQueueFailsOnlyTheFirst(t *testing.T) {
	t.Parallel()
	const (
		beforeTheFirst = iota + 1 // fails, a worker comes
		beforeTheRepeat
		afterBoth
	)
	for _, c := range []struct {
		late, retry bool // the repeat's answer; of one that was refused
		works       int
		fails       bool // the first
	}{
		{false, false, afterBoth, false},
		{true, false, beforeTheFirst, false},
		{true, false, beforeTheRepeat, true},
		{true, false, afterBoth, true},
		{false, true, afterBoth, false},
		{true, true, afterBoth, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(cfg *otp.Config) {
				cfg.Async, cfg.Policy.PerRecipient = true, []otp.Rate{{Most: 2, Per: time.Hour}}
			})
			q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, IdempotencyKey: "k", Route: "A"}
			tried := 1
			if c.retry {
				tried = 2
				r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
				stop := work(t, r.Service)
				r.send(t, q)
				synctest.Wait()
				stop()
			}
			up := r.Service
			queue := answers{r.store, make(chan chan error)}
			r.cfg.Queue = queue
			r.Service = r.another(t)
			send := func() (answer, done chan error) {
				done = make(chan error, 1)
				go func() {
					_, err := r.Send(t.Context(), q)
					done <- err
				}()
				return <-queue.calls, done
			}
			come := func(when int) {
				if when == c.works {
					work(t, up)
				}
				synctest.Wait()
			}
			first, firstDone := send()
			repeat, repeatDone := send()
			repeat <- nil
			if !c.late {
				close(repeat)
			}
			come(beforeTheFirst)
			first <- errNoQueue
			if err := <-firstDone; (err != nil) != c.fails {
				t.Errorf("%+v: the first: %v", c, err)
			}
			come(beforeTheRepeat)
			if c.late {
				close(repeat)
			}
			if c.fails { // the repeat's job is void: another
				again := <-queue.calls
				again <- nil
				close(again)
			}
			if err := <-repeatDone; err != nil {
				t.Errorf("%+v: the repeat: %v", c, err)
			}
			come(afterBoth)
			if n := r.total(); n != tried {
				t.Fatalf("%+v: %d messages, want %d", c, n, tried)
			}
			q.IdempotencyKey = ""
			for _, reason := range []otp.Reason{"", otp.ReasonLimited} {
				if _, err := up.Send(t.Context(), q); otp.ReasonOf(err) != reason {
					t.Errorf("%+v: then %v, want %q", c, err, reason)
				}
			}
		})
	}
}

// That holds for the step that was queued again only: the next that cannot be
// queued fails, and is not sent later.
func TestQueueDownForARetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &flakyQueue{lost: true}
		r := newRig(t, func(c *otp.Config) { c.Async = true })
		q.Queue = r.store
		r.cfg.Queue = q
		r.Service = r.another(t)
		r.a.errs = []error{refusal(channel.Unreachable, "0x45")}
		request := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, IdempotencyKey: "k", Route: "A"}
		r.send(t, request)
		r.send(t, request)
		stop := work(t, r.Service)
		synctest.Wait()
		stop()
		q.down.Store(true)
		c, err := r.Send(t.Context(), request)
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		if c.State != channel.Failed {
			t.Errorf("%+v", c)
		}
		work(t, r.Service)
		<-time.After(time.Minute)
		if n := r.a.count(); n != 1 {
			t.Errorf("%d messages, and one was refused", n)
		}
	})
}

// A queue that fails a Send after its time is up takes nothing from the repeat
// that has sent the message meanwhile.
func TestQueueFailsAfterTakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *otp.Config) { c.Policy.PerRecipient = []otp.Rate{{Most: 1, Per: time.Hour}} })
		queue := answers{r.store, make(chan chan error)}
		r.cfg.Queue = queue
		r.Service = r.another(t)
		q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, IdempotencyKey: "k"}
		done := make(chan error, 1)
		go func() {
			_, err := r.Send(t.Context(), q)
			done <- err
		}()
		first := <-queue.calls
		<-time.After(20 * time.Second)
		r.cfg.Queue = r.store
		up := r.another(t)
		c, err := up.Send(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		first <- errNoQueue
		if err := <-done; err != nil {
			t.Errorf("the first: %v", err)
		}
		if s, err := r.Status(t.Context(), c.ID); err != nil || s.State != channel.Sent || r.total() != 1 {
			t.Errorf("%+v, %v, %d messages", s, err, r.total())
		}
		q.IdempotencyKey = ""
		_, err = up.Send(t.Context(), q)
		wantReason(t, err, otp.ReasonLimited, otp.ErrWait)
	})
}
