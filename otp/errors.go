package otp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// Errors that a caller usually tells apart, with errors.Is. [Error.Reason] tells
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

	// ErrUnavailable: the store or the queue failed. Nobody is verified; without
	// a Challenge, nothing was sent either. Temporary.
	ErrUnavailable = errors.New("otp: temporarily unavailable")
)

// A Reason says why a request was refused. Its text is stable, for metrics and
// for an API's answers.
type Reason string

// The reasons, by the error that they match, and which fields of an [Error] are
// set with them.
//
//	reason               matches            fields                 HTTP  show the person
//	wrong                ErrInvalidCode     AttemptsLeft,          422   the code is not right, try again
//	                                        RetryAfter
//	malformed            ErrInvalidCode                            422   the code is not right, try again
//	not_found, expired,  ErrInvalidCode                            422   the code is not right, ask for a new one
//	closed
//	attempts_exhausted   ErrWait                                   429   ask for a new code
//	locked               ErrWait            RetryAfter, Support    429   come back at that time, or call support
//	too_soon             ErrWait            RetryAfter             429   a new message can be sent at that time
//	sends_exhausted      ErrWait            Alternatives, Support  429   use another address, or call support
//	limited              ErrWait            RetryAfter,            429   come back at that time
//	                                        Alternatives
//	step_up              ErrWait            RetryAfter,            403   a captcha or another proof, then ask again
//	                                        Alternatives
//	guarded              ErrWait            RetryAfter,            429   use another address, or call support
//	                                        Alternatives
//	invalid              ErrInvalidRequest  Field                  400   the field is wrong
//	conflict             ErrInvalidRequest  Field                  409   nothing: a bug of the caller
//	undelivered          ErrUndelivered     RetryAfter, Err        502   it could not be sent, use another address
//	unavailable, full    ErrUnavailable                            503   come back in a minute
//
// Wrong, malformed, not_found, expired and closed have one status and, to the
// outside, one text: which it is, is a secret (see the package page).
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
	ReasonSends    Reason = "sends_exhausted"    // Error.Alternatives and Error.Support say what else there is
	ReasonLimited  Reason = "limited"            // a recipient or an IP address
	ReasonStepUp   Reason = "step_up"            // the Guard wants a proof: ask again with Request.Proven
	ReasonGuarded  Reason = "guarded"            // the Guard refuses

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
	ReasonAttempts: ErrWait, ReasonLocked: ErrWait, ReasonTooSoon: ErrWait, ReasonSends: ErrWait,
	ReasonLimited: ErrWait, ReasonStepUp: ErrWait, ReasonGuarded: ErrWait,
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

// An Error is the error of every method of a [Service]. Its fields are for the
// person; [Reason] has a table of them. Its text is for developers, and holds no
// code and no address.
type Error struct {
	Reason       Reason
	Field        string          // with ReasonInvalid: "To.Phone", "Language", …
	AttemptsLeft int             // with ReasonWrong
	RetryAfter   time.Duration   // with the reasons of ErrWait; zero: not for this challenge
	Alternatives channel.Address // kinds of address that are left to try, as Challenge.Alternatives
	Support      string          // with ReasonSends and ReasonLocked: of the tenant, or Config.Support
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
	if hint := hints[e.Reason]; hint != "" {
		b.WriteString(": " + hint)
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %v)", e.RetryAfter.Round(time.Second))
	}
	if e.Err != nil && !isAnswer(e.Err) { // the reason says what a store answers
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// hints say more than the sentinels do.
var hints = map[Reason]string{
	ReasonAttempts: "the attempts at this challenge are used up, Send makes another",
	ReasonLocked:   "the subject is locked after failures in a row",
	ReasonTooSoon:  "it is too soon for another message",
	ReasonSends:    "the sends of this challenge are used up",
	ReasonLimited:  "a limit of Policy.PerRecipient or Policy.PerIP is used up",
	ReasonStepUp:   "the guard asks for a proof",
	ReasonGuarded:  "the guard refuses",
	ReasonConflict: "the key belongs to another request",
	ReasonFull:     "the store has no room",
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
			if o, err := s.open(r); err == nil {
				e.Support = o.tenant.support
			}
		}
	case errors.Is(err, store.ErrFull):
		e.Reason = ReasonFull
	default:
		e.Reason = ReasonUnavailable
	}
	return e
}
