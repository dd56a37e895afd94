package otp_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// Five parallel calls with one idempotency key are one message, and count once.
func TestOneFaultParallelRepeatsCountOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		t.Run(mode.name, func(t *testing.T) {
			oneFault(t, func(t *testing.T, r *faultRig) {
				p := r.proc(mode.set, true)
				p.faults.latency = 10 * time.Millisecond
				var all sync.WaitGroup
				for i := range 5 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond)
						if c, err := r.send(p); err != nil || c == nil {
							t.Error(c, err)
						}
					})
				}
				all.Wait()
				pass(time.Minute)
				r.wantCounted(1)
				r.want(1, 0, 0)
			})
		})
	}
}

// Nothing begins if the challenge is closed between a worker's reading and its claim: what the
// swap returned counts.
func TestOneFaultNothingBeginsAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, claim := range []bool{false, true} {
		oneFault(t, func(t *testing.T, r *faultRig) {
			r.await = 10 * time.Second
			p, other := r.proc(takeover, true), r.proc(takeover, false)
			c := r.sent(p)
			var done atomic.Bool
			cancel := func(call string) error {
				if claim == (call == "Update") && done.CompareAndSwap(false, true) {
					return other.svc.Cancel(context.Background(), otp.Ref{ID: c.ID, Subject: "ann"})
				}
				return nil
			}
			if claim { // just before it reaches the store
				p.beforeCalls(cancel)
			} else {
				p.afterCalls(cancel)
			}
			pass(time.Minute)
			if !done.Load() {
				t.Fatal("no worker came")
			}
			r.want(1, 0, 0)
		})
	}
}

// The store or the queue is away for three seconds just after a message went out, or one
// answer is lost: the message is not sent again, and its silence is followed.
func TestOneFaultOutageAfterTheMessage(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		for _, what := range []string{"Update", "Enqueue", "Track", "everything", "one answer"} {
			t.Run(mode.name+"/"+what, func(t *testing.T) {
				oneFault(t, func(t *testing.T, r *faultRig) {
					r.await = 10 * time.Second
					p := r.proc(mode.set, true)
					var down atomic.Int64
					r.does["A"] = func(context.Context, *channel.Message) historyHop {
						down.Store(time.Now().UnixNano())
						return taken("A.1")
					}
					p.beforeCalls(func(call string) error {
						since := down.Load()
						away := since != 0 && time.Now().UnixNano()-since < int64(3*time.Second)
						if away && (call == what || what == "everything") {
							return errHistoryFault
						}
						return nil
					})
					var lost atomic.Bool
					p.afterCalls(func(call string) error {
						sent := call == "Update" && down.Load() != 0
						if what == "one answer" && sent && lost.CompareAndSwap(false, true) {
							return errHistoryFault
						}
						return nil
					})
					r.sent(p)
					pass(15 * time.Second)
					r.want(1, 1, 0)
					r.wantCounted(2)
				})
			})
		}
	}
}

// A message was surely refused, and that cannot be recorded: its limit is not refunded, since
// the next sender uses it.
func TestOneFaultRefundedOnlyIfRecorded(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(takeover, true)
		var out atomic.Bool // of trouble
		for _, route := range []string{"A", "B", "C"} {
			r.does[route] = func(context.Context, *channel.Message) historyHop {
				if !out.Load() {
					return refused(channel.Unreachable)
				}
				return taken()
			}
		}
		p.beforeCalls(func(call string) error {
			if call == "Update" && !out.Load() {
				return errHistoryFault
			}
			return nil
		})
		_, _ = r.send(p)
		out.Store(true)
		pass(time.Minute)
		r.want(2, 1, 1)
		r.wantCounted(1)
	})
}

// A caller that leaves before anything is stored has used no limit.
func TestOneFaultCallerLeaves(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(mode.set, true)
			ctx, cancel := context.WithCancel(context.Background())
			p.afterCalls(func(call string) error {
				if call == "Take" {
					cancel()
				}
				return nil
			})
			if c, err := r.sendWith(ctx, p); err == nil || c != nil {
				t.Errorf("%s: %v, %v", mode.name, c, err)
			}
			r.wantCounted(0)
		})
	}
}

