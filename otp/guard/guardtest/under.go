package guardtest

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// Epoch is the midnight from which times count.
var Epoch = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// Under is a [Guard] that asks an otp.Guard as a Service does, and holds each
// number to the default otp.Policy.PerRecipient. It is for one goroutine.
type Under struct {
	Guard   otp.Guard
	Limiter store.Limiter     // counts the messages to a number; nil: they are not limited
	Rules   map[string]int    // messages not allowed, by "label rule action"; may be nil
	Err     error             // the first error of the Guard or the Limiter; its message counts as refused
	Purpose string            // of all messages
	Signals map[string]string // of all messages
}

// Check implements Guard.
func (u *Under) Check(now time.Duration, a *Attempt, cleared bool) Verdict {
	ctx, asked := context.Background(), u.attempt(now, a, cleared)
	v, err := u.Guard.Check(ctx, asked)
	if err != nil {
		u.fail(err)
		return Refuse
	}
	if v.Action != otp.Allow {
		u.count(a, v.Rule, v.Action)
		if v.Action == otp.StepUp {
			return StepUp
		}
		return Refuse
	}
	if u.Limiter == nil {
		return Allow
	}
	owner := "number/"
	if a.Known {
		owner = "number/known/"
	}
	d, err := u.Limiter.Take(ctx, asked.At, store.Limit{Key: owner + a.Number, Most: 5, Per: 10 * time.Minute},
		store.Limit{Key: owner + a.Number, Most: 10, Per: 24 * time.Hour})
	u.fail(err)
	if d.Allowed {
		return Allow
	}
	if s, ok := u.Guard.(otp.Settler); ok {
		s.Settle(ctx, asked, 1, false)
	}
	u.count(a, "number", otp.Refuse)
	return Refuse
}

// Verified implements Guard.
func (u *Under) Verified(now time.Duration, a *Attempt, sent int) {
	if s, ok := u.Guard.(otp.Settler); ok {
		s.Settle(context.Background(), u.attempt(now, a, false), sent, true)
	}
}

func (u *Under) attempt(now time.Duration, a *Attempt, cleared bool) otp.Attempt {
	return otp.Attempt{Phone: phone.Number{E164: a.Number, Region: a.Country, Type: phone.Mobile}, IP: a.IP,
		Purpose: u.Purpose, Signals: u.Signals, Known: a.Known, Proven: cleared,
		At: Epoch.Add(now).Truncate(time.Microsecond)}
}

func (u *Under) count(a *Attempt, rule string, action otp.Action) {
	if u.Rules != nil {
		u.Rules[a.Label+" "+rule+" "+action.String()]++
	}
}

func (u *Under) fail(err error) {
	if u.Err == nil {
		u.Err = err
	}
}
