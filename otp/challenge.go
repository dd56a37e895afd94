package otp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// A Challenge is the caller's view of one code for one person and purpose. It holds no
// code.
type Challenge struct {
	ID        string // for Resend, Verify, Cancel and Status; keep it with the person's session
	Tenant    string // Request.Tenant
	Purpose   string // Request.Purpose
	Reference string // Request.Reference
	Repeated  bool   // the call was a repeat, by its IdempotencyKey

	To        channel.Recipient // masked
	State     channel.State     // of the latest message: it only moves forward, and begins anew with the next message
	Delivered bool              // a receipt reported a message as delivered; it stays so
	Outcome   store.Outcome
	Next      Next // the best that the person can do

	// Route is the name of the route that took the latest message, and Address the
	// kind of address that it went to. Used are the kinds of all addresses that a
	// route took a message for: a person who types the code controls one of them.
	Route   string
	Address channel.Address
	Used    channel.Address

	Created      time.Time
	Expires      time.Time
	ResendAt     time.Time // earliest Resend as things stand; zero: no Resend is possible
	SendsLeft    int
	AttemptsLeft int
	Alternatives channel.Address // kinds of the person's addresses that a route serves and no message went to
	Fixed        bool            // an app reviewer's: nothing was sent
	Hops         []channel.Hop   // of this call; empty from Status
}

// Next is the best that a person can do about a challenge. Its text is stable, for the
// answers of an API. Unless it is NextRestart or NextDone, the person may also type a
// code that has arrived.
type Next string

// The next things to do.
const (
	NextWait   Next = "wait"   // for the message; a Resend works from Challenge.ResendAt
	NextResend Next = "resend" // ask for a Resend, which works now
	// Send to another address: one of Challenge.Alternatives. If there are none, ask for a new address, since the
	// present one is wrong or unreachable.
	NextAddress Next = "address"
	NextCode    Next = "code"    // type the code: no further message is possible
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

// challenge is the caller's view of o.
func (s *Service) challenge(o *opened) *Challenge {
	d, q := o.delivery, o.req
	c := &Challenge{ID: o.id, Tenant: q.tenant, Purpose: q.purpose, Reference: q.reference, To: q.to.Masked(),
		State: d.State, Delivered: d.Reached > 0, Outcome: o.Outcome, Route: d.Message.Route, Address: d.Message.Kind,
		Used: d.Used, Created: o.Created, Expires: o.Expires, AttemptsLeft: max(o.MaxAttempts-o.Attempts, 0),
		Alternatives: o.alternatives(), Fixed: q.fixed}
	switch {
	case o.Outcome == store.Open && d.Send < d.Sends: // a Resend waits for its sender
		c.State, c.Route, c.Address = channel.Queued, "", 0
	case o.Outcome != store.Open && d.Phase == delivery.Due && d.Attempt.Step > 1 && d.Attempt.Number == 0:
		c.State = channel.Failed // the message before, and nothing follows
	}
	now := instant()
	if left := d.SendsLeft(len(o.policy.Waits)); left > 0 && !o.rejected(d, "") && o.usable(now) {
		at := d.ResendAt(o.policy.Waits, o.policy.SentWait)
		if o.Expires.Sub(at) >= resendMargin && o.Expires.Sub(now) >= resendMargin {
			c.ResendAt, c.SendsLeft = at, left
		}
	}
	c.Next = o.advice(c, now)
	return c
}

// advice is Challenge.Next.
func (o *opened) advice(c *Challenge, now time.Time) Next {
	failed := c.State == channel.Failed && !c.Delivered
	switch {
	case o.Outcome == store.Verified:
		return NextDone
	case !o.usable(now):
		return NextRestart
	case o.rejected(o.delivery, ""):
		return NextAddress
	case !c.ResendAt.IsZero() && now.Before(c.ResendAt):
		return NextWait
	case !c.ResendAt.IsZero():
		return NextResend
	case o.delivery.SendsLeft(len(o.policy.Waits)) <= 0 && (c.Alternatives != 0 || failed):
		return NextAddress
	case failed: // with too little life left
		return NextRestart
	}
	return NextCode
}

// usable reports whether a code could be verified.
func (o *opened) usable(now time.Time) bool {
	return o.Outcome == store.Open && o.Attempts < o.MaxAttempts && !o.LockedUntil.After(now)
}

// alternatives returns Challenge.Alternatives.
func (o *opened) alternatives() channel.Address {
	return served(o.tenant, o.req.to, "") &^ (o.delivery.Used | o.delivery.Invalid)
}

// rejected reports whether every address of the recipient is known to be wrong. If a
// route was asked for, now or before, only the addresses that it serves count.
func (o *opened) rejected(d *delivery.Delivery, route string) bool {
	return d.Invalid != 0 && served(o.tenant, o.req.to, cmp.Or(route, d.Via, o.req.route))&^d.Invalid == 0
}

// Status returns a live challenge as it is now. It charges nothing and sends nothing.
func (s *Service) Status(ctx context.Context, q Ref) (*Challenge, error) {
	o, err := s.read(ctx, q, instant())
	if err != nil {
		return nil, err
	}
	return s.challenge(o), nil
}
