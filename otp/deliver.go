package otp

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// afterwards bounds the bookkeeping that goes on after a message was sent,
// even if the caller has gone.
const afterwards = 5 * time.Second

// What may begin a step.
const (
	bySend    = "send"
	byRetry   = "retry" // of a Send that no route took, by its idempotency key
	byResend  = "resend"
	byFailed  = "failed"  // a receipt
	bySilence = "silence" // no receipt
)

// byEnd is no step: the challenge has ended, and what is on its way is void.
const byEnd = "end"

func job(r *store.Record, p store.Priority, step int, by string, now time.Time) store.Job {
	return store.Job{ID: jobID(r, step, by), Challenge: r.ID, Step: step, Priority: p, NotBefore: now, Expires: r.Expires}
}

// jobAgain is a job for a step that may have had one already, which may be a
// dead letter by now: another, one in a minute at most. Of two that are alive
// the record's claim picks one, and drops the other once the step is done.
func jobAgain(r *store.Record, d *delivery, now time.Time) store.Job {
	minute := "again" + strconv.Itoa(int(now.Sub(r.Created)/time.Minute))
	return job(r, d.priority, d.step, minute+"/"+d.by, now)
}

// again reports whether j was made by jobAgain.
func again(r *store.Record, j store.Job) bool { return j.ID != jobID(r, j.Step, cause(j)) }

// taken returns when the limits were taken for a job that someone asked for.
func (s *Service) taken(r *store.Record, j store.Job) time.Time {
	switch {
	case again(r, j):
		return r.Created // or later
	case s.c.Async || !s.queueGiven:
		return j.NotBefore
	}
	return j.NotBefore.Add(-s.c.Takeover)
}

// An order is a step that someone asked for.
type order struct {
	job    store.Job
	limits []store.Limit // that the message was counted against
	before *delivery     // a resend's: what it found
}

// start delivers a step here, or leaves it to the queue. It returns the
// Challenge beside every error after which a message may still come.
func (s *Service) start(ctx context.Context, r *store.Record, l *letter, m *channel.Message, o order) (*Challenge, error) {
	now, j := time.Now(), o.job
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	if s.c.Async || s.queueGiven {
		if s.c.Async {
			m = nil // a worker claims the step
		} else {
			j.NotBefore = now.Add(s.c.Takeover)
		}
		switch err := s.c.Queue.Enqueue(ctx, j); {
		case err != nil && !s.c.DirectWhenQueueFails && again(r, j):
			return s.challenge(r, l, d), s.storeError(r, err, now) // the job before this one may be alive
		case err != nil && !s.c.DirectWhenQueueFails:
			return s.unqueued(ctx, r, l, m != nil, o, err)
		case err != nil:
			s.log.WarnContext(ctx, "otp: the queue failed: a message is sent without it", "challenge", r.ID, "error", err)
		case s.c.Async:
			if d.step != j.Step { // as it will be when a worker begins it
				d.state, d.route = channel.Queued, ""
			}
			return s.challenge(r, l, d), nil
		}
	}
	done, err := s.deliver(ctx, r, l, m, j)
	mine := !s.c.Async && !again(r, j) // else the count is that of whoever gets the step
	if done.surelyUnsent(err) && (done.called || mine) {
		s.give(ctx, o.limits, s.taken(r, j))
	}
	c := s.challenge(done.record, l, done.delivery)
	c.Attempts = done.sub.Attempts
	if err != nil && !errors.Is(err, errDrop) && !errors.Is(err, errBusy) {
		return c, s.undelivered(done.record, err, now)
	}
	return c, nil
}

// undelivered tells a channel's failure from the store's and the Service's own.
func (s *Service) undelivered(r *store.Record, err error, now time.Time) error {
	var failed *channel.Error
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &failed):
		return &Error{Reason: ReasonUndelivered, RetryAfter: failed.RetryAfter, Err: err}
	}
	return s.storeError(r, err, now)
}

