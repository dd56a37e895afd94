package otp

import (
	"context"
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// recallTime bounds what withdrawing messages may take of a call's time.
const recallTime = 2 * time.Second

// allSteps stands for the messages of every step.
const allSteps = 0

// cancelerOf returns nil where no message could be withdrawn: a failover is a
// Canceler even if none of its routes' channels is.
func cancelerOf(c channel.Channel) channel.Canceler {
	canceler, ok := channel.As[channel.Canceler](c)
	if !ok {
		return nil
	}
	lister, ok := channel.As[channel.RouteLister](c)
	if !ok {
		return canceler
	}
	routes := lister.Routes()
	for _, r := range routes {
		if _, ok := channel.As[channel.Canceler](r.Channel); ok {
			return canceler
		}
	}
	if routes == nil {
		return canceler
	}
	return nil
}

// outstanding lists the messages of a closed challenge that may still be on
// their way. A code that was verified came with some message, so if there was
// one only, that has arrived.
func outstanding(r *store.Record, d *delivery) []posted {
	if r.Outcome == store.Open || r.Outcome == store.Verified && d.step == 1 && len(d.tried) <= 1 {
		return nil
	}
	return append(d.older, d.pending()...)
}

// recall has the messages of a challenge that was just closed withdrawn: by a
// worker where there is one, else here. Nothing depends on it.
func (s *Service) recall(ctx context.Context, r *store.Record) {
	if s.canceler == nil {
		return
	}
	d, err := decodeDelivery(r.Delivery)
	if err != nil || len(outstanding(r, d)) == 0 {
		return
	}
	if !s.c.Async && s.working.Load() == 0 {
		s.withdraw(ctx, r, allSteps)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTime)
	defer cancel()
	if err := s.c.Queue.Enqueue(ctx, job(r, d.priority, d.step, byEnd, time.Now())); err != nil {
		s.log.WarnContext(ctx, "otp: messages are not withdrawn: the queue failed", "challenge", r.ID, "error", err)
	}
}

// withdraw asks the providers to drop a closed challenge's messages, those of
// one step or of allSteps. What comes of it is logged only.
func (s *Service) withdraw(ctx context.Context, r *store.Record, step int) {
	if s.canceler == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTime)
	defer cancel()
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return
	}
	for _, p := range outstanding(r, d) {
		if step != allSteps && step != p.step {
			continue
		}
		switch err := s.withdrawOne(ctx, r, p); {
		case errors.Is(err, errors.ErrUnsupported): // by this route
		case err != nil:
			s.log.InfoContext(ctx, "otp: a message was not withdrawn", "challenge", r.ID, "step", p.step, "route", p.route, "error", err)
		default:
			s.log.InfoContext(ctx, "otp: a message was withdrawn", "challenge", r.ID, "step", p.step, "route", p.route)
		}
	}
}

func (s *Service) withdrawOne(ctx context.Context, r *store.Record, p posted) error {
	l, err := s.unseal(r)
	if err != nil {
		return err
	}
	m, err := s.message(r, l, &delivery{step: p.step, via: p.route})
	if err != nil {
		return err
	}
	return redact(m, s.canceler.Cancel(ctx, m, channel.Submission{Route: p.route, ProviderIDs: p.providers, State: channel.Sent}))
}
