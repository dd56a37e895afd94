package otp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// errForgetter means that the store cannot forget a run of failures.
var errForgetter = errors.New("the Store does not implement store.Forgetter")

// Unlock ends the locks of a subject and its runs of failures, including those of known
// devices. The caller must have identified the person in another way. Scope.Purpose is
// ignored. The Store must be a [store.Forgetter], as the stores of this module are.
func (s *Service) Unlock(ctx context.Context, q Scope) error {
	now := instant()
	err := s.forget(ctx, q.Subject, q.Tenant, now)
	s.emitDone(ctx, EventUnlocked, q.Subject, q.Tenant, err, now)
	return err
}

// An Erasure names a person, for [Service.Erase].
type Erasure struct {
	Tenant  string            // as in the Requests
	Subject string            // as in the Requests; empty: only the addresses
	To      channel.Recipient // addresses; the zero Recipient: only the subject
}

// String keeps the subject and the addresses out of logs.
func (q Erasure) String() string { return "otp.Erasure(" + loggable(q.Tenant) + ")" }

// GoString is String.
func (q Erasure) GoString() string { return q.String() }

// LogValue is String.
func (q Erasure) LogValue() slog.Value { return slog.StringValue(q.String()) }

// MarshalJSON is String.
func (q Erasure) MarshalJSON() ([]byte, error) { return json.Marshal(q.String()) }

// Erase removes a person's data from the store: the runs of failures of a subject, and
// the counts of messages to addresses. Codes of the subject are cancelled. Their records
// are sealed, and end with the life of the code. DELIVERY.md, in this package's folder,
// lists all keys and how long each is kept. A call that failed may be repeated. The Store
// must be a [store.Forgetter], as the stores of this module are.
func (s *Service) Erase(ctx context.Context, q Erasure) error {
	now := instant()
	err := s.erase(ctx, q, now)
	s.emitDone(ctx, EventErased, q.Subject, q.Tenant, err, now)
	return err
}

func (s *Service) erase(ctx context.Context, q Erasure, now time.Time) error {
	t := s.tenant(q.Tenant)
	switch {
	case t == nil:
		return invalid("Tenant", "there is none of that name")
	case q.Subject == "" && q.To == (channel.Recipient{}):
		return invalid("Subject", "there is neither a subject nor an address")
	}
	if q.To != (channel.Recipient{}) {
		if err := s.eraseAddresses(ctx, q, t, now); err != nil {
			return err
		}
	}
	if q.Subject == "" {
		return nil
	}
	if err := s.CancelAll(ctx, Scope{Subject: q.Subject, Tenant: q.Tenant}); err != nil {
		return err
	}
	return s.forget(ctx, q.Subject, q.Tenant, now)
}

// eraseAddresses gives back every charge to the limits of the addresses, by every policy
// of the tenant.
func (s *Service) eraseAddresses(ctx context.Context, q Erasure, t *tenant, now time.Time) error {
	var limits []store.Limit
	policies := []*Policy{&t.policy}
	for _, p := range t.purposes {
		policies = append(policies, p)
	}
	for _, known := range []bool{false, true} {
		r := &sealedRequest{tenant: q.Tenant, to: q.To, known: known}
		if err := s.validateAddresses(r, t); err != nil {
			return err
		}
		for _, p := range policies {
			for _, l := range s.limits(r, p, r.to.Kinds(), noIP) {
				l.N = math.MaxInt32
				limits = append(limits, l)
			}
		}
	}
	if len(limits) == 0 {
		return nil
	}
	err := again(ctx, func() error { return s.c.Limiter.Give(ctx, time.Time{}, now, limits...) })
	if err != nil {
		return s.storeError(nil, err, now)
	}
	return nil
}

func (s *Service) forget(ctx context.Context, subject, tenant string, now time.Time) error {
	if _, _, err := s.locate(Ref{Subject: subject, Tenant: tenant}); ReasonOf(err) == ReasonInvalid {
		return err
	}
	forgetter, ok := s.c.Store.(store.Forgetter)
	if !ok {
		return &Error{Reason: ReasonUnavailable, Err: errForgetter}
	}
	tag := s.keys.subject(tenant, subjectForm(subject))
	bucket := s.keys.newID(tenant, tag, "", "").store()[:bucketLen]
	err := eachRun(tag, func(run string) error {
		return again(ctx, func() error { return forgetter.Forget(ctx, bucket, run, now) })
	})
	if err != nil {
		return s.storeError(nil, err, now)
	}
	return nil
}

// emitDone tells of an operator's act.
func (s *Service) emitDone(ctx context.Context, kind EventKind, subject, tenant string, err error, now time.Time) {
	e := Event{Kind: kind, At: now, Tenant: loggable(tenant)}
	if subject != "" {
		e.Subject = s.keys.subject(tenant, subjectForm(subject)).String()
	}
	if err != nil {
		operation := OperationUnlock
		if kind == EventErased {
			operation = OperationErase
		}
		e.Kind, e.Operation, e.Reason, e.Err = EventRefused, operation, ReasonOf(err), err
	}
	s.emit(ctx, e)
}
