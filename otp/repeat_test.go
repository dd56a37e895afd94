package otp_test

import (
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

// A challenge that is stored, and whose sender was not told so and has gone, is
// sent by the repeated request: with Async at once, else when the lease of the
// first is over.
func TestCreateAnswerLost(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		synctest.Test(t, func(t *testing.T) {
			f := &faulty{backend: newStore(t), down: m.creates(), after: true, opens: m.opens}
			r := newRig(t, func(c *otp.Config) {
				m.apply(c)
				c.Store = f
			})
			request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
			ctx, leave := context.WithCancel(t.Context()) // as callers do whose time is up
			defer leave()
			f.hook = func(what string) {
				if what == m.creates() {
					leave()
				}
			}
			_, err := r.Send(ctx, request)
			wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
			f.setDown("")
			work(t, r.Service)
			if m.takeover == 0 {
				r.send(t, request)
				if !m.async {
					<-time.After(lease)
				}
			} else {
				<-time.After(lease)
			}
			c := r.send(t, request)
			synctest.Wait()
			if s := r.status(t, c.ID); !c.Repeated || s.State != channel.Sent || r.total() != 1 {
				t.Fatalf("%+v: %+v, %d messages", m, s, r.total())
			}
			r.verify(t, c.ID)
		})
	}
}

// An answer that is lost so late that a repeated request has begun to send takes
// nothing from that.
func TestCreateAnswerLostLate(t *testing.T) {
	t.Parallel()
	for _, m := range []mode{{}, {opens: true}} {
		synctest.Test(t, func(t *testing.T) { createAnswerLostLate(t, m) })
	}
}

func createAnswerLostLate(t *testing.T, m mode) {
	f := &faulty{backend: newStore(t), down: m.creates(), after: true, opens: m.opens}
	r := newRig(t, func(c *otp.Config) { c.Store = f })
	r.a.hook = func(*channel.Message, string) { <-time.After(3 * time.Second) }
	request := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
	var once sync.Once
	f.hook = func(what string) {
		if what != m.creates() {
			return
		}
		once.Do(func() {
			<-time.After(lease)
			go func() { _, _ = r.Send(t.Context(), request) }()
			<-time.After(time.Second)
		})
	}
	_, err := r.Send(t.Context(), request)
	wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
	f.setDown("")
	r.send(t, request)
	<-time.After(time.Minute)
	if r.total() != 1 {
		t.Errorf("%+v: messages %v", m, r.sent())
	}
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
		if s, err := r.Status(t.Context(), ref(second.ID)); err != nil || s.State != channel.Sent {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// A repeat with other contents is another request, and one that comes too late
// is told so.
func TestRepeatsThatAreNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		first := otp.Request{IdempotencyKey: "k", Subject: "u1", To: both, Binding: []byte("1"), Details: "one",
			Route: "A"}
		r.send(t, first)
		for name, change := range map[string]func(*otp.Request){
			"to":      func(q *otp.Request) { q.To.Email = "bob@example.com" },
			"binding": func(q *otp.Request) { q.Binding = []byte("2") },
			"details": func(q *otp.Request) { q.Details = "two" },
			"route":   func(q *otp.Request) { q.Route = "B" },
			"own":     func(q *otp.Request) { q.Reference = "another" },
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

// Repeats at one moment are one challenge and one message, and count once: those
// of the first request, and those of one that was refused.
func TestParallelRepeatsCountOnce(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, refused := range []bool{false, true} {
			for _, slow := range []string{"", "Get", "Take", "Create", "Update", "Enqueue"} {
				t.Run(fmt.Sprintf("%+v,refused=%v,slow=%s", m, refused, slow), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						f := &faulty{backend: newStore(t)}
						r := newRig(t, func(c *otp.Config) {
							m.apply(c)
							c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 8, Per: time.Hour}}
						})
						work(t, r.Service)
						q := otp.Request{Subject: "u1", To: channel.Recipient{Phone: both.Phone}, Route: "A",
							IdempotencyKey: "k"}
						want := 1
						if refused {
							want = 2
							r.a.fail(refusal(channel.Unreachable, "0x45"))
							if _, err := r.Send(t.Context(), q); (err == nil) != m.async {
								t.Fatal(err)
							}
							synctest.Wait()
						}
						f.hooks(func(what string) {
							if what == slow {
								<-time.After(100 * time.Millisecond) // for all to have come as far
							}
						}, nil)
						var mu sync.Mutex
						ids := map[string]bool{}
						fresh := 0
						var wg sync.WaitGroup
						for range 5 {
							wg.Go(func() {
								c, err := r.Send(t.Context(), q)
								if err != nil {
									t.Error(err)
									return
								}
								mu.Lock()
								defer mu.Unlock()
								ids[c.ID] = true
								if !c.Repeated {
									fresh++
								}
							})
						}
						wg.Wait()
						<-time.After(time.Minute)
						if n := r.a.count(); n != want || len(ids) != 1 {
							t.Errorf("%d messages, want %d; %d challenges", n, want, len(ids))
						}
						if first := 2 - want; fresh != first {
							t.Errorf("%d of the calls were no repeats, want %d", fresh, first)
						}
						f.hooks(nil, nil)
						r.allows(t, 7, slow)
					})
				})
			}
		}
	}
}

