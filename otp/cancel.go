package otp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// Cancel makes a code worthless: it can be neither verified nor sent again. Messages on
// their way are withdrawn if their channel is a [channel.Canceler]. Cancel returns no error
// for a message that cannot be withdrawn.
func (s *Service) Cancel(ctx context.Context, q Ref) error {
	now := instant()
	r, err := s.cancel(ctx, q, now)
	if err != nil {
		e := Event{Kind: EventRefused, At: now, Tenant: loggable(q.Tenant), Operation: OperationCancel,
			Reason: ReasonOf(err), Err: err}
		if validID(q.ID) {
			e.Challenge = q.ID
		}
		s.emit(ctx, e)
		return err
	}
	o, err := s.open(r)
	if err != nil {
		return s.openError(ctx, r, err)
	}
	if s.observed(ctx) {
		s.emit(ctx, s.event(EventCancelled, o, now))
	}
	s.recall(ctx, o)
	return nil
}

func (s *Service) cancel(ctx context.Context, q Ref, now time.Time) (*store.Record, error) {
	i, tag, err := s.locate(q)
	if err != nil {
		return nil, err
	}
	token := randomToken()
	var r *store.Record
	err = again(ctx, func() (err error) {
		r, err = s.c.Store.Finish(ctx, i.store(), store.Cancelled, token, now)
		return err
	})
	switch {
	case err != nil:
		return r, s.storeError(r, err, now)
	case !tag.runs(r.Subject):
		return r, notFound()
	}
	return r, nil
}

// A Scope names the challenges of a subject.
type Scope struct {
	Subject string // as in the Requests
	Tenant  string // as in the Requests
	Purpose string // as in the Requests; empty: every purpose
}

// String keeps the subject, which may be an address, out of logs.
func (q Scope) String() string { return "otp.Scope(" + loggable(q.Purpose) + ")" }

// GoString is String.
func (q Scope) GoString() string { return q.String() }

// LogValue is String.
func (q Scope) LogValue() slog.Value { return slog.StringValue(q.String()) }

// MarshalJSON is String.
func (q Scope) MarshalJSON() ([]byte, error) { return json.Marshal(q.String()) }

// CancelAll makes every earlier code of a scope worthless. It needs no challenge IDs. Call
// it after a change of number or of password, since no older code must pass. It withdraws
// no message.
func (s *Service) CancelAll(ctx context.Context, q Scope) error {
	now := instant()
	if _, _, err := s.locate(Ref{Subject: q.Subject, Tenant: q.Tenant}); ReasonOf(err) == ReasonInvalid {
		return err
	}
	tag := s.keys.subject(q.Tenant, subjectForm(q.Subject))
	group := ""
	if q.Purpose != "" {
		group = s.keys.group(q.Tenant, q.Purpose)
	}
	bucket := s.keys.newID(q.Tenant, tag, "", "").store()[:bucketLen]
	err := eachRun(tag, func(run string) error {
		return again(ctx, func() error {
			return s.c.Store.CancelAll(ctx, bucket, run, group, now.Add(maxLife), now)
		})
	})
	e := Event{Kind: EventCancelled, At: now, Subject: tag.String(), Purpose: loggable(q.Purpose), Tenant: q.Tenant}
	if err != nil {
		failed := s.storeError(nil, err, now)
		e.Kind, e.Operation, e.Reason, e.Err = EventRefused, OperationCancelAll, failed.Reason, failed
		err = failed
	}
	s.emit(ctx, e)
	return err
}

// eachRun calls f for both runs of failures of a subject at the same time: the run of
// known devices and the run of others. Each has its own name in the Store.
func eachRun(tag subjectTag, f func(run string) error) error {
	var known error
	var wg sync.WaitGroup
	wg.Go(func() { known = f(tag.run(true)) })
	err := f(tag.run(false))
	wg.Wait()
	return errors.Join(err, known)
}

// recallTime bounds what withdrawing messages may take of a call's time.
const recallTime = 2 * time.Second

// recall withdraws the messages of a closed challenge: a worker does it if there is one,
// else this call. Nothing depends on it.
func (s *Service) recall(ctx context.Context, o *opened) {
	if o.tenant.canceler == nil || o.next(instant()).Do != delivery.Withdraw {
		return
	}
	if s.takesOver() || s.working.Load() > 0 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTime)
		defer cancel()
		if s.wake(ctx, o, time.Time{}) == nil {
			return
		}
	}
	s.withdraw(ctx, o)
}

// withdraw asks the providers to drop a closed challenge's messages. The result
// is only logged. Doing so twice does no harm.
func (s *Service) withdraw(ctx context.Context, o *opened) {
	if o.tenant.canceler == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTime)
	defer cancel()
	for _, m := range o.delivery.Outstanding(o.state()) {
		switch err := s.withdrawOne(ctx, o, m); {
		case errors.Is(err, errors.ErrUnsupported): // by this route
		case err != nil:
			s.log.InfoContext(ctx, "otp: a message was not withdrawn", "challenge", o.id, "step", m.Step, "route",
				m.Route, "error", err)
		default:
			s.log.InfoContext(ctx, "otp: a message was withdrawn", "challenge", o.id, "step", m.Step, "route", m.Route)
		}
	}
}

func (s *Service) withdrawOne(ctx context.Context, o *opened, sent delivery.Message) error {
	m, err := s.message(o)
	if err != nil {
		return err
	}
	m.ID, m.Route, m.Tried = o.id+"."+stepName(o.Record, sent.Step), sent.Route, nil
	sub := channel.Submission{Route: sent.Route, ProviderIDs: sent.Providers, State: channel.Sent}
	_, err = channel.Try(ctx, channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, o.tenant.canceler.Cancel(ctx, m, sub)
	}), m)
	if panicked, ok := errors.AsType[*channel.PanicError](err); ok {
		s.log.ErrorContext(ctx, "otp: a channel panicked in Cancel", "message", m.ID, "type", panicked.Type, "stack",
			string(panicked.Stack))
	}
	return redact(m, err)
}
