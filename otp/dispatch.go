package otp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

var (
	// errNothing: the event has nothing to do.
	errNothing = errors.New("otp: nothing is due")

	// errUnqueued: the queue failed, and nothing was recorded.
	errUnqueued = errors.New("otp: the queue failed")
)

// defaultLease is the lease on a message if Config.Takeover is zero.
const defaultLease = 20 * time.Second

func (s *Service) lease() time.Duration {
	if s.c.Takeover > 0 {
		return s.c.Takeover
	}
	return defaultLease
}

// An event changes a delivery, and returns the charges to refund once it is
// recorded.
type event func(*delivery.Delivery, delivery.Challenge) (refund charges, err error)

type charges = []delivery.Charge

// swap is the only writer of a record's delivery: it applies an event by
// compare-and-swap, again from the newer record until it succeeds. If the
// record needs a look later, its wake-up is enqueued before it is written,
// unless it has one as early, or the caller is a worker, whose own job comes
// again. The charges that the event leaves over are refunded by the caller that
// recorded it.
func (s *Service) swap(ctx context.Context, o *opened, worker bool, apply event) (*opened, error) {
	for range 100 { // far more writers than a challenge can have
		d := o.delivery.Clone()
		refund, err := apply(&d, o.state())
		if err != nil {
			return o, err
		}
		encoded := d.Encode()
		if bytes.Equal(encoded, o.encoded) { // recorded by a try before, whose answer was lost
			s.refund(ctx, o, refund...)
			return o, nil
		}
		if at, due := s.wakeUp(&d, o); due && !worker {
			if before, due := s.wakeUp(o.delivery, o); !due || at.Before(before) {
				if err := s.wake(ctx, o, at); err != nil {
					return o, fmt.Errorf("%w: %w", errUnqueued, err)
				}
			}
		}
		newer, err := s.write(ctx, o, &d, encoded)
		switch {
		case err == nil:
			s.refund(ctx, newer, refund...)
			return newer, nil
		case newer == nil:
			return o, err
		}
		o = newer
	}
	return o, store.ErrConflict
}

// write replaces the delivery of o's record. With an error it returns the
// newer record if the error is a conflict, else nil. It recognises its own
// write if only the answer was lost.
func (s *Service) write(ctx context.Context, o *opened, d *delivery.Delivery, encoded []byte) (*opened, error) {
	now := instant()
	signed, err := s.keys.sign(o.Record, encoded)
	if err != nil {
		return nil, err
	}
	r, err := s.c.Store.Update(ctx, o.ID, o.Revision, signed, now)
	lost := err != nil && !isAnswer(err)
	for try := 0; err != nil && !isAnswer(err) && try < 3; try++ {
		stored, failed := s.c.Store.Get(ctx, o.ID, now)
		switch {
		case failed != nil:
		case stored.Revision == o.Revision: // it was not written
			r, err = s.c.Store.Update(ctx, o.ID, o.Revision, signed, now)
		case stored.Revision == o.Revision+1 && bytes.Equal(stored.Delivery, signed):
			r, err = stored, nil
		default:
			r, err = stored, store.ErrConflict
		}
	}
	switch {
	case err == nil:
		newer := *o
		newer.Record, newer.delivery, newer.encoded = r, d, encoded
		return &newer, nil
	case !errors.Is(err, store.ErrConflict):
		return nil, err
	}
	newer, failed := s.with(o, r)
	if failed != nil {
		return nil, failed
	}
	newer.lost = newer.lost || lost
	return newer, err
}

// takesOver reports whether Work sends the message of a call whose process died.
func (s *Service) takesOver() bool { return s.c.Async || s.c.Takeover > 0 }

// wakeUp returns when a delivery needs a later look; due is false if it needs none. The
// end of a call's lease needs one only if Work takes over.
func (s *Service) wakeUp(d *delivery.Delivery, o *opened) (at time.Time, due bool) {
	m := d.Next(o.state(), instant())
	leased := d.Phase == delivery.Sending || d.Phase == delivery.Delivered
	return m.At, m.Do == delivery.Wait && (!leased || s.takesOver())
}

// wake enqueues a look at o. A zero time means now.
func (s *Service) wake(ctx context.Context, o *opened, at time.Time) error {
	if s.c.Queue == nil {
		s.log.ErrorContext(ctx, "otp: a route awaits receipts, which needs Config.Queue", "challenge", o.id)
		return nil
	}
	j := store.Job{Challenge: o.ID, Priority: o.req.priority, NotBefore: at, Expires: o.Expires}
	err := again(ctx, func() error { return s.c.Queue.Enqueue(ctx, j) })
	if err == nil {
		s.watchWork(j.Expires)
	}
	return err
}

// A result is the outcome of the attempts of one call.
type result struct {
	hops []channel.Hop
	err  error // of the latest attempt: the channel's
}

// carry sends the due messages, one step after another, until nothing is due. If
// claimed, the first step is the caller's already; m, unless nil, is its
// message.
func (s *Service) carry(ctx context.Context, o *opened, m *channel.Message, claimed, worker bool) (
	*opened, result, error) {
	var res result
	for {
		var err error
		if !claimed {
			if o, err = s.claim(ctx, o, worker); err != nil {
				if errors.Is(err, errNothing) {
					err = nil
				}
				return o, res, err
			}
		}
		a := s.attempt(ctx, o, m)
		claimed, m = false, nil
		res.hops, res.err = append(res.hops, a.sub.Hops...), a.err
		if o, err = s.finish(ctx, o, a, worker); err != nil {
			s.log.ErrorContext(ctx, "otp: the outcome of a message was not recorded", "challenge", o.id, "step",
				a.name.Step, "error", err)
			if !worker { // the message is out: the call succeeds
				err = nil
			}
			return o, res, err
		}
		switch o.next(instant()).Do {
		case delivery.Withdraw:
			s.withdraw(ctx, o)
			return o, res, nil
		case delivery.Send:
			if ctx.Err() == nil {
				continue
			}
		}
		return o, res, nil
	}
}

