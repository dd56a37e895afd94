package authenticator

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A Service enrols authenticators and verifies their codes. Its methods are safe for
// concurrent use, by several Services on one store, too.
type Service struct {
	c     Config
	log   *slog.Logger
	dummy token // takes as long as a subject's own
	now   func() time.Time
}

// New returns a Service. If a field is wrong, the error names it. A Service has no
// goroutine and need not be closed.
func New(c Config) (*Service, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	dummy := newToken(&Key{Secret: newSecret(), Digits: 6, Period: softPeriod, App: true}, c.Policy)
	return &Service{c: c, log: c.Logger, dummy: dummy, now: time.Now}, nil
}

// String names the issuer and no secret.
func (s *Service) String() string { return "authenticator.Service(" + s.c.Issuer + ")" }

// GoString is String.
func (s *Service) GoString() string { return s.String() }

// LogValue is String.
func (s *Service) LogValue() slog.Value { return slog.StringValue(s.String()) }

func refuse(r otp.Reason) *otp.Error { return &otp.Error{Reason: r} }

func unavailable(err error) *otp.Error { return &otp.Error{Reason: otp.ReasonUnavailable, Err: err} }

func invalid(field, why string) *otp.Error {
	return &otp.Error{Reason: otp.ReasonInvalid, Field: field, Err: errors.New(why)}
}

// maxTries bounds the repetitions of a change after concurrent changes of the value.
const maxTries = 256

// A change checks a subject's value at a time, in seconds since 1970, changes it,
// and says whether to store it. If another process has changed the value meanwhile,
// it is called again with the newer value. It must therefore set its other results
// on each call.
type change func(v *value, now int64) (answer error, write bool)

// update loads the subject's value, lets f judge and change it, and swaps it. The
// answer of f counts once the change is stored, so parallel guesses gain nothing.
func (s *Service) update(ctx context.Context, subject string, f change) error {
	now := s.now().Unix()
	if err := s.mayAsk(ctx, subject, now); err != nil {
		return err
	}
	var w write
	for range maxTries {
		raw, err := s.c.Store.Load(ctx, subject)
		switch {
		case err != nil:
			return unavailable(errors.Join(w.failed, err))
		case w.begun && bytes.Equal(raw, w.value):
			return w.answer // it was stored, although the store reported an error
		case w.failed != nil:
			return unavailable(w.failed)
		case w.begun && bytes.Equal(raw, w.before):
			return unavailable(errors.New("authenticator: the store refuses to swap a value that has not changed"))
		}
		v, err := s.open(subject, raw)
		if err != nil {
			return unavailable(err)
		}
		answer, store := f(v, now)
		if !store {
			return answer
		}
		if done, err := s.swap(ctx, subject, v, raw, answer, &w); done || err != nil {
			return err
		}
	}
	return unavailable(errors.New("authenticator: other calls change the value too often"))
}

// A write is a Swap in progress.
type write struct {
	begun         bool
	before, value []byte
	answer        error // if the value was stored
	failed        error // the store does not say whether it was
}

// swap stores v. If the store confirms it, swap returns done with the answer;
// otherwise the next Load will show the result.
func (s *Service) swap(ctx context.Context, subject string, v *value, raw []byte, answer error, w *write) (bool,
	error) {
	var sealed []byte
	if !v.empty() {
		var err error
		if sealed, err = s.seal(subject, v); err != nil {
			return false, err
		}
	}
	*w = write{begun: true, before: raw, value: sealed, answer: answer}
	err := s.c.Store.Swap(ctx, subject, raw, sealed)
	switch {
	case err == nil:
		return true, answer
	case errors.Is(err, store.ErrFull):
		return false, &otp.Error{Reason: otp.ReasonFull, Err: err}
	case !errors.Is(err, store.ErrConflict):
		w.failed = err
	}
	return false, nil
}

// mayAsk refuses a call that must not reach the store.
func (s *Service) mayAsk(ctx context.Context, subject string, now int64) error {
	switch {
	case subject == "" || len(subject) > maxSubject:
		return invalid("Subject", "it must have 1 to 256 octets")
	case now < 0:
		return unavailable(errors.New("authenticator: the clock shows a time before 1970"))
	case ctx.Err() != nil:
		return unavailable(ctx.Err())
	}
	return nil
}
