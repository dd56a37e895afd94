package otp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/otp/wording"
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
	unrecorded := errors.Is(err, errNothing) || ReasonOf(err) != "" || isAnswer(err) || errors.Is(err, errUnqueued)
	if unrecorded && !newer.lost {
		q.undo(recording)
	}
	switch {
	case errors.Is(err, errNothing):
		return s.challenge(newer), nil
	case ReasonOf(err) != "":
		return nil, err
	case unrecorded:
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
