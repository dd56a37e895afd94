package otp

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// maySent reports whether any hop may have gone out.
func maySent(sub channel.Submission, err error) bool {
	return channel.ClassOf(err) == channel.Unknown || slices.ContainsFunc(sub.Attempts, func(a channel.Attempt) bool {
		return a.Err == nil || a.Class == channel.Unknown
	})
}

// retryable reports whether the same step may succeed soon.
func retryable(sub channel.Submission, err error) bool {
	if err == nil || maySent(sub, err) {
		return false
	}
	c := channel.ClassOf(err)
	return c == channel.Temporary || c == channel.Throttled
}

// lastTry is how near the end of its code's life a message is tried for the
// last time, or in half of a shorter life. The queue pauses for less, so that
// what surely never went out is known to have failed, and gives its limits
// back.
const lastTry = time.Minute

// recordOutcome writes down where a step got to. A step that surely failed for
// a passing reason stays open if a queue will bring it back in time.
func (s *Service) recordOutcome(ctx context.Context, done *delivered, l *letter, j store.Job, sendErr error) (err error) {
	sub := done.sub
	again := s.c.Async && j.Attempt > 0 && retryable(sub, sendErr) && time.Until(done.record.Expires) > min(lastTry, s.c.Policy.Life/2)
	done.record, done.delivery, err = s.update(ctx, done.record, func(r *store.Record, d *delivery) error {
		noteAddresses(d, l, sub, sendErr)
		switch {
		case d.step != j.Step: // a Resend has overtaken it
			if sendErr == nil && len(sub.ProviderIDs) > 0 {
				d.older = append(d.older, posted{j.Step, sub.Route, sub.ProviderIDs})
			}
			return nil
		case again:
			d.lease = time.Time{}
			if done.before { // for the next try to know it too
				d.lease = r.Created
			}
			return nil
		}
		for _, a := range sub.Attempts {
			if !slices.Contains(d.tried, a.Route) {
				d.tried = append(d.tried, a.Route)
			}
		}
		d.submitted, d.lease, d.await = true, time.Time{}, sub.Await
		if sendErr == nil {
			d.route, d.providers, d.kind = sub.Route, sub.ProviderIDs, kindOf(sub)
		}
		d.state = stateAfter(d, j, sub, sendErr)
		if sendErr == nil && sub.State == channel.Delivered {
			d.got = 1
			d.arrived(r.Sends)
		}
		return nil
	})
	return err
}

func noteAddresses(d *delivery, l *letter, sub channel.Submission, sendErr error) {
	for _, a := range sub.Attempts {
		switch {
		case a.Err == nil:
			d.used |= a.Address
		case a.Class == channel.InvalidRecipient:
			d.invalid |= a.Address
		}
	}
	if len(sub.Attempts) == 0 && sendErr == nil { // a channel on its own
		d.used |= l.to.Kinds()
	}
}

func stateAfter(d *delivery, j store.Job, sub channel.Submission, sendErr error) channel.State {
	switch {
	case d.state == channel.Delivered: // its receipt was faster
		return channel.Delivered
	case sendErr == nil && d.early != "" && d.early == sub.Route:
		return channel.Failed
	case sendErr == nil:
		return sub.State
	case errors.Is(sendErr, channel.ErrNoRoute) && j.Step > 1 && d.state != channel.Queued:
		return d.state // stays failed, or sent and silent
	case maySent(sub, sendErr):
		return channel.Sent
	}
	return channel.Failed
}

func kindOf(sub channel.Submission) channel.Address {
	for _, a := range sub.Attempts {
		if a.Err == nil {
			return a.Address
		}
	}
	return 0
}

// settle makes sure that what comes after a step is known: its receipts, and
// their absence. It is repeated when a job comes a second time, since its
// worker may have died just before.
func (s *Service) settle(ctx context.Context, r *store.Record, d *delivery, j store.Job) error {
	if !d.submitted || d.step != j.Step || r.Outcome != store.Open || d.state == channel.Delivered {
		return nil
	}
	return errors.Join(s.awaitReceipt(ctx, r, d), s.track(ctx, r, d))
}

// awaitReceipt queues the next step for when the receipt stays away.
func (s *Service) awaitReceipt(ctx context.Context, r *store.Record, d *delivery) error {
	if d.await.IsZero() {
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
	if d.state == channel.Failed { // reported before the submission was recorded
		return s.c.Queue.Enqueue(ctx, job(r, d.priority, d.step+1, byFailed, time.Now()))
	}
	return s.c.Queue.Enqueue(ctx, job(r, d.priority, d.step+1, bySilence, d.await))
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
		s.log.ErrorContext(ctx, "otp: a job waits for the store", "challenge", j.Challenge, "step", j.Step, "attempt", j.Attempt, "error", err)
		return err
	}
	if cause(j) == byEnd {
		s.withdraw(ctx, r, allSteps)
		return nil
	}
	done, err := s.deliver(ctx, r, nil, nil, j)
	switch {
	case errors.Is(err, errDrop):
		return done.unsettled
	case !done.called || !done.delivery.submitted:
		if err != nil && !errors.Is(err, errBusy) {
			s.log.WarnContext(ctx, "otp: a job is to be tried again", "challenge", j.Challenge, "step", j.Step, "attempt", j.Attempt, "error", err)
		}
		return err
	}
	if done.surelyUnsent(err) {
		if l, err := s.unseal(done.record); err == nil {
			s.give(ctx, s.counted(l, cause(j)), s.taken(done.record, j))
		}
	}
	return nil
}

// redacted is an error whose text lacks what a careless channel put there.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string { return e.text }
func (e *redacted) Unwrap() error { return e.err }

// redact keeps the code and the addresses of m out of an error's text.
func redact(m *channel.Message, err error) error {
	if err == nil {
		return nil
	}
	before := err.Error()
	text := m.Redact(before)
	if text == before {
		return err
	}
	return &redacted{text, err}
}
