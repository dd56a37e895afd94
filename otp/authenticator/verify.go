package authenticator

import (
	"context"

	"github.com/otpcourier/otpcourier/otp"
)

// Verify returns the token that produced code, and uses the code up: of several
// calls with one code, at most one succeeds. The swap that accepts a code also uses
// up its step or counter, and all earlier ones. If two neighbouring steps have the
// same six digits, a used code is refused for both.
//
// Verify tries all confirmed tokens of the subject, and charges one failure for all
// of them. A code without 6 to 8 digits is malformed, and a used code is closed.
// Both are refused without a charge.
//
// Errors match otp.ErrInvalidCode (with AttemptsLeft if the code was wrong),
// otp.ErrWait if the subject is locked, or otp.ErrUnavailable. After
// otp.ErrUnavailable the caller must not log the person in. RetryAfter of a lock is
// zero if only Unlock or a recovery code ends it.
func (s *Service) Verify(ctx context.Context, subject, code string) (*Token, error) {
	var got *Token
	e := Event{Kind: EventVerified}
	err := s.verify(ctx, subject, code, &got, &e)
	if got != nil {
		e.about(got)
	}
	s.report(ctx, subject, e, err)
	return got, err
}

func (s *Service) verify(ctx context.Context, subject, typed string, got **Token, e *Event) error {
	code, ok := clean(typed)
	if !ok {
		return refuse(otp.ReasonMalformed)
	}
	g := guess{s: s, subject: subject}
	err := s.update(ctx, subject, func(v *value, now int64) (error, bool) {
		*got, e.Failures = nil, 0
		if err := v.otp.locked(now); err != nil {
			e.Failures = v.otp.failures
			return err, false
		}
		right, reason := v.match(code, s.c.Policy, now)
		switch reason {
		case "", otp.ReasonWrong:
		case otp.ReasonNotFound:
			s.dummy.check(code, s.c.Policy, now)
			fallthrough
		default:
			return refuse(reason), false
		}
		if err := g.charge(ctx); err != nil {
			return err, false
		}
		if reason == otp.ReasonWrong {
			err := g.fail(v, now)
			e.Failures = v.otp.failures
			return err, true
		}
		v.otp = run{}
		*got = right.public()
		return nil, true
	})
	if reason := otp.ReasonOf(err); err == nil || reason == otp.ReasonClosed {
		g.settle(ctx)
	}
	if err != nil {
		*got = nil
	}
	if otp.ReasonOf(err) == otp.ReasonNotFound {
		_, _ = s.c.Store.Load(ctx, subject) // as many calls as for a wrong code
	}
	return err
}

// match looks for the confirmed token that produced code, and uses the code up. If
// there is one, the reason is empty.
func (v *value) match(code string, p Policy, now int64) (first *token, reason otp.Reason) {
	reason = otp.ReasonNotFound
	usedBefore := false
	for i := range v.tokens {
		t := &v.tokens[i]
		switch {
		case t.pending != 0:
			continue
		case !t.valid(now):
			if reason == otp.ReasonNotFound {
				reason = otp.ReasonExpired
			}
			continue
		case first == nil:
			reason = otp.ReasonWrong
		}
		switch verdict, step := t.check(code, p, now); verdict {
		case replay:
			usedBefore = true
		case right: // another token may have it, too, by chance: it counts once
			t.take(step, now)
			if first == nil {
				first = t
			}
		}
	}
	switch {
	case usedBefore:
		return nil, otp.ReasonClosed
	case first != nil:
		return first, ""
	}
	return nil, reason
}

// Resync corrects a token with a wrong clock or counter, by two consecutive codes
// within Policy.Resync. It does not verify the person: it uses up both codes, and the
// next one logs in. A failure is charged like a wrong code.
//
// An app is refused, because its clock is the phone's, which the person must set. If
// the ID belongs to none of the subject's tokens, it is not found. Errors are as those
// of Verify.
func (s *Service) Resync(ctx context.Context, subject, id, first, second string) error {
	e := Event{Kind: EventResynced, Token: parseTokenID(id).String()}
	err := s.resync(ctx, subject, parseTokenID(id), first, second, &e)
	s.report(ctx, subject, e, err)
	return err
}

func (s *Service) resync(ctx context.Context, subject string, id tokenID, first, second string, e *Event) error {
	a, ok := clean(first)
	b, ok2 := clean(second)
	if !ok || !ok2 {
		return refuse(otp.ReasonMalformed)
	}
	g := guess{s: s, subject: subject}
	return s.update(ctx, subject, func(v *value, now int64) (error, bool) {
		e.Failures = v.otp.failures
		if err := v.otp.locked(now); err != nil {
			return err, false
		}
		t := v.find(id)
		switch {
		case t == nil || t.pending != 0:
			return refuse(otp.ReasonNotFound), false
		case !t.hotp && t.maxDrift == 0:
			return invalid("ID", "the token's clock is its phone's, which the person sets"), false
		}
		at, found := t.find(a, b, s.c.Policy, now)
		if err := g.charge(ctx); err != nil {
			return err, false
		}
		if !found {
			err := g.fail(v, now)
			e.Failures = v.otp.failures
			return err, true
		}
		used := t.used
		t.take(at, now)
		t.used = used // it was not for a login
		t.allowDrift(s.c.Policy)
		e.about(t.public())
		return nil, true
	})
}