// Each call of a Send fails once, before or after it is done: the Send succeeds all the same,
// or fails and costs nothing.
func TestOneFaultOfASendFails(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		for _, call := range []string{"Get", "Take", "Create", "Enqueue", "Track", "Update"} {
			for _, lost := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/lost %v", mode.name, call, lost), func(t *testing.T) {
					oneFault(t, func(t *testing.T, r *faultRig) {
						p := r.proc(mode.set, true)
						if lost {
							p.afterCalls(once(call))
						} else {
							p.beforeCalls(once(call))
						}
						c, err := r.send(p)
						if (err != nil) != (call == "Take") {
							t.Fatal(c, err)
						}
						pass(time.Minute)
						if err != nil {
							r.want(0, 0, 0)
							r.wantCounted(0)
							return
						}
						r.want(1, 0, 0)
						r.wantCounted(1)
					})
				})
			}
		}
	}
}

// The store fails once while a Resend is recorded, or its answer is lost: the Resend succeeds.
func TestOneFaultOfAResendFails(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		for _, lost := range []bool{false, true} {
			oneFault(t, func(t *testing.T, r *faultRig) {
				p := r.proc(mode.set, true)
				c := r.sent(p)
				pass(41 * time.Second)
				if lost {
					p.afterCalls(once("Update"))
				} else {
					p.beforeCalls(once("Update"))
				}
				if _, err := r.resend(p, c, ""); err != nil {
					t.Errorf("%s, lost %v: %v", mode.name, lost, err)
				}
				pass(time.Minute)
				r.want(1, 1, 0)
				r.wantCounted(2)
			})
		}
	}
}

// The answer to a Resend is lost, and another process writes before the Resend looks again: it
// recognises its own write, is sent once, and stays counted (seed 3858).
func TestOneFaultResendRecognisesItsWrite(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p, other := r.proc(mode.set, true), r.proc(mode.set, false)
			c := r.sent(p)
			pass(41 * time.Second)
			var done atomic.Bool
			p.afterCalls(func(call string) error {
				if call != "Update" || !done.CompareAndSwap(false, true) {
					return nil
				}
				r.receipt(other, "A", 1, channel.Failed)
				return errHistoryFault
			})
			if _, err := r.resend(p, c, ""); err != nil {
				t.Errorf("%s: %v", mode.name, err)
			}
			pass(time.Minute)
			r.want(1, 1, 0)
			r.wantCounted(2)
		})
	}
}

// The answer to a worker's claim is lost, and another process asks for a Resend before the worker
// looks again: it recognises its own claim, and sends both messages at once.
func TestOneFaultClaimRecognisesItsWrite(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		r.waits = []time.Duration{time.Second}
		p, other := r.proc(async, false), r.proc(async, false)
		c := r.sent(other)
		pass(2 * time.Second)
		var done atomic.Bool
		p.afterCalls(func(call string) error {
			if call != "Update" || !done.CompareAndSwap(false, true) {
				return nil
			}
			if _, err := r.resend(other, c, ""); err != nil {
				t.Error(err)
			}
			return errHistoryFault
		})
		go func() { _ = p.svc.Work(p.ctx) }()
		pass(2 * time.Second)
		r.want(1, 1, 0)
		r.wantCounted(2)
	})
}

// The store does not say whether it stored a challenge, and it did: the challenge counts, and a
// repeat goes on with it.
func TestOneFaultStoredInDoubt(t *testing.T) {
	t.Parallel()
	for _, mode := range faultModes {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(mode.set, true)
			p.afterCalls(func(call string) error {
				if call == "Create" {
					return errHistoryFault
				}
				return nil
			})
			if c, err := r.send(p); c == nil || !errors.Is(err, otp.ErrUnavailable) {
				t.Errorf("%s: %v, %v", mode.name, c, err)
			}
			r.want(0, 0, 0)
			r.wantCounted(1)
			p.afterCalls(nil)
			pass(21 * time.Second) // the lease of the call is over
			if c := r.sent(p); !c.Repeated {
				t.Errorf("%s: no repeat", mode.name)
			}
			pass(time.Second)
			r.want(1, 0, 0)
			r.wantCounted(1)
		})
	}
}

