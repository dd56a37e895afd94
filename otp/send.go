package otp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// noIP is no address.
var noIP netip.Addr

// Send makes a code and has it delivered. It refuses bad input before anything
// is stored, and stores before anything is sent.
//
// If no route took the message, Send returns the Challenge and an error that matches
// [ErrUndelivered]. If [channel.ClassOf] that error is channel.Unknown, the code may
// still arrive, and the caller should show the field for it. A message that surely
// did not go out is refunded to the limits.
//
// If the store or the queue fails, the error matches [ErrUnavailable]. Without a
// Challenge, nothing was sent. With a Challenge, the message may still come, and
// counts against the limits.
func (s *Service) Send(ctx context.Context, q Request) (*Challenge, error) {
	now := instant()
	if q.RequestID == "" {
		q.RequestID = randomID()
	}
	c, err := s.send(ctx, q, now)
	if err == nil {
		return c, nil
	}
	if reason := ReasonOf(err); reason != ReasonUndelivered && !s.quiet(err, now) {
		e := Event{Kind: EventRefused, At: now, RequestID: loggable(q.RequestID), Purpose: loggable(q.Purpose),
			Tenant: loggable(q.Tenant), Reference: loggable(q.Reference), To: q.To.Masked(), Operation: OperationSend,
			Reason: reason, Err: err, Decoy: q.Decoy,
			Subject: s.keys.subject(q.Tenant, subjectForm(q.Subject)).String()}.with(err)
		if c != nil {
			e.Challenge = c.ID
		}
		s.emit(ctx, e)
	}
	return c, err
}

func (s *Service) send(ctx context.Context, q Request, now time.Time) (*Challenge, error) {
	t := s.tenant(q.Tenant)
	if t == nil {
		return nil, invalid("Tenant", "there is none of that name")
	}
	req, err := s.validate(q, t)
	if err != nil {
		return nil, err
	}
	o, m, err := s.compose(q, req, t, now)
	if err != nil {
		return nil, err
	}
	keyed := q.IdempotencyKey != ""
	if keyed {
		if c, err := s.repeated(ctx, o); c != nil || err != nil {
			return c, err
		}
	}
	held := delivery.Charge{At: now, Kinds: firstKind(ctx, t, m), Network: req.ip.IsValid()}
	err = s.consult(ctx, req, held.Kinds, now, asking{subject: q.Subject, ip: req.ip, signals: q.Signals})
	counted := err == nil
	if errors.Is(err, errDropped) { // answered as if it were sent
		req.decoy = true
		o, m, err = s.compose(q, req, t, now)
	}
	if err == nil {
		err = s.create(ctx, o, held)
	}
	if err != nil {
		return s.uncreated(ctx, o, held, keyed, counted, err)
	}
	if s.observed(ctx) {
		s.emit(ctx, s.event(EventGenerated, o, now))
	}
	if req.fixed {
		s.emitFixed(ctx, o, now)
		return s.challenge(o), nil
	}
	return s.deliver(ctx, o, m, !s.c.Async)
}

// deliver sends the message of a request or, with Async, wakes a worker to send it. If
// claimed, the caller has claimed the step.
func (s *Service) deliver(ctx context.Context, o *opened, m *channel.Message, claimed bool) (*Challenge, error) {
	now := instant()
	if s.c.Async {
		if err := s.wake(ctx, o, time.Time{}); err != nil && s.c.Takeover == 0 { // else the wake-up before will do
			return s.challenge(o), s.storeError(o.Record, err, now)
		}
		return s.challenge(o), nil
	}
	o, res, err := s.carry(ctx, o, m, claimed, false)
	c := s.challenge(o)
	c.Hops = res.hops
	switch {
	case err != nil:
		return c, s.storeError(o.Record, err, now)
	case res.err != nil && o.Outcome == store.Open:
		return c, undelivered(res.err)
	}
	return c, nil
}

// undelivered is the error of a message that no route took.
func undelivered(err error) *Error {
	e := &Error{Reason: ReasonUndelivered, Err: err}
	var failed *channel.Error
	if errors.As(err, &failed) {
		e.RetryAfter = failed.RetryAfter
	}
	return e
}

