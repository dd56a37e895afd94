package otp_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// A mode is how messages go out.
type mode struct {
	async    bool
	takeover time.Duration
	opens    bool // a faulty backend is a store.Opener
}

var modes = []mode{{}, {takeover: lease}, {async: true}, {async: true, takeover: lease}, {opens: true},
	{async: true, opens: true}, {async: true, takeover: lease, opens: true}}

// creates names the call that creates a challenge.
func (m mode) creates() string {
	if m.opens && m.takeover == 0 {
		return "Open"
	}
	return "Create"
}

func (m mode) apply(c *otp.Config) { c.Async, c.Takeover = m.async, m.takeover }

// TestEachCallFails lets each call to the backend fail once, in turn, while a
// person asks for a code, repeats the request as programs do, and verifies.
// However it fails: one code reaches the person, in one message, and passes
// once. Afterwards the limits are exact.
func TestEachCallFails(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v,after=%v", m, after), func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					var what string
					synctest.Test(t, func(t *testing.T) { what = eachCallFails(t, m, after, n) })
					if n > 0 && what == "" {
						break // there are fewer calls than n
					}
					if n > 60 {
						t.Fatal("there is no end to the calls")
					}
				}
			})
		}
	}
}

func eachCallFails(t *testing.T, m mode, after bool, n int) string {
	f := &faulty{backend: newStore(t), fail: n, after: after, opens: m.opens}
	r := newRig(t, func(c *otp.Config) {
		m.apply(c)
		c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 3, Per: time.Hour}}
	})
	r.cfg.Channel = r.failover(t, time.Minute)
	r.Service = r.another(t)
	work(t, r.Service)
	where := func() string { return fmt.Sprintf("call %d (%s)", n, f.failed()) }
	q := otp.Request{Subject: "u1", To: both, IdempotencyKey: "k"}
	c, err := r.Send(t.Context(), q)
	synctest.Wait()
	for range 4 {
		if err == nil && r.a.count() > 0 {
			break
		}
		time.Sleep(time.Second)
		c, err = r.Send(t.Context(), q)
		synctest.Wait()
	}
	if err != nil || r.a.count() == 0 {
		t.Fatalf("%s: %v after %d messages", where(), err, r.a.count())
	}
	for range 3 { // a provider repeats a receipt that was not acknowledged
		rc := channel.Receipt{Route: "A", ProviderID: "a-1", State: channel.Delivered}
		if err := r.HandleReceipt(t.Context(), rc); err != nil && !errors.Is(err, errDown) {
			t.Errorf("%s: %v", where(), err)
		}
	}
	passed := 0
	for range 4 {
		if err := verify(t.Context(), r, otp.Verification{ID: c.ID, Subject: "u1",
			Code: r.a.messages()[0].Code}); err == nil {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%s: the code passed %d times", where(), passed)
	}
	time.Sleep(4*time.Minute + time.Second)
	if total := r.total(); total != 1 {
		t.Errorf("%s: messages by A, B, M: %v", where(), r.sent())
	}
	what := f.heal()
	r.allows(t, 2, where())
	return what
}

// allows fails unless the limit of both's number has room for n messages.
func (r *rig) allows(t *testing.T, n int, when string) {
	t.Helper()
	q := otp.Request{Subject: "counts", To: channel.Recipient{Phone: both.Phone}, Route: "A"}
	for i := range n + 1 {
		_, err := r.Send(t.Context(), q)
		if limited := otp.ReasonOf(err) == otp.ReasonLimited; limited != (i == n) || !limited && err != nil {
			t.Errorf("%s: message %d of %d that the limit has room for: %v", when, i+1, n, err)
			return
		}
	}
}

// A Resend survives the failure of each of its calls likewise: if it succeeds,
// or says that the message may come, one message follows. Else none does, and a
// repeat sends it.
func TestEachCallOfAResendFails(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v,after=%v", m, after), func(t *testing.T) {
				t.Parallel()
				for n := 1; n < 40; n++ {
					var what string
					synctest.Test(t, func(t *testing.T) { what = eachCallOfAResendFails(t, m, after, n) })
					if what == "" {
						break
					}
				}
			})
		}
	}
}

func eachCallOfAResendFails(t *testing.T, m mode, after bool, n int) string {
	f := &faulty{backend: newStore(t), after: after}
	r := newRig(t, func(c *otp.Config) {
		m.apply(c)
		c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 4, Per: time.Hour}}
	})
	work(t, r.Service)
	id := r.send(t, otp.Request{}).ID
	<-time.After(40 * time.Second)
	f.mu.Lock()
	f.fail = f.calls + n
	f.mu.Unlock()
	q := otp.ResendRequest{ID: id, Subject: "u1", IdempotencyKey: "again"}
	_, err := r.Resend(t.Context(), q)
	synctest.Wait()
	where := fmt.Sprintf("call %d (%s)", n, f.failed())
	if err != nil {
		wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
		<-time.After(time.Second)
		if _, err := r.Resend(t.Context(), q); err != nil {
			t.Errorf("%s: repeated: %v", where, err)
		}
	}
	<-time.After(2 * time.Minute)
	if got := r.sent(); got != [3]int{1, 1, 0} {
		t.Errorf("%s: messages by A, B, M: %v", where, got)
	}
	r.verify(t, id)
	what := f.heal()
	r.allows(t, 2, where)
	return what
}

