package otp

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// compose makes the record of a new challenge, and its first message.
func (s *Service) compose(q Request, req *sealedRequest, t *tenant, now time.Time) (*opened, *channel.Message, error) {
	tag := s.keys.subject(q.Tenant, subjectForm(q.Subject))
	i := s.keys.newID(q.Tenant, tag, q.Purpose, q.IdempotencyKey)
	p := t.of(q.Purpose)
	r := &store.Record{ID: i.store(), Subject: tag.run(q.Known), Group: s.keys.group(q.Tenant, q.Purpose),
		Key: s.keys.keyID, Salt: newSalt(), Created: now, Expires: now.Add(p.Life), NewCode: p.NewCode,
		MaxAttempts: p.MaxAttempts, MaxFailures: p.MaxFailures, Lock: p.Lock,
		MaxRun: p.run(q.Known), RunLife: p.RunLife}
	d := delivery.New(now, time.Time{}, 0, delivery.Charge{})
	o := &opened{Record: r, id: s.keys.public(i), req: req, tenant: t, policy: p, delivery: &d}
	var err error
	if r.Sealed, err = s.keys.seal(r, req.encode()); err != nil {
		return nil, nil, &Error{Reason: ReasonUnavailable, Err: err}
	}
	m, err := s.message(o)
	var faulty *wording.Error
	switch {
	case errors.As(err, &faulty) && faulty.Field == "Data.Details":
		return nil, nil, &Error{Reason: ReasonInvalid, Field: "Details", Err: err}
	case err != nil:
		return nil, nil, &Error{Reason: ReasonUnavailable, Err: err}
	}
	return o, m, nil
}

// opens reports whether create takes from the limits and stores the record in one step.
// With Takeover it does not: the wake-up has to be there before the record, and is only
// for a message that the limits allow.
func (s *Service) opens(q *sealedRequest) bool {
	return s.opener != nil && (s.c.Takeover == 0 || q.fixed)
}

// create takes held from the limits and stores a challenge, with a wake-up for when
// its creator is dead. With an error nothing is taken and nothing stored, unless the
// error wraps errDoubt.
func (s *Service) create(ctx context.Context, o *opened, held delivery.Charge) error {
	if s.opens(o.req) {
		if err := s.createTaking(ctx, o, held); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if _, err := s.take(ctx, o.req, o.policy, held.Kinds, o.req.ip, held.At); err != nil {
		return err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	until, err := s.begin(o, held)
	if err == nil && s.c.Takeover > 0 && !o.req.fixed {
		err = s.wake(ctx, o, until)
	}
	if err == nil {
		now := instant()
		err = again(ctx, func() error { return s.c.Store.Create(ctx, o.Record, now) })
		if err != nil && !isAnswer(err) { // it may be stored
			return errors.Join(errDoubt, err)
		}
	}
	if err != nil {
		s.give(ctx, s.limitsOf(o, held), held.At)
	}
	return err
}

// createTaking is create by one call of a store.Opener. It returns
// errors.ErrUnsupported if the store needs two.
func (s *Service) createTaking(ctx context.Context, o *opened, held delivery.Charge) error {
	limits := s.limitsOf(o, held)
	if len(limits) == 0 {
		return errors.ErrUnsupported
	}
	if _, err := s.begin(o, held); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return gone(ctx)
	}
	ctx, cancel := taking(ctx)
	defer cancel()
	var d store.Decision
	together := true
	err := again(ctx, func() (err error) {
		if d, err = s.opener.Open(ctx, o.Record, held.At, limits...); errors.Is(err, errors.ErrUnsupported) {
			together, err = false, nil
		}
		return err
	})
	switch {
	case !together:
		return errors.ErrUnsupported
	case err != nil && !isAnswer(err): // it may be stored
		return errors.Join(errDoubt, err)
	case err == nil && !d.Allowed:
		return limited(o.req, held.Kinds, d)
	}
	return err
}

// begin encodes the delivery that a record is created with, and returns the end of its
// lease.
func (s *Service) begin(o *opened, held delivery.Charge) (until time.Time, err error) {
	until = instant().Add(s.lease())
	d := delivery.New(o.Created, until, rand.Uint64(), held)
	switch {
	case o.req.fixed:
		d.Phase, d.State, d.At = delivery.Sent, channel.Sent, time.Time{}
	case s.c.Async:
		d = delivery.New(o.Created, time.Time{}, 0, held)
	}
	*o.delivery, o.encoded = d, d.Encode()
	o.Delivery, err = s.keys.sign(o.Record, o.encoded)
	return until, err
}

// errDoubt means that a call may have been done although it failed.
var errDoubt = errors.New("it may have been done")

// uncreated is the answer to a request for which create failed. counted tells that the
// Guard counted its message.
func (s *Service) uncreated(ctx context.Context, o *opened, held delivery.Charge, keyed, counted bool, err error) (
	*Challenge, error) {
	doubt := errors.Is(err, errDoubt)
	if doubt && !keyed && !s.takesOver() { // nobody will send it
		patience := afterwards
		if s.opens(o.req) { // the caller has waited for that long
			patience = time.Second
		}
		s.giveWithin(ctx, patience, s.limitsOf(o, held), held.At)
		doubt = false
	}
	if counted && !doubt {
		s.unsent(ctx, o.req, held)
	}
	if keyed && (ReasonOf(err) == ReasonLimited || errors.Is(err, store.ErrExists)) { // by the same request, perhaps
		if c, failed := s.repeatedSoon(ctx, o); c != nil || failed != nil {
			return c, failed
		}
	}
	if ReasonOf(err) == "" {
		err = s.storeError(o.Record, err, o.Created)
	}
	if doubt {
		return s.challenge(o), err
	}
	return nil, err
}
