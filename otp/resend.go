package otp

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// A Ref names a challenge. A challenge of another subject or tenant is not
// found, and nothing is charged for it.
type Ref struct {
	ID      string // Challenge.ID
	Subject string // as in the Request
	Tenant  string // as in the Request
}

// String keeps the subject, which may be an address, out of logs.
func (r Ref) String() string { return "otp.Ref(" + loggable(r.ID) + ")" }

// GoString is String.
func (r Ref) GoString() string { return r.String() }

// LogValue is String.
func (r Ref) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON is String.
func (r Ref) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// A ResendRequest asks for another message of a challenge.
type ResendRequest struct {
	ID        string     // Challenge.ID
	Subject   string     // as in the Request
	Tenant    string     // as in the Request
	Route     string     // the only route from now on: "send it by e-mail instead". Default: as before
	IP        netip.Addr // of the person who asks, for Policy.PerIP; the Guard counts Request.IP
	Proven    bool       // as in the Request, for this message
	RequestID string     // marks the events of this send. Default: Request.RequestID

	// IdempotencyKey makes a repeated Resend return the challenge, with
	// Challenge.Repeated, without another message. At most 256 octets. Default:
	// each call is a new one.
	IdempotencyKey string
}

// String keeps the subject, which may be an address, out of logs.
func (q ResendRequest) String() string { return "otp.ResendRequest(" + loggable(q.ID) + ")" }

// GoString is String.
func (q ResendRequest) GoString() string { return q.String() }

// LogValue is String.
func (q ResendRequest) LogValue() slog.Value { return slog.StringValue(q.String()) }

// MarshalJSON is String.
func (q ResendRequest) MarshalJSON() ([]byte, error) { return json.Marshal(q.String()) }

func (q ResendRequest) ref() Ref { return Ref{q.ID, q.Subject, q.Tenant} }

// Resend sends the challenge's code once more, in a new message that says how many
// minutes are left. The life of the code is not extended. With less than a minute
// left, the challenge counts as expired. Policy.Resend decides the first route.
//
// Challenge.Next says beforehand whether a Resend would be refused. A Resend before
// Challenge.ResendAt, or with no send left, fails with [ErrWait]. If every address of
// the person is known to be wrong, it fails with [ErrUndelivered] of class
// channel.InvalidRecipient: the person must give another address for a new Send. If a
// route was asked for, only the addresses that it serves count.
//
// If a message of the challenge is being sent, the Resend follows it. Without
// Config.Async and Config.Takeover, such a Resend is refused as too soon.
func (s *Service) Resend(ctx context.Context, q ResendRequest) (*Challenge, error) {
	now := instant()
	o, c, err := s.resend(ctx, q, now)
	if err == nil || c != nil && ReasonOf(err) == ReasonUndelivered {
		return c, err
	}
	if s.quiet(err, now) {
		return c, err
	}
	e := Event{Kind: EventRefused, At: now, Tenant: loggable(q.Tenant)}
	if o != nil {
		e = s.event(EventRefused, o, now)
	} else if validID(q.ID) {
		e.Challenge = q.ID
	}
	e.RequestID = cmp.Or(loggable(q.RequestID), e.RequestID)
	e.Operation, e.Reason, e.Err = OperationResend, ReasonOf(err), err
	s.emit(ctx, e.with(err))
	return c, err
}

func (s *Service) resend(ctx context.Context, q ResendRequest, now time.Time) (*opened, *Challenge, error) {
	switch {
	case !printable(q.Route):
		return nil, nil, invalid("Route", "it must be at most 64 printable ASCII characters")
	case !printable(q.RequestID):
		return nil, nil, invalid("RequestID", "it must be at most 64 printable ASCII characters")
	case len(q.IdempotencyKey) > 256:
		return nil, nil, invalid("IdempotencyKey", "it is longer than 256 octets")
	}
	o, err := s.read(ctx, q.ref(), now)
	if err != nil {
		return nil, nil, err
	}
	token := uint64(randomToken())
	if q.IdempotencyKey != "" {
		token = uint64(s.keys.token("resend", o.ID, q.IdempotencyKey))
		if slices.Contains(o.delivery.Tokens, token) {
			c := s.challenge(o)
			c.Repeated = true
			return o, c, nil
		}
	}
	c, err := s.resendOf(ctx, o, q, token, now)
	return o, c, err
}

