package otp

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// A Verification asks whether a typed code is right.
type Verification struct {
	ID      string // Challenge.ID
	Subject string // as in the Request
	Tenant  string // as in the Request
	Purpose string // as in the Request
	Binding []byte // as in the Request

	// Code is the text that the person typed or pasted. [Random.Normalize] lists
	// the forms that are read. Required.
	Code string

	// RequestID marks the event of this verification. Default: the Send's.
	RequestID string

	// IdempotencyKey makes a repeated call with the same Code return the result
	// of the first, for instance after a lost answer: no second attempt is
	// charged, and a right code verifies again. The caller must choose it, not
	// the person. At most 256 octets. Default: each call is a new one.
	IdempotencyKey string
}

// String keeps the code, and a subject that may be an address, out of logs.
func (v Verification) String() string { return "otp.Verification(" + loggable(v.ID) + ")" }

// GoString is String.
func (v Verification) GoString() string { return v.String() }

// LogValue is String.
func (v Verification) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalJSON is String.
func (v Verification) MarshalJSON() ([]byte, error) { return json.Marshal(v.String()) }

// Verify returns a nil error if v.Code is the challenge's code. At most one call for
// a challenge succeeds, unless that call is repeated with its IdempotencyKey. It proves
// that the person controls an address of one of the kinds in Challenge.Used.
//
// A code that is not of the generator's form is refused and costs nothing. Any other
// code is charged as an attempt before it is compared. The error matches
// [ErrInvalidCode] if the code is not valid (AttemptsLeft is set if it was wrong),
// [ErrWait] if the attempts are used up or the subject is locked, [ErrInvalidRequest]
// if a field is wrong, and [ErrUnavailable] if the store failed: then nobody is
// verified. With an error the Challenge is nil.
func (s *Service) Verify(ctx context.Context, v Verification) (*Challenge, error) {
	now := instant()
	o, c, err := s.verify(ctx, v, now)
	if !s.observed(ctx) || c != nil && c.Repeated {
		return c, err
	}
	e := Event{Kind: EventVerified, At: now, Tenant: loggable(v.Tenant)}
	if o.req != nil {
		e = s.event(EventVerified, &o, now)
	} else if o.Record != nil {
		e = s.openEvent(EventVerified, o.Record, now)
	} else if validID(v.ID) {
		_ = s.openEvent(EventVerified, &s.dummy, now) // takes as long
		e.Challenge = v.ID
	}
	e.RequestID = cmp.Or(loggable(v.RequestID), e.RequestID)
	var refused *Error
	if errors.As(err, &refused) {
		e.Kind, e.Reason, e.AttemptsLeft = EventRejected, refused.Reason, refused.AttemptsLeft
		if e.Reason == ReasonUnavailable {
			e.Err = refused.Err
		}
	}
	s.emit(ctx, e)
	return c, err
}

// verify returns the record with an error too, if there is one: opened if the code was
// right, else the Record alone.
func (s *Service) verify(ctx context.Context, v Verification, now time.Time) (o opened, _ *Challenge, _ error) {
	typed, ok := normalizeFor(s.c.Generator, v.Code)
	switch {
	case !ok:
		return o, nil, &Error{Reason: ReasonMalformed}
	case len(v.Purpose) > 64:
		return o, nil, invalid("Purpose", "it is longer than 64 octets")
	case len(v.Binding) > maxBinding:
		return o, nil, invalid("Binding", "it is longer than 64 KiB")
	case len(v.IdempotencyKey) > 256:
		return o, nil, invalid("IdempotencyKey", "it is longer than 256 octets")
	}
	binding, token := bind(v.Binding), randomToken()
	i, tag, err := s.locate(Ref{v.ID, v.Subject, v.Tenant})
	if err != nil {
		if errors.Is(err, store.ErrNotFound) { // as much work as a wrong code, at nobody's cost
			_, _ = s.c.Store.Get(ctx, i.store(), now)
			_, _ = s.right(&s.dummy, typed, v, binding)
		}
		return o, nil, err
	}
	if v.IdempotencyKey != "" { // another code is another call
		token = s.keys.token("verify", v.ID, v.IdempotencyKey, typed)
	}
	err = again(ctx, func() (err error) {
		o.Record, err = s.c.Store.Attempt(ctx, i.store(), token, now)
		return err
	})
	switch {
	case errors.Is(err, store.ErrExhausted):
		return o, nil, &Error{Reason: ReasonAttempts, Err: err}
	case err != nil:
		_, _ = s.right(&s.dummy, typed, v, binding)
		return o, nil, s.storeError(o.Record, err, now)
	}
	right, err := s.right(o.Record, typed, v, binding)
	switch {
	case err != nil:
		return o, nil, s.openError(ctx, o.Record, err)
	case !right || !tag.runs(o.Subject):
		return o, nil, wrong(o.Record, now)
	}
	return s.verified(ctx, o.Record, token, now)
}

// wrong is the error of a code that differs from the challenge's.
func wrong(r *store.Record, now time.Time) *Error {
	e := &Error{Reason: ReasonWrong, AttemptsLeft: r.MaxAttempts - r.Attempts}
	if r.LockedUntil.After(now) {
		e.AttemptsLeft, e.RetryAfter = 0, r.LockedUntil.Sub(now)
	}
	return e
}

// verified closes the challenge of a right code. If the record was changed in the store,
// it stays open, since its request cannot be trusted.
func (s *Service) verified(ctx context.Context, r *store.Record, token store.Token, now time.Time) (opened,
	*Challenge, error) {
	repeated := r.Outcome != store.Open
	o, failed := s.open(r)
	switch {
	case errors.Is(failed, errTampered):
		return opened{Record: r}, nil, s.openError(ctx, r, failed)
	case o != nil && o.req.decoy: // the code was guessed, and never sent
		return opened{Record: r}, nil, wrong(r, now)
	}
	closed := r
	err := again(ctx, func() (err error) {
		closed, err = s.c.Store.Finish(ctx, r.ID, store.Verified, token, now)
		return err
	})
	if err != nil {
		return opened{Record: r}, nil, s.storeError(r, err, now)
	}
	if failed == nil {
		o, failed = s.with(o, closed)
	}
	if failed != nil { // of another version, for example: the code was right
		s.log.ErrorContext(ctx, "otp: a verified challenge cannot be opened", "record", r.ID, "error", failed)
		return opened{Record: closed}, &Challenge{ID: s.keys.publicOf(r.ID), Outcome: closed.Outcome, Next: NextDone,
			Created: r.Created, Expires: r.Expires}, nil
	}
	s.recall(ctx, o)
	if !repeated {
		s.observeLatest(ctx, o, channel.FeedbackVerified)
		s.settleVerified(ctx, o)
	}
	c := s.challenge(o)
	c.Repeated = repeated
	return *o, c, nil
}

// right compares a code.
func (s *Service) right(r *store.Record, typed string, v Verification, binding [32]byte) (bool, error) {
	if len(s.fixed) > 0 {
		o, err := s.open(r)
		switch {
		case r == &s.dummy:
		case err != nil:
			return false, err
		case o.req.fixed: // held to the same terms as a derived one
			code, ok := s.fixedCode(o.req)
			return ok && subtle.ConstantTimeCompare([]byte(code), []byte(typed)) == 1 &&
				o.req.purpose == v.Purpose && o.req.tenant == v.Tenant && o.req.binding == binding, nil
		}
	}
	return s.matches(r, typed, v.Purpose, binding)
}
