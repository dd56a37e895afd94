package otp

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// afterwards bounds the bookkeeping that goes on after a message was sent,
// even if the caller has gone.
const afterwards = 5 * time.Second

func job(r *store.Record, step int, cause string, now time.Time) store.Job {
	return store.Job{ID: jobID(r.ID, step, cause), Challenge: r.ID, Step: step, NotBefore: now, Expires: r.Expires}
}

// start delivers a step here, or leaves it to the queue.
func (s *Service) start(ctx context.Context, r *store.Record, l *letter, m *channel.Message, j store.Job, limits []store.Limit) (*Challenge, error) {
	now := time.Now()
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	if l.fixed {
		e := event(EventSent, r, l, now)
		e.Step, e.State = d.step, d.state
		s.emit(ctx, e)
		return s.challenge(r, l, d), nil
	}
	if s.c.Async || s.queueGiven {
		if !s.c.Async { // who takes over must not find us still sending
			j.NotBefore = now.Add(s.c.Takeover)
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, s.c.Takeover-time.Second)
			defer cancel()
		}
		if err := s.c.Queue.Enqueue(ctx, j); err != nil {
			s.give(ctx, limits, now)
			return nil, s.storeError(r, err, now)
		}
	}
	if s.c.Async {
		return s.challenge(r, l, d), nil
	}
	sub, r, d, err := s.deliver(ctx, r, l, m, j)
	if err != nil && !maySent(sub, err) {
		s.give(ctx, limits, now)
	}
	c := s.challenge(r, l, d)
	c.Attempts = sub.Attempts
	if err != nil {
		return c, s.undelivered(r, err, now)
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

// maySent reports whether any hop may have gone out.
func maySent(sub channel.Submission, err error) bool {
	return channel.ClassOf(err) == channel.Unknown || slices.ContainsFunc(sub.Attempts, func(a channel.Attempt) bool {
		return a.Err == nil || a.Class == channel.Unknown
	})
}

// errDrop means that a job has nothing left to do.
var errDrop = errors.New("otp: dropped")

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

// claim takes the job's step, so that of two processes one delivers it.
func (s *Service) claim(ctx context.Context, r *store.Record, j store.Job) (*store.Record, *delivery, error) {
	by := cause(j)
	return s.update(ctx, r, func(r *store.Record, d *delivery) error {
		switch {
		case r.Outcome != store.Open, d.state == channel.Delivered && d.sends == r.Sends:
			return errDrop
		case d.step == j.Step-1:
			if d.sends != r.Sends { // a Resend begins again
				d.tried, d.state, d.sends, d.route = nil, channel.Queued, r.Sends, ""
			}
			d.step, d.by, d.submitted, d.got, d.providers, d.await = j.Step, by, false, 0, nil, time.Time{}
			return nil
		case d.step == j.Step && d.by == by && !d.submitted: // its first worker died, or it begins
			return nil
		}
		return errDrop
	})
}

// deliver claims a step, sends it, and records what became of it. l and m may
// be nil: then they are made from the record.
func (s *Service) deliver(ctx context.Context, r *store.Record, l *letter, m *channel.Message, j store.Job) (channel.Submission, *store.Record, *delivery, error) {
	r, d, err := s.claim(ctx, r, j)
	if errors.Is(err, errDrop) {
		return channel.Submission{State: d.state}, r, d, s.settle(ctx, r, d, j)
	}
	if err != nil {
		return channel.Submission{}, r, d, err
	}
	if l == nil {
		if l, err = s.unseal(r); err != nil {
			return channel.Submission{}, r, d, err
		}
	}
	if m == nil {
		if m, err = s.message(r, l, d); err != nil {
			return channel.Submission{}, r, d, err
		}
	}
	sub, sendErr := s.submit(ctx, m)

	// The message is out: what follows must not depend on the caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	r, d, err = s.recordOutcome(ctx, r, l, j, sub, sendErr)
	s.emitSent(ctx, r, l, d, j.Step, sub, sendErr)
	if err == nil && sendErr == nil {
		err = errors.Join(s.settle(ctx, r, d, j), s.track(ctx, r, j.Step, sub))
	}
	if err != nil { // a second message would be worse than a lost receipt
		s.log.ErrorContext(ctx, "otp: the outcome of a message was not recorded", "challenge", r.ID, "step", j.Step, "error", err)
	}
	return sub, r, d, sendErr
}

// submit hands the message over, no longer than the code lives. Every error
// has a class.
func (s *Service) submit(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	ctx, cancel := context.WithDeadline(ctx, m.Expires)
	defer cancel()
	sub, err := s.c.Channel.Send(ctx, m)
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
	return sub, err
}

// recordOutcome writes down where a step got to. A step that surely failed for
// a passing reason stays open if a queue will bring it back.
func (s *Service) recordOutcome(ctx context.Context, r *store.Record, l *letter, j store.Job, sub channel.Submission, sendErr error) (*store.Record, *delivery, error) {
	again := s.c.Async && retryable(sub, sendErr)
	return s.update(ctx, r, func(_ *store.Record, d *delivery) error {
		for _, a := range sub.Attempts {
			switch {
			case a.Err == nil:
				d.used |= a.Address
			case a.Class == channel.InvalidRecipient:
				d.invalid |= a.Address
			}
			if !again && !slices.Contains(d.tried, a.Route) {
				d.tried = append(d.tried, a.Route)
			}
		}
		if len(sub.Attempts) == 0 && sendErr == nil { // a channel on its own
			d.used |= l.to.Kinds()
		}
		if d.step != j.Step || again { // overtaken by a Resend or a receipt; or to be tried again
			return nil
		}
		reported := d.submitted // its receipt was faster
		d.submitted, d.await = true, sub.Await
		if sendErr == nil {
			d.route, d.providers, d.kind = sub.Route, sub.ProviderIDs, kindOf(sub)
		}
		switch {
		case reported, d.state == channel.Delivered:
		case errors.Is(sendErr, channel.ErrNoRoute) && j.Step > 1 && d.state != channel.Queued: // stays failed, or sent and silent
		case sendErr != nil && maySent(sub, sendErr):
			d.state = channel.Sent
		case sendErr != nil:
			d.state = channel.Failed
		default:
			d.state = sub.State
		}
		return nil
	})
}

func retryable(sub channel.Submission, err error) bool {
	if err == nil || maySent(sub, err) {
		return false
	}
	c := channel.ClassOf(err)
	return c == channel.Temporary || c == channel.Throttled
}

func kindOf(sub channel.Submission) channel.Address {
	for _, a := range sub.Attempts {
		if a.Err == nil {
			return a.Address
		}
	}
	return 0
}

// settle makes sure that the silence of an awaited step is acted on. It is
// repeated when a job comes a second time, since its worker may have died
// just before.
func (s *Service) settle(ctx context.Context, r *store.Record, d *delivery, j store.Job) error {
	if d.await.IsZero() || d.step != j.Step || r.Outcome != store.Open || d.state == channel.Delivered {
		return nil
	}
	if s.c.Queue == nil {
		s.log.ErrorContext(ctx, "otp: a route has an Await, but there is no Queue", "route", d.route)
		return nil
	}
	if s.working.Load() == 0 {
		s.warnNoWork.Do(func() {
			s.log.WarnContext(ctx, "otp: a receipt is awaited, but Service.Work does not run in this process")
		})
	}
	next := job(r, j.Step+1, "silence", d.await)
	return s.c.Queue.Enqueue(ctx, next)
}

func (s *Service) emitSent(ctx context.Context, r *store.Record, l *letter, d *delivery, step int, sub channel.Submission, err error) {
	if !s.observed(ctx) {
		return
	}
	e := event(EventSent, r, l, time.Now())
	e.Step, e.Route, e.State, e.Providers, e.Attempts, e.Err = step, sub.Route, d.state, sub.ProviderIDs, sub.Attempts, err
	if err != nil {
		e.Reason = ReasonUndelivered
	}
	s.emit(ctx, e)
}

// Work delivers what is queued and acts on receipts that fail or stay away,
// until ctx ends; then it waits for the deliveries under way and returns
// ctx.Err(). A Service with Config.Async, or with routes that await receipts,
// needs it running in at least one process. It may run in any number of them.
func (s *Service) Work(ctx context.Context) error {
	if s.c.Queue == nil {
		return errors.New("otp: Work needs Config.Queue")
	}
	s.working.Add(1)
	defer s.working.Add(-1)
	return s.c.Queue.Run(ctx, s.c.Workers, s.handle)
}

// handle runs one job; an error brings it back.
func (s *Service) handle(ctx context.Context, j store.Job) error {
	now := time.Now()
	r, err := s.c.Store.Get(ctx, j.Challenge, now)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return nil
	}
	if err != nil {
		return err
	}
	sub, r, d, err := s.deliver(ctx, r, nil, nil, j)
	var sendErr *channel.Error
	if !errors.As(err, &sendErr) || !d.submitted {
		return err
	}
	if by := cause(j); by != "failed" && by != "silence" && !maySent(sub, err) {
		if l, err := s.unseal(r); err == nil {
			s.give(ctx, s.limits(l, noIP), now)
		}
	}
	return nil
}
