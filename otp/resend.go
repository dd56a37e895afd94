package otp

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// A ResendRequest asks for another message of a challenge.
type ResendRequest struct {
	ID        string     // the challenge's
	Route     string     // only this route from now on: "send it by e-mail instead". Default: as before
	IP        netip.Addr // who asks, for Policy.PerIP
	RequestID string     // marks the events of this send. Default: the Send's
}

// Resend sends the challenge's code once more, in a message of its own that
// tells the minutes left. Life is not extended: with under a minute left the
// challenge counts as expired. It begins again with the first route.
//
// Challenge.Next says beforehand whether a Resend would be refused: before its
// time and without a send left ([ErrWait]), and where every address is known to
// be wrong ([ErrUndelivered] of class channel.InvalidRecipient), the person has
// to give another one for a new Send. Where a route was asked for, only the
// addresses that it needs count, and a Resend by another may be accepted.
func (s *Service) Resend(ctx context.Context, q ResendRequest) (*Challenge, error) {
	now := time.Now()
	switch {
	case !printable(q.Route):
		return nil, invalid("Route", "it must be at most 64 printable ASCII characters")
	case !printable(q.RequestID):
		return nil, invalid("RequestID", "it must be at most 64 printable ASCII characters")
	}
	r, l, err := s.read(ctx, q.ID, now)
	if err == nil {
		var c *Challenge
		if c, err = s.resend(ctx, q, r, l, now); err == nil || c != nil && ReasonOf(err) == ReasonUndelivered {
			return c, err
		}
	}
	e := Event{Kind: EventRefused, At: now}
	switch {
	case l != nil:
		e = event(EventRefused, r, l, now)
	case validID(q.ID):
		e.Challenge = q.ID
	}
	e.RequestID = cmp.Or(q.RequestID, e.RequestID)
	e.Reason, e.Err = ReasonOf(err), err
	s.emit(ctx, e)
	return nil, err
}

func (s *Service) resend(ctx context.Context, q ResendRequest, r *store.Record, l *letter, now time.Time) (*Challenge, error) {
	if err := s.mayResend(r, l, q.Route, now); err != nil {
		return nil, err
	}
	if q.Route != "" {
		forced := *l
		forced.route = q.Route
		if err := s.served(&forced); err != nil {
			return nil, err
		}
	}
	limits := s.limits(l, q.IP)
	if err := s.take(ctx, limits, now); err != nil {
		return nil, err
	}
	r, err := s.c.Store.Resend(ctx, r.ID, now)
	if err != nil {
		s.give(ctx, limits, now)
		return nil, s.resendError(r, l, err, now)
	}
	if r.NewCode && s.observed(ctx) {
		e := event(EventGenerated, r, l, now)
		e.RequestID = cmp.Or(q.RequestID, e.RequestID)
		s.emit(ctx, e)
	}
	if l.fixed {
		return s.pretend(ctx, r, l, now)
	}
	before, err := decodeDelivery(r.Delivery)
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	r, d, err := s.update(ctx, r, func(_ *store.Record, d *delivery) error {
		d.request, d.via = q.RequestID, cmp.Or(q.Route, d.via)
		return nil
	})
	if err != nil {
		s.give(ctx, limits, now)
		return nil, s.storeError(r, err, now)
	}
	// A receipt or a silence that was faster has begun this send: the job is
	// dropped then, unless it is for another route than that took.
	step := before.step + 1
	if q.Route != "" {
		step = d.step + 1
	}
	return s.start(ctx, r, l, nil, order{job(r, d.priority, step, byResend+strconv.Itoa(r.Sends), now), limits, before})
}

// mayResend refuses what the store would refuse, before a limit is touched,
// and what would help nobody.
func (s *Service) mayResend(r *store.Record, l *letter, route string, now time.Time) error {
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return s.storeError(r, err, now)
	}
	switch {
	case r.Outcome != store.Open:
		return s.storeError(r, store.ErrClosed, now)
	case r.LockedUntil.After(now):
		return s.storeError(r, store.ErrLocked, now)
	case r.Attempts >= r.MaxAttempts:
		return &Error{Reason: ReasonAttempts, Err: store.ErrExhausted}
	case r.Expires.Sub(now) < resendMargin:
		return s.storeError(r, store.ErrExpired, now)
	case sendsLeft(r, d) <= 0:
		return s.resendError(r, l, store.ErrExhausted, now)
	case s.rejected(l, d, route):
		return &Error{Reason: ReasonUndelivered, Err: &channel.Error{Class: channel.InvalidRecipient, Op: "otp: resend", Err: channel.ErrNoRoute}}
	}
	if at := s.resendAt(r, d); now.Before(at) {
		e := &Error{Reason: ReasonTooSoon, Err: store.ErrTooSoon}
		if r.Expires.Sub(at) >= resendMargin {
			e.RetryAfter = at.Sub(now)
		}
		return e
	}
	return nil
}

// resendError says what else a person can do once sends are used up.
func (s *Service) resendError(r *store.Record, l *letter, err error, now time.Time) *Error {
	if !errors.Is(err, store.ErrExhausted) {
		return s.storeError(r, err, now)
	}
	e := &Error{Reason: ReasonSends, Support: s.c.Support, Err: err}
	if r == nil {
		return e
	}
	if d, err := decodeDelivery(r.Delivery); err == nil {
		e.Left = s.left(l, d)
	}
	return e
}
