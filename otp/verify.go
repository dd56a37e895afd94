package otp

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A Verification is what a person typed, with what the code was made for.
type Verification struct {
	ID      string // the challenge's
	Subject string // as in the Request
	Purpose string // as in the Request
	Binding []byte // as in the Request

	// Code is what was typed: spaces and dashes in it are ignored, and digits
	// of any script are read.
	Code string

	// RequestID marks the event of this verification. Default: the Send's.
	RequestID string
}

// String keeps the code, and a subject that may be an address, out of logs.
func (v Verification) String() string { return "otp.Verification(" + loggable(v.ID) + ")" }

// GoString is String.
func (v Verification) GoString() string { return v.String() }

// LogValue is String.
func (v Verification) LogValue() slog.Value { return slog.StringValue(v.String()) }

// Verify returns nil if v.Code is the challenge's code. Of any number of calls
// for one challenge at most one returns nil.
//
// A code that is not of the generator's form is refused at no cost; any other
// is charged before it is compared. Errors match [ErrInvalidCode] (with
// AttemptsLeft where the code was wrong), [ErrWait] when the attempts are used
// up or the subject is locked, or [ErrUnavailable], after which nobody is
// verified.
func (s *Service) Verify(ctx context.Context, v Verification) error {
	now := time.Now()
	r, err := s.verify(ctx, v, now)
	if !s.observed(ctx) {
		return err
	}
	e := Event{Kind: EventVerified, At: now}
	switch {
	case r != nil:
		e = s.openEvent(EventVerified, r, now)
	case validID(v.ID):
		_ = s.openEvent(EventVerified, &s.dummyRecord, now) // takes as long
		e.Challenge = v.ID
	}
	e.RequestID = cmp.Or(loggable(v.RequestID), e.RequestID)
	var refused *Error
	if errors.As(err, &refused) {
		e.Kind, e.Reason, e.Left = EventRejected, refused.Reason, refused.AttemptsLeft
		if e.Reason == ReasonUnavailable {
			e.Err = refused.Err
		}
	}
	s.emit(ctx, e)
	return err
}

// verify returns the record beside an error too, where there is one.
func (s *Service) verify(ctx context.Context, v Verification, now time.Time) (*store.Record, error) {
	typed, ok := normalizeFor(s.c.Generator, v.Code)
	if !ok {
		return nil, &Error{Reason: ReasonMalformed}
	}
	switch {
	case v.Subject == "" || len(v.Subject) > maxSubject:
		return nil, invalid("Subject", "it must have 1 to 256 octets")
	case len(v.Purpose) > 64:
		return nil, invalid("Purpose", "it is longer than 64 octets")
	case len(v.Binding) > maxBinding:
		return nil, invalid("Binding", "it is longer than 64 KiB")
	}
	tag, binding := s.keys.subjectTag(v.Subject), bind(v.Binding)
	var r *store.Record
	err := store.ErrNotFound
	if validID(v.ID) {
		r, err = s.c.Store.Attempt(ctx, v.ID, now)
	}
	switch {
	case errors.Is(err, store.ErrExhausted):
		return r, &Error{Reason: ReasonAttempts, Err: err}
	case err != nil: // derives, as a wrong code would
		_, _ = s.right(&s.dummyRecord, typed, v.Purpose, tag, binding)
		return r, s.storeError(r, err, now)
	}
	right, err := s.right(r, typed, v.Purpose, tag, binding)
	if err != nil {
		return r, s.storeError(r, err, now)
	}
	if !right {
		e := &Error{Reason: ReasonWrong, AttemptsLeft: r.MaxAttempts - r.Attempts}
		if r.LockedUntil.After(now) {
			e.AttemptsLeft, e.RetryAfter = 0, r.LockedUntil.Sub(now)
		}
		return r, e
	}
	closed, err := s.c.Store.Finish(ctx, v.ID, store.Verified, now)
	if err != nil {
		return r, s.storeError(r, err, now)
	}
	s.recall(ctx, closed)
	return r, nil
}

func (s *Service) right(r *store.Record, typed, purpose, tag string, binding [32]byte) (bool, error) {
	if len(s.fixed) > 0 {
		l, err := s.unseal(r)
		if err != nil {
			return false, err
		}
		if l.fixed {
			return s.rightFixed(r, l, typed, purpose, tag, binding), nil
		}
	}
	return s.matches(r, typed, purpose, tag, binding)
}

// rightFixed holds a fixed code to the same terms as a derived one.
func (s *Service) rightFixed(r *store.Record, l *letter, typed, purpose, tag string, binding [32]byte) bool {
	code, ok := s.fixedCode(l)
	return ok && subtle.ConstantTimeCompare([]byte(code), []byte(typed)) == 1 &&
		l.purpose == purpose && r.Subject == tag && l.binding == binding
}