// A code passes although the answer of a call was lost, if the caller repeats
// the Verify with its key: the same answer, and no further attempt charged.
func TestEachCallOfAVerifyFails(t *testing.T) {
	t.Parallel()
	for _, wrong := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for n := 1; n < 20; n++ {
				var what string
				synctest.Test(t, func(t *testing.T) {
					f := &faulty{backend: newStore(t), after: after, also: 2} // as often as the Service repeats it
					r := newRig(t, func(c *otp.Config) { c.Store = f })
					c := r.send(t, otp.Request{})
					v := otp.Verification{ID: c.ID, Subject: "u1", Code: r.a.messages()[0].Code,
						IdempotencyKey: "click-9"}
					if wrong {
						v.Code = another6(v.Code)
					}
					f.fail = f.calls + n
					_, err := r.Verify(t.Context(), v)
					if what = f.failed(); what == "" {
						return
					}
					wantReason(t, err, otp.ReasonUnavailable, otp.ErrUnavailable)
					for range 2 {
						got, err := r.Verify(t.Context(), v)
						if wrong {
							if e := wantReason(t, err, otp.ReasonWrong, otp.ErrInvalidCode); e.AttemptsLeft != 4 {
								t.Errorf("%s: %d attempts left", what, e.AttemptsLeft)
							}
						} else if err != nil || got.Route != "A" {
							t.Errorf("%s, after=%v: %+v, %v", what, after, got, err)
						}
					}
					v.IdempotencyKey = ""
					if err := verify(t.Context(), r, v); err == nil {
						t.Errorf("%s: passes twice", what)
					}
				})
				if what == "" {
					break
				}
			}
		}
	}
}

// A store or a queue that is away for three seconds after a message went out
// neither ends the delivery nor repeats the message.
func TestOutageAfterTheMessage(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, what := range []string{"Update", "Enqueue", "Track", "Get", "everything"} {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%+v,%s,after=%v", m, what, after), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						f := &faulty{backend: newStore(t), after: after}
						r := newRig(t, func(c *otp.Config) {
							m.apply(c)
							c.Store, c.Policy.PerRecipient = f, []otp.Rate{{Most: 3, Per: time.Hour}}
						})
						r.cfg.Channel = r.failover(t, 10*time.Second)
						r.Service = r.another(t)
						work(t, r.Service)
						r.a.hook = func(*channel.Message, string) {
							if r.a.count() > 1 {
								return
							}
							f.setDown(what)
							time.AfterFunc(3*time.Second, func() { f.setDown("") })
						}
						c := r.send(t, otp.Request{})
						time.Sleep(15 * time.Second) // A was silent
						if got := r.sent(); got != [3]int{1, 1, 0} {
							t.Errorf("messages by A, B, M: %v", got)
						}
						r.verify(t, c.ID)
						time.Sleep(4 * time.Minute)
						r.allows(t, 1, what)
					})
				})
			}
		}
	}
}

// A process that dies after any of the calls of its Send loses nothing with
// Takeover: what it stored is sent, once or, if the message may have been out,
// once more under the same Message.ID.
func TestDeathAnywhere(t *testing.T) {
	t.Parallel()
	for _, async := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			for n := 1; n < 30; n++ {
				ended := false
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(c *otp.Config) { c.Async, c.Takeover = async, lease })
					work(t, r.another(t))
					doomed, f := r.process(t)
					called := 0
					count := func(string) {
						if called++; called == n {
							f.die()
							f.mourn()
						}
					}
					if after {
						f.hook = count
					} else {
						f.pre = count
					}
					alive := false
					apart(func() {
						_, _ = doomed.Send(t.Context(), otp.Request{Subject: "u1", To: both})
						alive = true
					})
					if ended = alive; ended {
						return
					}
					time.Sleep(4 * time.Minute)
					stored := f.calledOf("Create") > 0
					m := r.a.messages()
					if stored != (len(m) > 0) || len(m) > 2 || len(m) == 2 && m[0].ID != m[1].ID ||
						r.total() != len(m) {
						t.Errorf("async=%v, death at call %d, after=%v: stored=%v, messages %v", async, n, after,
							stored, r.sent())
					}
				})
				if ended {
					break
				}
			}
		}
	}
}