var (
	errDrop = errors.New("otp: the step is done, or void")
	errBusy = errors.New("otp: the step is being delivered elsewhere")
)

// update is the only writer of a record's Delivery: a compare-and-swap, again
// from the newer record until it succeeds.
func (s *Service) update(ctx context.Context, r *store.Record, change func(*store.Record, *delivery) error) (*store.Record, *delivery, error) {
	for range 100 { // far more writers than a challenge can have
		d, err := decodeDelivery(r.Delivery)
		if err != nil {
			return r, &delivery{}, err
		}
		if err := change(r, d); err != nil {
			return r, d, err
		}
		b := d.encode()
		if bytes.Equal(b, r.Delivery) {
			return r, d, nil
		}
		newer, err := s.c.Store.Update(ctx, r.ID, r.Revision, b, time.Now())
		if newer != nil {
			r = newer
		}
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			return r, d, err
		}
	}
	return r, &delivery{}, store.ErrConflict
}

// claim takes the job's step for Config.Takeover, so that of two processes one
// delivers it; who has not recorded its outcome by then is taken for dead, and
// its message for sent.
func (s *Service) claim(ctx context.Context, done *delivered, j store.Job) (err error) {
	done.record, done.delivery, err = s.update(ctx, done.record, func(r *store.Record, d *delivery) error {
		now := time.Now()
		err := d.begin(r, j, now)
		done.before = err == nil && !d.lease.IsZero()
		if err != nil {
			return err
		}
		d.lease = now.Add(s.c.Takeover)
		return nil
	})
	return err
}

// begin moves on to the job's step, unless it is done, void or in other hands.
func (d *delivery) begin(r *store.Record, j store.Job, now time.Time) error {
	by := cause(j)
	// A resend goes on from what was delivered; what becomes of receipts does not.
	arrived := d.state == channel.Delivered && (d.sends == r.Sends || by == byFailed || by == bySilence)
	switch {
	case r.Outcome != store.Open, arrived, slices.Contains(d.void, by):
		return errDrop
	case d.step == j.Step-1:
		d.older = append(d.older, d.pending()...)
		if d.sends != r.Sends || by == byRetry { // it begins again with the first route
			d.tried, d.state, d.sends, d.route = nil, channel.Queued, r.Sends, ""
		}
		d.step, d.by, d.submitted, d.again, d.got, d.providers, d.await, d.early = j.Step, by, false, false, 0, nil, time.Time{}, ""
		d.lease = time.Time{}
	case d.step != j.Step || d.by != by || d.submitted:
		return errDrop
	case now.Before(d.lease):
		return errBusy
	}
	return nil
}

// unqueued ends a step that could not be queued, so that it is not sent later
// if it was queued all the same. mine says that the creator has claimed it.
func (s *Service) unqueued(ctx context.Context, r *store.Record, l *letter, mine bool, o order, failure error) (*Challenge, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	now, j, sends, found := time.Now(), o.job, r.Sends, r.Delivery
	r, d, err := s.update(ctx, r, func(r *store.Record, d *delivery) error {
		if o.before != nil && d.step < j.Step { // what was sent before goes on as it was
			d.void, d.sends, d.via, d.request = append(d.void, cause(j)), sends, o.before.via, o.before.request
			return nil
		}
		if mine {
			if !bytes.Equal(r.Delivery, found) { // another has gone on with it since
				return errDrop
			}
		} else if err := d.begin(r, j, now); err != nil {
			return err
		}
		if d.again {
			return errDrop
		}
		d.submitted, d.lease, d.state = true, time.Time{}, channel.Failed
		return nil
	})
	switch {
	case errors.Is(err, errDrop), errors.Is(err, errBusy): // it was queued, and is under way
		return s.challenge(r, l, d), nil
	case err != nil: // the limits stay taken: it may be sent yet
		s.log.ErrorContext(ctx, "otp: a message that could not be queued may be sent all the same", "challenge", r.ID, "error", err)
	default:
		s.give(ctx, o.limits, s.taken(r, j))
	}
	return s.challenge(r, l, d), s.storeError(r, failure, now)
}

