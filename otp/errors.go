package otp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// What a caller usually distinguishes, with errors.Is. [Error.Reason] tells
// more.
var (
	// ErrInvalidCode: the person is not verified. Wrong, malformed, expired,
	// used before and never issued are one error to the outside, so that
	// nobody learns which.
	ErrInvalidCode = errors.New("otp: invalid or expired code")

	// ErrInvalidRequest: the caller's input cannot be right; Error.Field names
	// it. Nothing was stored or sent.
	ErrInvalidRequest = errors.New("otp: invalid request")

	// ErrWait: too much was asked for. Error.RetryAfter says when it is worth
	// asking again; zero: not for this challenge.
	ErrWait = errors.New("otp: too many requests")

	// ErrUndelivered: no route took the message.
	ErrUndelivered = errors.New("otp: not delivered")

	// ErrUnavailable: the store or the queue failed; nothing was sent, nobody
	// is verified. Temporary.
	ErrUnavailable = errors.New("otp: temporarily unavailable")
)

// A Reason says why a request was refused. Its text is stable, for metrics and
// for an API's answers.
type Reason string

// The reasons, by the error that they match.
const (
	// ErrInvalidCode
	ReasonWrong     Reason = "wrong"     // an attempt was charged
	ReasonMalformed Reason = "malformed" // not of the generator's form; nothing was charged
	ReasonNotFound  Reason = "not_found"
	ReasonExpired   Reason = "expired"
	ReasonClosed    Reason = "closed" // verified before, or cancelled

	// ErrWait
	ReasonAttempts Reason = "attempts_exhausted" // of this challenge: send another
	ReasonLocked   Reason = "locked"             // the subject, after failures in a row
	ReasonTooSoon  Reason = "too_soon"           // for another send
	ReasonSends    Reason = "sends_exhausted"    // Error.Left and Error.Support say what else there is
	ReasonLimited  Reason = "limited"            // a recipient or an IP address

	// ErrInvalidRequest
	ReasonInvalid  Reason = "invalid"  // Error.Field says what
	ReasonConflict Reason = "conflict" // an idempotency key used before for another request

	// ErrUndelivered
	ReasonUndelivered Reason = "undelivered" // Error.Err is the channel's

	// ErrUnavailable
	ReasonUnavailable Reason = "unavailable"
	ReasonFull        Reason = "full"
)

var reasons = map[Reason]error{
	ReasonWrong: ErrInvalidCode, ReasonMalformed: ErrInvalidCode, ReasonNotFound: ErrInvalidCode,
	ReasonExpired: ErrInvalidCode, ReasonClosed: ErrInvalidCode,
	ReasonAttempts: ErrWait, ReasonLocked: ErrWait, ReasonTooSoon: ErrWait, ReasonSends: ErrWait, ReasonLimited: ErrWait,
	ReasonInvalid: ErrInvalidRequest, ReasonConflict: ErrInvalidRequest,
	ReasonUndelivered: ErrUndelivered,
	ReasonUnavailable: ErrUnavailable, ReasonFull: ErrUnavailable,
}

// MarshalText returns the reason as it is.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r), nil }

// UnmarshalText reads a reason, or the empty text of no reason.
func (r *Reason) UnmarshalText(text []byte) error {
	if _, ok := reasons[Reason(text)]; !ok && len(text) > 0 {
		return fmt.Errorf("otp: %q is not a reason", text)
	}
	*r = Reason(text)
	return nil
}

// An Error is what every method of a [Service] fails with. It holds what a
// caller may tell the person, and its text holds no code and no address.
type Error struct {
	Reason       Reason
	Field        string          // with ReasonInvalid: "To.Phone", "Language", …
	AttemptsLeft int             // with ReasonWrong
	RetryAfter   time.Duration   // with the reasons of ErrWait; zero: not for this challenge
	Left         channel.Address // with ReasonSends: as Challenge.Left
	Support      string          // with ReasonSends and ReasonLocked: Config.Support
	Err          error           // the cause; may be nil
}

// Error gives the same text for all reasons of [ErrInvalidCode].
func (e *Error) Error() string {
	base := reasons[e.Reason]
	switch {
	case base == nil:
		return "otp: " + string(e.Reason)
	case errors.Is(base, ErrInvalidCode):
		return base.Error()
	}
	var b strings.Builder
	b.WriteString(base.Error())
	switch e.Reason {
	case ReasonUndelivered, ReasonUnavailable, ReasonInvalid: // base says it already
	default:
		b.WriteString(": " + strings.ReplaceAll(string(e.Reason), "_", " "))
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %v)", e.RetryAfter.Round(time.Second))
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the sentinel that the Reason belongs to.
func (e *Error) Is(target error) bool { return target == reasons[e.Reason] }

// ReasonOf returns the reason of the first *[Error] in err's tree, "" if there
// is none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

func invalid(field, why string) *Error {
	return &Error{Reason: ReasonInvalid, Field: field, Err: errors.New(why)}
}

// storeError turns a store's refusal of r, which may be nil, into an Error.
func (s *Service) storeError(r *store.Record, err error, now time.Time) *Error {
	e := &Error{Err: err}
	switch {
	case errors.Is(err, store.ErrNotFound):
		e.Reason = ReasonNotFound
	case errors.Is(err, store.ErrExpired):
		e.Reason = ReasonExpired
	case errors.Is(err, store.ErrClosed):
		e.Reason = ReasonClosed
	case errors.Is(err, store.ErrLocked):
		e.Reason, e.Support = ReasonLocked, s.c.Support
		if r != nil {
			e.RetryAfter = r.LockedUntil.Sub(now)
		}
	case errors.Is(err, store.ErrTooSoon):
		e.Reason = ReasonTooSoon
		if r != nil {
			e.RetryAfter = r.NextSend.Sub(now)
		}
	case errors.Is(err, store.ErrFull):
		e.Reason = ReasonFull
	default:
		e.Reason = ReasonUnavailable
	}
	return e
}