func (s *Service) resendOf(ctx context.Context, o *opened, q ResendRequest, token uint64, now time.Time) (
	*Challenge, error) {
	may := func(d *delivery.Delivery) error { return s.mayResend(o, d, q.Route, instant()) }
	if err := may(o.delivery); err != nil {
		return nil, err
	}
	if q.Route != "" {
		forced := *o.req
		forced.route = q.Route
		if err := forced.served(o.tenant); err != nil {
			return nil, err
		}
	}
	m := &channel.Message{To: o.req.to, Route: cmp.Or(q.Route, o.delivery.Via, o.req.route),
		Last: o.last(), Invalid: o.delivery.Invalid, Expires: o.Expires, Purpose: o.req.purpose, Tenant: o.req.tenant,
		Language: o.req.language}
	held, err := s.charge(ctx, o.req, o.policy, firstKind(ctx, o.tenant, m), q.IP, now,
		asking{subject: q.Subject, ip: o.req.ip, proven: q.Proven, resend: true})
	if err != nil {
		return nil, asGuarded(err)
	}
	held.Network = s.c.Guard != nil && o.req.ip.IsValid() // another process could not know q.IP
	undo := func(ctx context.Context) {
		s.give(ctx, s.limits(o.req, o.policy, held.Kinds, q.IP), now)
		s.unsent(ctx, o.req, held)
	}
	repeated := false
	apply := func(d *delivery.Delivery) error {
		if repeated = slices.Contains(d.Tokens, token); repeated { // the same call at the same time
			return errNothing
		}
		if err := may(d); err != nil {
			return err
		}
		d.Resend(q.Route, q.RequestID, token, instant(), held)
		if o.req.fixed { // nothing is sent
			d.Send = d.Sends
		}
		return nil
	}
	recorded := func(ctx context.Context) {
		s.observeLatest(ctx, o, channel.FeedbackResent)
		s.emitResend(ctx, o, q, now)
	}
	c, err := s.ask(ctx, o, request{apply, undo, recorded})
	if c != nil {
		c.Repeated = repeated
	}
	return c, err
}

// emitResend emits the event of a new code.
func (s *Service) emitResend(ctx context.Context, o *opened, q ResendRequest, now time.Time) {
	if o.NewCode && s.observed(ctx) {
		e := s.event(EventGenerated, o, now)
		e.RequestID = cmp.Or(q.RequestID, e.RequestID)
		s.emit(ctx, e)
	}
}

// mayResend refuses a Resend that comes too soon, or cannot reach the person.
func (s *Service) mayResend(o *opened, d *delivery.Delivery, route string, now time.Time) error {
	switch {
	case o.Outcome != store.Open:
		return s.storeError(o.Record, store.ErrClosed, now)
	case o.LockedUntil.After(now):
		return s.storeError(o.Record, store.ErrLocked, now)
	case o.Attempts >= o.MaxAttempts:
		return &Error{Reason: ReasonAttempts, Err: store.ErrExhausted}
	case o.Expires.Sub(now) < resendMargin:
		return s.storeError(o.Record, store.ErrExpired, now)
	case d.SendsLeft(len(o.policy.Waits)) <= 0:
		return &Error{Reason: ReasonSends, Support: o.tenant.support, Alternatives: o.alternatives()}
	case o.rejected(d, route):
		return &Error{Reason: ReasonUndelivered, Err: &channel.Error{Class: channel.InvalidRecipient, Op: "otp: resend",
			Err: channel.ErrNoRoute}}
	}
	at := d.ResendAt(o.policy.Waits, o.policy.SentWait)
	leased := d.Phase == delivery.Sending || d.Phase == delivery.Delivered
	if leased && !s.takesOver() && d.At.After(at) { // if the sender dies nobody goes on
		at = d.At
	}
	if now.Before(at) {
		e := &Error{Reason: ReasonTooSoon}
		if o.Expires.Sub(at) >= resendMargin {
			e.RetryAfter = at.Sub(now)
		}
		return e
	}
	return nil
}
