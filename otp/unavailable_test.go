package otp_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// While the queue is down Send fails, whether or not the queue took the job. With
// Takeover nothing is stored and nothing counted; with Async alone the message
// may still come, and the Challenge says so. The same request succeeds
// afterwards, with one message.
func TestQueueDown(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{{async: true}, {takeover: lease}, {async: true, takeover: lease},
		{async: true, opens: true}} {
		for _, lost := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := &faulty{backend: newStore(t), down: "Enqueue", after: lost, err: errNoQueue, opens: m.opens}
				r := newRig(t, func(c *otp.Config) {
					m.apply(c)
					c.Store, c.Policy.PerRecipient, c.Policy.PerIP = f, perHour, perHour
				})
				stored := m.takeover == 0
				request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k",
					IP: netip.MustParseAddr("192.0.2.1")}
				for range 3 {
					c, err := r.Send(t.Context(), request)
					wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
					if !errors.Is(err, errNoQueue) || (c != nil) != stored {
						t.Errorf("%+v, lost=%v: %+v, %v", m, lost, c, err)
					}
				}
				work(t, r.Service)
				time.Sleep(time.Minute)
				want := 0
				if stored && lost {
					want = 1
				}
				if n := r.total(); n != want {
					t.Errorf("%+v, lost=%v: %d messages while it is down", m, lost, n)
				}
				f.setDown("")
				c, err := r.Send(t.Context(), request)
				synctest.Wait()
				if err != nil || r.total() != 1 {
					t.Fatalf("%+v, lost=%v: %v, %d messages when it is up", m, lost, err, r.total())
				}
				r.verify(t, c.ID)
				time.Sleep(4 * time.Minute)
				if n := r.total(); n != 1 {
					t.Errorf("%+v, lost=%v: %d messages in the end", m, lost, n)
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
		f := &faulty{backend: newStore(t)}
		r := newRig(t, func(c *otp.Config) {
			c.Store, c.Async, c.Policy.PerRecipient, c.Policy.PerIP = f, true, []otp.Rate{}, []otp.Rate{}
		})
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		first := r.send(t, request)
		f.setDown("Enqueue")
		c, err := r.Send(t.Context(), request)
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		if c.ID != first.ID || c.State != channel.Queued {
			t.Errorf("%+v", c)
		}
		f.setDown("")
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

// A worker that has the job before the queue's answer is lost sends the message,
// once.
func TestQueueAnswerLost(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), down: "Enqueue", after: true}
			f.hook = func(what string) {
				if what == "Enqueue" {
					time.Sleep(time.Second)
				}
			}
			r := newRig(t, func(c *otp.Config) { c.Store, c.Async = f, true })
			r.a.hook = func(*channel.Message, string) { time.Sleep(took) }
			work(t, r.Service)
			c, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			time.Sleep(time.Minute)
			if s := r.status(t, c.ID); s.State != channel.Sent || r.total() != 1 {
				t.Errorf("a worker that takes %v: %+v, %d messages", took, s, r.total())
			}
			r.verify(t, c.ID)
		})
	}
}

// A Resend that cannot be queued leaves what was sent before as it is: its
// receipt, and its route's successor. With Takeover nothing is recorded. Else
// the message may still come, with the next look at the challenge.
func TestQueueDownForAResend(t *testing.T) {
	t.Parallel()
	for _, takeover := range []time.Duration{0, lease} {
		for _, lost := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := &faulty{backend: newStore(t), after: lost}
				r := newRig(t, func(c *otp.Config) {
					c.Store, c.Async, c.Takeover = f, true, takeover
					c.Policy.Waits = []time.Duration{10 * time.Second, 30 * time.Second}
				})
				r.cfg.Channel = r.failover(t, await)
				r.Service = r.another(t)
				stop := work(t, r.Service)
				id := r.send(t, otp.Request{RequestID: "first"}).ID
				time.Sleep(10 * time.Second)
				stop()
				f.setDown("Enqueue")
				c, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1", Route: "M",
					RequestID: "second"})
				wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
				recorded := takeover == 0
				if (c != nil) != recorded {
					t.Errorf("%v, lost=%v: %+v", takeover, lost, c)
				}
				f.setDown("")
				handle(t, r.Service, channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Failed})
				work(t, r.Service)
				time.Sleep(await / 2)
				want, request := [3]int{1, 1, 0}, "first"
				if recorded { // it overtakes the failover
					want, request = [3]int{1, 0, 1}, "second"
				}
				if got, e := r.sent(), r.last(); got != want || e.Kind != otp.EventSent || e.RequestID != request {
					t.Errorf("%v, lost=%v: messages %v, want %v; event %+v", takeover, lost, got, want, e)
				}
				r.verify(t, id)
			})
		}
	}
}