// A queue that is down costs a Send with Takeover nothing, and nothing is stored.
func TestOneFaultQueueDownStoresNothing(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(asyncTaken, true)
		p.beforeCalls(func(call string) error {
			if call == "Enqueue" {
				return errHistoryFault
			}
			return nil
		})
		if c, err := r.send(p); c != nil || !errors.Is(err, otp.ErrUnavailable) || r.record() != nil {
			t.Error(c, err)
		}
		r.wantCounted(0)
		p.beforeCalls(nil)
		r.sent(p)
		pass(time.Second)
		r.want(1, 0, 0)
	})
}

// With Async and no Takeover a failed wake-up leaves a challenge that a repeat goes on with.
func TestOneFaultRepeatWakesAgain(t *testing.T) {
	t.Parallel()
	oneFault(t, func(t *testing.T, r *faultRig) {
		p := r.proc(async, true)
		p.beforeCalls(func(call string) error {
			if call == "Enqueue" {
				return errHistoryFault
			}
			return nil
		})
		if c, err := r.send(p); c == nil || !errors.Is(err, otp.ErrUnavailable) {
			t.Error(c, err)
		}
		r.wantCounted(1)
		p.beforeCalls(nil)
		if c := r.sent(p); !c.Repeated {
			t.Error("no repeat")
		}
		pass(time.Second)
		r.want(1, 0, 0)
		r.wantCounted(1)
	})
}

// The answers of a Verify are lost: with an IdempotencyKey the call is repeated, and the right
// code is right again. No other call with that code is verified.
func TestOneFaultVerifyAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"Attempt", "Finish"} {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(inCall, false)
			c := r.sent(p)
			v := otp.Verification{ID: c.ID, Subject: "ann", IdempotencyKey: "typed"}
			v.Code = r.w.codesOf(r.record().ID)[0]
			p.afterCalls(func(next string) error {
				if next == call {
					return errHistoryFault
				}
				return nil
			})
			if _, err := p.svc.Verify(context.Background(), v); !errors.Is(err, otp.ErrUnavailable) {
				t.Error(err)
			}
			p.afterCalls(nil)
			if got, err := p.svc.Verify(context.Background(), v); err != nil || got.Outcome != store.Verified {
				t.Error(got, err)
			}
			if n := len(r.record().attempts); n != 1 {
				t.Errorf("%d attempts were charged", n)
			}
			v.IdempotencyKey = ""
			if _, err := p.svc.Verify(context.Background(), v); otp.ReasonOf(err) != otp.ReasonClosed {
				t.Error(err)
			}
		})
	}
}

// Of parallel right answers one is verified, and of parallel guesses no more are compared than
// there are attempts.
func TestOneFaultParallelAnswers(t *testing.T) {
	t.Parallel()
	for _, right := range []bool{true, false} {
		oneFault(t, func(t *testing.T, r *faultRig) {
			p := r.proc(inCall, false)
			p.faults.latency = 10 * time.Millisecond
			c := r.sent(p)
			v := otp.Verification{ID: c.ID, Subject: "ann", Code: "000000"}
			if right {
				v.Code = r.w.codesOf(r.record().ID)[0]
			}
			var mu sync.Mutex
			reasons := map[otp.Reason]int{}
			var all sync.WaitGroup
			for range 64 {
				all.Go(func() {
					_, err := p.svc.Verify(context.Background(), v)
					mu.Lock()
					defer mu.Unlock()
					reasons[otp.ReasonOf(err)]++
				})
			}
			all.Wait()
			synctest.Wait()
			if n := len(r.record().attempts); n > 5 {
				t.Errorf("%d guesses were compared", n)
			}
			if right && reasons[""] != 1 || !right && (reasons[otp.ReasonWrong] != 5 || reasons[""] != 0) {
				t.Errorf("right %v: %v", right, reasons)
			}
		})
	}
}