// claim takes the due step for the length of a lease: if two processes come, one
// delivers it.
func (s *Service) claim(ctx context.Context, o *opened, worker bool) (*opened, error) {
	if d := o.delivery; d.Phase == delivery.Sent && d.Send == d.Sends { // a silence: was a receipt parked?
		var err error
		if o, err = s.unpark(ctx, o, worker); err != nil {
			return o, err
		}
	}
	owner := rand.Uint64()
	return s.swap(ctx, o, worker, func(d *delivery.Delivery, c delivery.Challenge) (charges, error) {
		now := instant()
		refund, ok := d.Claim(c, now, now.Add(s.lease()), owner)
		if !ok && !d.Holds(owner) {
			return nil, errNothing
		}
		return refund, nil
	})
}

// finish records the outcome of an attempt, with the receipts that came earlier. It tries
// for the length of afterwards.
func (s *Service) finish(ctx context.Context, o *opened, a attempt, worker bool) (*opened, error) {
	gone := ctx.Err() != nil
	ctx, cancel := bounded(ctx)
	defer cancel()
	early := s.track(ctx, o, a)
	out := a.outcome()
	if pause, ok := s.retryIn(o, a, worker); ok {
		out.Retry = instant().Add(pause)
	}
	var told []report // receipts with an effect
	record := func() (err error) {
		var newer *opened
		newer, err = s.swap(ctx, o, worker, func(d *delivery.Delivery, _ delivery.Challenge) (charges, error) {
			var refund charges
			refund, told = ended(d, a.name, out, early)
			return refund, nil
		})
		if err == nil {
			o = newer
		} else if r, failed := s.c.Store.Get(ctx, o.ID, instant()); failed == nil { // the record at hand may be old
			if newer, failed := s.with(o, r); failed == nil {
				o = newer
			}
		}
		return err
	}
	err := persist(ctx, record)
	if errors.Is(err, errUnqueued) { // a silence that nobody follows is better than a second message
		out.Await = time.Time{}
		ctx, cancel := bounded(ctx)
		defer cancel()
		err = persist(ctx, record)
	}
	s.chargeMore(ctx, o, a)
	s.emitSent(ctx, o, a)
	if err != nil {
		return o, err
	}
	for _, rp := range told {
		s.emitReceipt(ctx, o, rp)
	}
	if gone && s.c.Takeover > 0 && o.next(instant()).Do == delivery.Send {
		_ = s.wake(ctx, o, time.Time{}) // Work goes on; if this fails, from the lease's end
	}
	return o, nil
}

// ended records the outcome of an attempt in d, and then the receipts that came earlier.
// It returns the receipts with an effect.
func ended(d *delivery.Delivery, a delivery.Attempt, out delivery.Outcome, early []report) (
	refund []delivery.Charge, told []report) {
	refund = d.Finish(a, out)
	for _, rp := range early {
		more, changed := rp.apply(d)
		if refund = append(refund, more...); changed {
			told = append(told, rp)
		}
	}
	return refund, told
}

// lastTry is the time before the end of a code's life in which a message is not tried
// again; for a life under two minutes, the second half of the life.
const lastTry = time.Minute

// retryIn returns the pause before a worker tries the same step again. ok is false if the
// message may have been sent, or another try cannot help.
func (s *Service) retryIn(o *opened, a attempt, worker bool) (pause time.Duration, ok bool) {
	if !worker || !a.retryable() {
		return 0, false
	}
	var asked time.Duration
	var e *channel.Error
	if errors.As(a.err, &e) {
		asked = e.RetryAfter
	}
	pause = max(time.Second<<min(a.name.Number-1, 5), asked)
	last := o.Expires.Add(-min(lastTry, o.Expires.Sub(o.Created)/2))
	return pause, instant().Add(pause).Before(last)
}

// isAnswer reports whether err is an answer of the store, not a failure.
func isAnswer(err error) bool {
	for _, e := range []error{store.ErrExists, store.ErrNotFound, store.ErrExpired, store.ErrClosed, store.ErrExhausted,
		store.ErrLocked, store.ErrConflict, store.ErrFull, errNothing, errForeign, errTampered, errVersion, errKey} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// again calls f up to three times, until f succeeds or the store answers. f must be safe
// to repeat.
func again(ctx context.Context, f func() error) (err error) {
	for pause := 20 * time.Millisecond; ; pause *= 4 {
		err = f()
		if err == nil || isAnswer(err) || ctx.Err() != nil || pause > 100*time.Millisecond || !sleep(ctx, pause) {
			return err
		}
	}
}

// persist calls f until it succeeds, the store answers, or ctx ends.
func persist(ctx context.Context, f func() error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if err := f(); err == nil || isAnswer(err) && !errors.Is(err, store.ErrConflict) || !sleep(ctx, pause) {
			return err
		}
	}
}

// sleep waits for d. It returns false, early, if ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