// A request that is repeated after its job has become a dead letter is queued
// again, and is one message.
func TestRepeatedAfterDeadLetter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memstore.New(memstore.Config{JobAttempts: 2})
		f := &faulty{backend: m, down: "Update"}
		r := newRig(t, func(c *otp.Config) { c.Store, c.Async = f, true })
		work(t, r.Service)
		request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
		r.send(t, request)
		time.Sleep(30 * time.Second)
		if dead, err := m.Dead(t.Context(), 10); err != nil || len(dead) != 1 || dead[0].Reason != store.Failed ||
			r.total() != 0 {
			t.Fatalf("%+v, %v, %d messages", dead, err, r.total())
		}
		f.setDown("")
		c := r.send(t, request)
		synctest.Wait()
		r.send(t, request)
		r.verify(t, c.ID)
		time.Sleep(4 * time.Minute)
		if n := r.total(); n != 1 {
			t.Errorf("%d messages in the end", n)
		}
	})
}

// Whichever call to the store fails: nothing is sent that is not recorded,
// nobody is verified, and no wrong error says otherwise.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, c := range []struct{ down, call string }{
			{"Create", "Send"}, {"Take", "Send"}, {"Get", "keyed Send"}, {"everything", "Send"},
			{"Get", "Resend"}, {"Update", "Resend"}, {"Take", "Resend"}, {"everything", "Resend"},
			{"Attempt", "Verify"}, {"Finish", "Verify"}, {"everything", "Verify"},
			{"Finish", "Cancel"}, {"CancelAll", "CancelAll"}, {"Get", "Status"},
		} {
			t.Run(fmt.Sprintf("%+v,%+v", m, c), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, m.apply)
					work(t, r.Service)
					up := r.Service
					ch := r.send(t, otp.Request{})
					time.Sleep(time.Minute)
					sent := r.total()
					f := &faulty{backend: r.store, down: c.down, opens: m.opens}
					if c.call == "Send" && (c.down == "Create" || c.down == "Take" && m.creates() == "Open") {
						f.down = m.creates()
					}
					r.cfg.Store = f
					down := r.another(t)
					right := otp.Verification{ID: ch.ID, Subject: "u1", Code: r.a.messages()[0].Code}
					var err error
					switch c.call {
					case "Send":
						_, err = down.Send(t.Context(), otp.Request{Subject: "u1", To: both})
					case "keyed Send":
						_, err = down.Send(t.Context(), otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"})
					case "Resend":
						_, err = down.Resend(t.Context(), otp.ResendRequest{ID: ch.ID, Subject: "u1"})
					case "Verify":
						err = verify(t.Context(), down, right)
					case "Cancel":
						err = down.Cancel(t.Context(), ref(ch.ID))
					case "CancelAll":
						err = down.CancelAll(t.Context(), otp.Scope{Subject: "u1"})
					case "Status":
						_, err = down.Status(t.Context(), ref(ch.ID))
					}
					wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
					if !errors.Is(err, errDown) {
						t.Errorf("the cause is lost: %v", err)
					}
					time.Sleep(time.Minute)
					if n := r.total(); n != sent {
						t.Errorf("%d messages beyond the record", n-sent)
					}
					if err := verify(t.Context(), up, right); err != nil {
						t.Errorf("when it is up again: %v", err)
					}
				})
			})
		}
	}
}