// So are repeated Resends, at one moment or one after the other.
func TestRepeatedResendsCountOnce(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, parallel := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(c *otp.Config) {
					m.apply(c)
					c.Policy.PerRecipient = []otp.Rate{{Most: 8, Per: time.Hour}}
				})
				work(t, r.Service)
				id := r.send(t, otp.Request{}).ID
				<-time.After(40 * time.Second)
				var mu sync.Mutex
				fresh := 0
				resend := func() {
					c, err := r.Resend(t.Context(), otp.ResendRequest{ID: id, Subject: "u1", IdempotencyKey: "again"})
					mu.Lock()
					defer mu.Unlock()
					if err != nil || c.SendsLeft != 1 {
						t.Errorf("%+v, parallel=%v: %+v, %v", m, parallel, c, err)
					} else if !c.Repeated {
						fresh++
					}
				}
				var wg sync.WaitGroup
				for range 5 {
					if parallel {
						wg.Go(resend)
					} else {
						resend()
					}
				}
				wg.Wait()
				<-time.After(time.Minute)
				if n := r.total(); n != 2 || fresh != 1 {
					t.Errorf("%+v, parallel=%v: %d messages, %d of the calls were no repeats", m, parallel, n, fresh)
				}
				r.allows(t, 6, "then")
			})
		}
	}
}

// A repeated Verify has the first one's result, whatever it was, and charges
// nothing; another code under the same key is another call.
func TestRepeatedVerifies(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.send(t, otp.Request{})
	code := r.a.messages()[0].Code
	v := otp.Verification{ID: c.ID, Subject: "u1", Code: another6(code), IdempotencyKey: "k"}
	for range 3 {
		if e := wantReason(t, verify(t.Context(), r, v), otp.ReasonWrong, otp.ErrInvalidCode); e.AttemptsLeft != 4 {
			t.Errorf("%d attempts left", e.AttemptsLeft)
		}
	}
	if s := r.status(t, c.ID); s.AttemptsLeft != 4 {
		t.Errorf("%+v", s)
	}
	v.Code = code
	for i := range 3 {
		if got, err := r.Verify(t.Context(), v); err != nil || got.Outcome != store.Verified ||
			got.Repeated != (i > 0) {
			t.Errorf("call %d: %+v, %v", i, got, err)
		}
	}
	v.Code = strings.Join(strings.Split(code, ""), " ")
	if err := verify(t.Context(), r, v); err != nil {
		t.Errorf("the same code, typed otherwise: %v", err)
	}
	v.IdempotencyKey = "another"
	wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
	v.IdempotencyKey = ""
	wantReason(t, verify(t.Context(), r, v), otp.ReasonClosed, otp.ErrInvalidCode)
}
