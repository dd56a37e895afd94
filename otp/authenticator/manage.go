package authenticator

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// Status is the state of a subject's tokens and recovery codes. Enrolled is one
// answer to "has a second factor"; passkeys are outside, and may share the recovery
// codes.
type Status struct {
	Tokens        []Token // also before their Confirm
	RecoveryCodes int     // unused ones
	Failures      int     // wrong codes in a row

	// Locked reports whether codes of tokens are refused, until LockedUntil. If that is
	// zero, only Unlock or a recovery code ends the lock.
	Locked      bool
	LockedUntil time.Time
}

// Enrolled reports whether the subject has a token whose codes Verify accepts.
func (s *Status) Enrolled() bool {
	for _, t := range s.Tokens {
		if t.Confirmed {
			return true
		}
	}
	return false
}

// Status returns the state of the subject. A subject without a value has no tokens,
// which is no error. Errors match otp.ErrInvalidRequest or otp.ErrUnavailable. A caller
// that checks for a second factor must not treat an error as "no". Locks of
// Config.Failures are not included.
func (s *Service) Status(ctx context.Context, subject string) (*Status, error) {
	st := &Status{}
	err := s.update(ctx, subject, func(v *value, now int64) (error, bool) {
		st.RecoveryCodes, st.Failures = len(v.codes), v.otp.failures
		for i := range v.tokens {
			if t := &v.tokens[i]; t.pending == 0 || t.waits(now) {
				st.Tokens = append(st.Tokens, *t.public())
			}
		}
		if st.Locked = v.otp.until > now; st.Locked && v.otp.until != forever {
			st.LockedUntil = instant(v.otp.until)
		}
		return nil, false
	})
	if err != nil {
		return nil, err
	}
	return st, nil
}

// Rename gives a token another name, of at most 64 octets. If the ID belongs to none of
// the subject's tokens, it is not found.
func (s *Service) Rename(ctx context.Context, subject, id, name string) error {
	if why := badText(name, maxName); why != "" {
		return invalid("Name", why)
	}
	return s.update(ctx, subject, func(v *value, _ int64) (error, bool) {
		t := v.find(parseTokenID(id))
		if t == nil {
			return refuse(otp.ReasonNotFound), false
		}
		t.name = name
		return nil, true
	})
}

// Revoke removes a token: its codes are no longer accepted. The caller must have
// verified the subject by a fresh login. If the ID belongs to none of the subject's
// tokens, it is not found. Recovery codes remain.
func (s *Service) Revoke(ctx context.Context, subject, id string) error {
	e := Event{Kind: EventRevoked}
	err := s.update(ctx, subject, func(v *value, _ int64) (error, bool) {
		t := v.find(parseTokenID(id))
		if t == nil {
			return refuse(otp.ReasonNotFound), false
		}
		e.about(t.public())
		gone := t.id
		v.drop(func(t *token) bool { return t.id == gone })
		return nil, true
	})
	if err == nil {
		s.report(ctx, subject, e, nil)
	}
	return err
}

// Unlock ends the locks of the subject's codes and recovery codes, and forgets the
// failures. Use it at a help desk that has identified the person. A lock of
// Config.Failures ends only with time.
func (s *Service) Unlock(ctx context.Context, subject string) error {
	changed := false
	err := s.update(ctx, subject, func(v *value, _ int64) (error, bool) {
		changed = v.otp != run{} || v.recovery != run{}
		v.otp, v.recovery = run{}, run{}
		return nil, changed
	})
	if err == nil && changed {
		s.report(ctx, subject, Event{Kind: EventUnlocked}, nil)
	}
	return err
}

// Reseal seals the subject's value with the current key, if it has another. Any success
// or failure of a code does so, too. Use Reseal for subjects who do not log in, before
// their key is dropped. A value begins with "otp1:", the name of its key and ":", so
// that a query can find old ones.
func (s *Service) Reseal(ctx context.Context, subject string) error {
	return s.update(ctx, subject, func(v *value, _ int64) (error, bool) {
		return nil, v.key != "" && v.key != s.c.Keys.Current
	})
}