// repeated goes on with the challenge that an idempotency key made before. It
// returns nil if there is none.
func (s *Service) repeated(ctx context.Context, asked *opened) (*Challenge, error) {
	now := instant()
	var r *store.Record
	err := again(ctx, func() (err error) {
		r, err = s.c.Store.Get(ctx, asked.ID, now)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExpired):
		return nil, nil
	case err != nil:
		return nil, s.storeError(r, err, now)
	}
	o, err := s.open(r)
	if err != nil {
		return nil, s.openError(ctx, r, err)
	}
	if !asked.req.sameRequest(o.req) {
		return nil, &Error{Reason: ReasonConflict, Field: "IdempotencyKey",
			Err: errors.New("it was used for another request")}
	}
	c, err := s.resume(ctx, o, now)
	if c != nil {
		c.Repeated = true
	}
	return c, err
}

// resume goes on with a challenge if no route took its message, or its sender
// died.
func (s *Service) resume(ctx context.Context, o *opened, now time.Time) (*Challenge, error) {
	refused := o.delivery.Repeatable()
	if o.Outcome != store.Open || o.req.fixed || !refused && o.next(now).Do != delivery.Send {
		return s.challenge(o), nil
	}
	if o.Expires.Sub(now) < resendMargin {
		return nil, s.storeError(o.Record, store.ErrExpired, now)
	}
	if !refused {
		return s.ask(ctx, o, request{undo: func(context.Context) {},
			apply: func(*delivery.Delivery) error { return nil }})
	}
	m, err := s.message(o)
	if err != nil {
		return nil, &Error{Reason: ReasonUnavailable, Err: err}
	}
	m.Tried = nil // it begins again
	held, err := s.charge(ctx, o.req, o.policy, firstKind(ctx, o.tenant, m), o.req.ip, now, asking{ip: o.req.ip})
	if err != nil {
		return nil, err
	}
	undo := func(ctx context.Context) { s.refund(ctx, o, held) }
	return s.ask(ctx, o, request{undo: undo, apply: func(d *delivery.Delivery) error {
		if !d.Repeat(held) {
			return errNothing
		}
		return nil
	}})
}

// repeatedSoon is repeated for a challenge that a parallel call is creating.
func (s *Service) repeatedSoon(ctx context.Context, asked *opened) (c *Challenge, err error) {
	for range 4 {
		if c, err = s.repeated(ctx, asked); c != nil || err != nil || !sleep(ctx, 40*time.Millisecond) {
			return c, err
		}
	}
	return nil, nil
}

// A request holds the steps of Send and Resend that ask calls.
type request struct {
	apply    func(*delivery.Delivery) error
	undo     func(context.Context) // called if nothing was recorded: refunds the charge
	recorded func(context.Context) // called once it is recorded, before the message is sent; may be nil
}

// ask records the request for a message. A call that delivers claims the message by the
// same swap.
func (s *Service) ask(ctx context.Context, o *opened, q request) (*Challenge, error) {
	now := instant()
	until, owner := now.Add(s.lease()), rand.Uint64()
	recording, cancel := bounded(ctx) // in less than a lease: the wake-up must not come before
	defer cancel()
	if s.c.Takeover > 0 && s.c.Async { // a claim has a wake-up by itself
		if err := s.wake(recording, o, until); err != nil {
			q.undo(recording)
			return nil, s.storeError(o.Record, err, now)
		}
	}
	claimed := false
	newer, err := s.swap(recording, o, false, func(d *delivery.Delivery, c delivery.Challenge) (charges, error) {
		if claimed = !s.c.Async && d.Holds(owner); claimed { // by a write whose answer was lost
			return nil, nil
		}
		if !c.Open {
			return nil, store.ErrClosed
		}
		if err := q.apply(d); err != nil || s.c.Async {
			return nil, err
		}
		var refund charges
		refund, claimed = d.Claim(c, instant(), until, owner)
		return refund, nil
	})
	if unrecorded(err) {
		if !newer.lost {
			q.undo(recording)
		}
		switch {
		case errors.Is(err, errNothing):
			return s.challenge(newer), nil
		case ReasonOf(err) != "":
			return nil, err
		}
		return nil, s.storeError(newer.Record, err, now)
	}
	if q.recorded != nil {
		q.recorded(ctx)
	}
	switch {
	case err != nil: // it may have been recorded
		return s.challenge(newer), s.storeError(newer.Record, err, now)
	case !s.c.Async && !claimed: // another sender has it, and looks again at its end
		return s.challenge(newer), nil
	}
	return s.deliver(ctx, newer, nil, claimed)
}

// unrecorded reports whether a swap that ended with err surely recorded nothing.
func unrecorded(err error) bool {
	return isAnswer(err) || ReasonOf(err) != "" || errors.Is(err, errUnqueued)
}