// A worker that cannot claim a step does not send it.
func TestStoreDownForAWorker(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"Get", "Update"} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), down: what}
			r := newRig(t, func(c *otp.Config) { c.Store, c.Async = f, true })
			c := r.send(t, otp.Request{})
			work(t, r.Service)
			time.Sleep(time.Minute)
			if r.total() != 0 {
				t.Errorf("%s: %d messages", what, r.total())
			}
			f.setDown("")
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
	for _, what := range []string{"Match", "Get", "Update", "Enqueue", "everything"} {
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

// A request that is refused by a store or a queue that is full costs nothing
// unless it was stored; one that may have been stored counts.
func TestFull(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what     string
		takeover time.Duration
		err      error
		reason   otp.Reason
		then     otp.Reason // of another Send
	}{
		{"Create", 0, store.ErrFull, otp.ReasonFull, ""},
		{"Create", lease, store.ErrFull, otp.ReasonFull, ""},
		{"Open", 0, store.ErrFull, otp.ReasonFull, ""},
		{"Open", 0, errDown, otp.ReasonUnavailable, ""}, // so nothing was taken
		{"Create", 0, errDown, otp.ReasonUnavailable, otp.ReasonLimited},
		{"Create", lease, errDown, otp.ReasonUnavailable, otp.ReasonLimited},
		{"Take", 0, store.ErrFull, otp.ReasonFull, ""},
		{"Enqueue", 0, store.ErrFull, otp.ReasonFull, otp.ReasonLimited}, // it is stored
		{"Enqueue", lease, store.ErrFull, otp.ReasonFull, ""},
		{"Enqueue", lease, errDown, otp.ReasonUnavailable, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), down: c.what, err: c.err, opens: c.what == "Open"}
			r := newRig(t, func(cfg *otp.Config) {
				cfg.Store, cfg.Async, cfg.Takeover, cfg.Policy.PerRecipient = f, true, c.takeover, perHour
			})
			_, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both})
			wantReason(t, err, c.reason, otp.ErrUnavailable)
			f.setDown("")
			if _, err := r.Send(t.Context(), otp.Request{Subject: "u1", To: both}); otp.ReasonOf(err) != c.then {
				t.Errorf("%+v: then %v", c, err)
			}
		})
	}
}

// hanging is a backend that does not answer before the call's time is over.
type hanging struct{ backend }

func (h hanging) Take(ctx context.Context, _ time.Time, _ ...store.Limit) (store.Decision, error) {
	<-ctx.Done()
	return store.Decision{}, ctx.Err()
}

func (h hanging) Give(ctx context.Context, _, _ time.Time, _ ...store.Limit) error {
	<-ctx.Done()
	return ctx.Err()
}

func (h hanging) Get(ctx context.Context, _ string, _ time.Time) (*store.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (h hanging) Attempt(ctx context.Context, _ string, _ store.Token, _ time.Time) (*store.Record, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A backend that does not answer holds up nobody for much longer than the
// caller's own deadline.
func TestBackendHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(t, otp.Request{})
		r.cfg.Store = hanging{r.store}
		down := r.another(t)
		for what, call := range map[string]func(context.Context) error{
			"Send": func(ctx context.Context) error {
				_, err := down.Send(ctx, otp.Request{Subject: "u1", To: both})
				return err
			},
			"keyed Send": func(ctx context.Context) error {
				_, err := down.Send(ctx, otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"})
				return err
			},
			"Resend": func(ctx context.Context) error {
				_, err := down.Resend(ctx, otp.ResendRequest{ID: c.ID, Subject: "u1"})
				return err
			},
			"Status": func(ctx context.Context) error {
				_, err := down.Status(ctx, ref(c.ID))
				return err
			},
			"Verify": func(ctx context.Context) error {
				return verify(ctx, down, otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code})
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			began := time.Now()
			err := call(ctx)
			cancel()
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%s took %v", what, took)
			}
		}
	})
}
