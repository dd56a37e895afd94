package otp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// A Challenge is a code on its way: what a caller may know of it.
type Challenge struct {
	ID           string            // for Resend, Verify, Cancel and Status
	To           channel.Recipient // masked
	State        channel.State     // of the latest message; Delivered: of any
	Outcome      store.Outcome
	Next         Next   // what the person can do
	Route        string // that took the latest message
	Created      time.Time
	Expires      time.Time
	ResendAt     time.Time // earliest Resend as things stand; zero: none is left
	SendsLeft    int
	AttemptsLeft int
	Left         channel.Address   // kinds of address the person has that a route serves and no message went to
	Fixed        bool              // an app reviewer's: nothing was sent
	Attempts     []channel.Attempt // hops of this call; empty from Status
}

// Next is the best that a person can do about a challenge. Its text is stable,
// for an API's answers. Whatever it is, but for NextRestart and NextDone, a
// code that has come can be typed.
type Next string

// What a person can do next.
const (
	NextWait    Next = "wait"    // for the message; a Resend works from Challenge.ResendAt
	NextResend  Next = "resend"  // ask for a Resend, which works now
	NextAddress Next = "address" // Send to another address: one of Challenge.Left or, if that is empty, a new one, for what was given is wrong or unreachable
	NextCode    Next = "code"    // type the code: it was sent, and will not be again
	NextRestart Next = "restart" // Send again: the challenge is cancelled, out of attempts, or its subject locked
	NextDone    Next = "done"    // nothing: the code was verified
)

var nexts = []Next{NextWait, NextResend, NextAddress, NextCode, NextRestart, NextDone}

// MarshalText returns the text as it is.
func (n Next) MarshalText() ([]byte, error) { return []byte(n), nil }

// UnmarshalText reads one of the constants, or the empty text of the zero value.
func (n *Next) UnmarshalText(text []byte) error {
	if !slices.Contains(nexts, Next(text)) && len(text) > 0 {
		return fmt.Errorf("otp: %q is not one of %q", text, nexts)
	}
	*n = Next(text)
	return nil
}

// sendsAfterDelivery is how many more sends there are, if that many are left,
// once a message was reported delivered: who has one on the device is helped
// by looking for it.
const sendsAfterDelivery = 2

func (s *Service) challenge(r *store.Record, l *letter, d *delivery) *Challenge {
	c := &Challenge{ID: r.ID, To: l.to.Masked(), State: d.state, Outcome: r.Outcome, Route: d.route, Created: r.Created,
		Expires: r.Expires, AttemptsLeft: max(r.MaxAttempts-r.Attempts, 0), Left: s.left(l, d), Fixed: l.fixed}
	now := time.Now()
	if left := sendsLeft(r, d); left > 0 && !s.rejected(l, d, "") && usable(r, now) {
		if at := s.resendAt(r, d); r.Expires.Sub(at) >= resendMargin && r.Expires.Sub(now) >= resendMargin {
			c.ResendAt, c.SendsLeft = at, left
		}
	}
	c.Next = s.next(r, l, d, c, now)
	return c
}

func (s *Service) next(r *store.Record, l *letter, d *delivery, c *Challenge, now time.Time) Next {
	switch {
	case r.Outcome == store.Verified:
		return NextDone
	case !usable(r, now):
		return NextRestart
	case s.rejected(l, d, ""):
		return NextAddress
	case !c.ResendAt.IsZero() && now.Before(c.ResendAt):
		return NextWait
	case !c.ResendAt.IsZero():
		return NextResend
	case sendsLeft(r, d) <= 0 && (c.Left != 0 || d.state == channel.Failed):
		return NextAddress
	case d.state == channel.Failed: // with too little life left
		return NextRestart
	}
	return NextCode
}

// usable reports whether a code could be verified.
func usable(r *store.Record, now time.Time) bool {
	return r.Outcome == store.Open && r.Attempts < r.MaxAttempts && !r.LockedUntil.After(now)
}

func sendsLeft(r *store.Record, d *delivery) int {
	left := len(r.Waits) + 1 - r.Sends
	if d.reached > 0 {
		left = min(left, d.reached+sendsAfterDelivery-r.Sends)
	}
	return left
}

// resendAt returns when the next of the sends left is due: what the store asks
// for, and more where nothing is known of the message's end.
func (s *Service) resendAt(r *store.Record, d *delivery) time.Time {
	at := r.NextSend
	if d.state == channel.Queued || d.state == channel.Sent {
		sent := at.Add(-r.Waits[r.Sends-1])
		if later := sent.Add(s.c.Policy.SentWait); later.After(at) {
			return later
		}
	}
	return at
}

// kinds returns the kinds of address of l that the routes need, or the one of
// that name; all that it has where the routes are not known.
func (s *Service) kinds(l *letter, route string) channel.Address {
	var routes []channel.Route
	if lister, ok := channel.As[channel.RouteLister](s.c.Channel); ok {
		routes = lister.Routes()
	}
	if routes == nil {
		return l.to.Kinds()
	}
	var needed channel.Address
	for _, r := range routes {
		if route == "" || r.Name == route {
			needed |= r.Address
		}
	}
	return l.to.Kinds() & needed
}

// left returns the kinds of address that are still worth trying.
func (s *Service) left(l *letter, d *delivery) channel.Address {
	return s.kinds(l, "") &^ (d.used | d.invalid)
}

// rejected reports whether every address that could be sent to, by that route
// or the one asked for before, is known to be wrong.
func (s *Service) rejected(l *letter, d *delivery, route string) bool {
	return d.invalid != 0 && s.kinds(l, cmp.Or(route, d.via, l.route))&^d.invalid == 0
}

// Status returns what has become of a challenge.
func (s *Service) Status(ctx context.Context, id string) (*Challenge, error) {
	now := time.Now()
	r, l, err := s.read(ctx, id, now)
	if err != nil {
		return nil, err
	}
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	return s.challenge(r, l, d), nil
}
