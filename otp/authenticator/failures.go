package authenticator

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A guess is one call that tries a code. If there is Config.Failures, the guess
// counts in the subject's run of failures there, before the caller learns its
// outcome.
type guess struct {
	s       *Service
	subject string
	id      string        // of its record in Config.Failures; "": not charged
	locks   time.Duration // the duration of the lock that the charge has caused
}

// guessLife is the life of a guess's record.
const guessLife = time.Minute

var guessText = base32.StdEncoding.WithPadding(base32.NoPadding)

// charge counts the guess, once. In the store it is a challenge of the subject that
// is never sent, with one attempt.
func (g *guess) charge(ctx context.Context) error {
	s := g.s
	if s.c.Failures == nil || g.id != "" {
		return nil
	}
	tag, bucket, err := s.c.Keys.Subject(s.c.Application, s.c.Tenant, g.subject)
	if err != nil {
		return unavailable(err)
	}
	var unique [24]byte
	_, _ = rand.Read(unique[:]) // never fails, see crypto/rand
	now := s.now().Truncate(time.Microsecond)
	r := &store.Record{ID: bucket + "-" + strings.ToLower(guessText.EncodeToString(unique[:15])), Subject: tag,
		Key: "authenticator", Salt: unique[:16], Created: now, Expires: now.Add(guessLife), MaxAttempts: 1,
		MaxFailures: s.c.Policy.MaxFailures, Lock: s.c.Policy.Lock}
	if err := s.c.Failures.Create(ctx, r, now); err != nil {
		return failuresError(r, err, now)
	}
	id := r.ID
	charged, err := s.c.Failures.Attempt(ctx, id, store.Token(binary.BigEndian.Uint64(unique[16:])|1), now)
	if err != nil {
		return failuresError(charged, err, now)
	}
	g.id, g.locks = id, max(charged.LockedUntil.Sub(now), 0)
	return nil
}

func failuresError(r *store.Record, err error, now time.Time) error {
	switch {
	case errors.Is(err, store.ErrLocked):
		e := &otp.Error{Reason: otp.ReasonLocked, Err: err}
		if r != nil {
			e.RetryAfter = r.LockedUntil.Sub(now)
		}
		return e
	case errors.Is(err, store.ErrFull):
		return &otp.Error{Reason: otp.ReasonFull, Err: err}
	}
	return unavailable(err)
}

// fail counts the guess as a wrong one in the value, and returns its error.
func (g *guess) fail(v *value, now int64) error {
	e := v.otp.fail(g.s.c.Policy, now)
	if g.locks > 0 && v.otp.until != forever {
		e.AttemptsLeft, e.RetryAfter = 0, max(e.RetryAfter, g.locks)
	}
	return e
}

// settle ends the run: the code was right, or the same right code has won in
// another call meanwhile.
func (g *guess) settle(ctx context.Context) {
	if g.id == "" {
		return
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	token := store.Token(binary.BigEndian.Uint64(random[:]) | 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if _, err := g.s.c.Failures.Finish(ctx, g.id, store.Verified, token, g.s.now()); err != nil {
		g.s.log.ErrorContext(ctx, "authenticator: Config.Failures still counts the failures before a right code",
			"error", err)
	}
}

// settleTime bounds the work after a code was accepted.
const settleTime = 5 * time.Second
