package otp_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// unsteady is a backend whose n-th Take fails, or loses its answer.
type unsteady struct {
	backend
	n    int
	lost bool
}

func (u *unsteady) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if u.n--; u.n != 0 {
		return u.backend.Take(ctx, now, limits...)
	}
	if u.lost {
		_, _ = u.backend.Take(ctx, now, limits...)
	}
	return store.Decision{}, errDown
}

// The limiter fails once while a message is under way: it goes on by its next
// route, whose address is counted once.
func TestOneFaultOfALimitUnderWay(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v,lost=%v", m, lost), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, func(c *otp.Config) {
						m.apply(c)
						c.Policy.PerRecipient = []otp.Rate{{Most: 2, Per: time.Hour}}
						c.Store = &unsteady{c.Store.(backend), 2, lost}
					})
					work(t, r.Service)
					r.a.fail(refusal(channel.Unreachable, ""))
					r.b.fail(refusal(channel.Unreachable, ""))
					r.send(t, otp.Request{})
					time.Sleep(5 * time.Second)
					if got := r.sent(); got != [3]int{1, 1, 1} {
						t.Errorf("messages %v", got)
					}
					mailed := channel.Recipient{Email: both.Email}
					_, one := r.Send(t.Context(), otp.Request{Subject: "u2", To: mailed})
					_, two := r.Send(t.Context(), otp.Request{Subject: "u3", To: mailed})
					if one != nil || otp.ReasonOf(two) != otp.ReasonLimited {
						t.Errorf("the mailbox after one message, with a limit of two: %v, %v", one, two)
					}
				})
			})
		}
	}
}