// delivered is what came of a step.
type delivered struct {
	sub      channel.Submission
	called   bool // the channel was given the message
	before   bool // and may have been by one that died
	record   *store.Record
	delivery *delivery

	unsettled error // beside errDrop: what comes after the step is not known yet
}

// surelyUnsent reports whether no message can have gone out.
func (d *delivered) surelyUnsent(err error) bool {
	return err != nil && !d.before && (!d.called || !maySent(d.sub, err))
}

// deliver claims a step, sends it, and records what became of it. l and m may
// be nil: then they are made from the record. An m that is given belongs to a
// step that its creator has claimed.
func (s *Service) deliver(ctx context.Context, r *store.Record, l *letter, m *channel.Message, j store.Job) (*delivered, error) {
	var err error
	done := &delivered{record: r, delivery: &delivery{}}
	if m == nil {
		err = s.claim(ctx, done, j)
	} else {
		done.delivery, err = decodeDelivery(r.Delivery)
	}
	if errors.Is(err, errDrop) {
		done.unsettled = s.settle(ctx, done.record, done.delivery, j)
		return done, err
	}
	if err != nil {
		return done, err
	}
	if l == nil {
		if l, err = s.unseal(done.record); err != nil {
			return done, err
		}
	}
	if m == nil {
		if m, err = s.message(done.record, l, done.delivery); err != nil {
			return done, err
		}
	}
	done.called = true
	var sendErr error
	done.sub, sendErr = s.submit(ctx, m, done.delivery.lease.Add(-afterwards))

	// The message is out: what follows must not depend on the caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	err = s.recordOutcome(ctx, done, l, j, sendErr)
	s.emitSent(ctx, done, l, j.Step, sendErr)
	if done.record.Outcome != store.Open { // meanwhile
		s.withdraw(ctx, done.record, j.Step)
	}
	if err == nil {
		err = s.settle(ctx, done.record, done.delivery, j)
	}
	if err != nil { // a second message would be worse than a lost receipt
		s.log.ErrorContext(ctx, "otp: the outcome of a message was not recorded", "challenge", r.ID, "step", j.Step, "error", err)
	}
	return done, sendErr
}

// submit hands the message over. It ends at limit, in time for the outcome to
// be recorded before another process may take the step over, and with the
// code's life. Every error has a class, and no error's text a secret.
func (s *Service) submit(ctx context.Context, m *channel.Message, limit time.Time) (channel.Submission, error) {
	if m.Expires.Before(limit) {
		limit = m.Expires
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	sub, err := s.c.Channel.Send(ctx, m)
	for i := range sub.Attempts {
		sub.Attempts[i].Err = redact(m, sub.Attempts[i].Err)
	}
	if err == nil {
		if sub.State == 0 {
			sub.State = channel.Sent
		}
		return sub, nil
	}
	var classed *channel.Error
	if !errors.As(err, &classed) {
		err = &channel.Error{Class: channel.Unknown, Op: "otp: send", Err: err}
	}
	return sub, redact(m, err)
}

func (s *Service) emitSent(ctx context.Context, done *delivered, l *letter, step int, err error) {
	if !s.observed(ctx) {
		return
	}
	e := event(EventSent, done.record, l, time.Now())
	e.RequestID = cmp.Or(done.delivery.request, e.RequestID)
	e.Step, e.Route, e.State, e.Providers, e.Attempts, e.Err = step, done.sub.Route, done.delivery.state, done.sub.ProviderIDs, done.sub.Attempts, err
	if err != nil {
		e.Reason = ReasonUndelivered
	}
	s.emit(ctx, e)
}
