package otp

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// Sentinels that callers tell apart with errors.Is. [Error.Reason] says more.
var (
	// ErrInvalidCode: the person is not verified. A wrong, malformed, expired,
	// used and never issued code must look the same to the person, since an
	// attacker must not learn which it was.
	ErrInvalidCode = errors.New("otp: invalid or expired code")

	// ErrInvalidRequest: a field of the request is wrong; Error.Field names it.
	// Nothing was stored or sent.
	ErrInvalidRequest = errors.New("otp: invalid request")

	// ErrWait: a limit is used up. Error.RetryAfter is the time until another
	// request may succeed; zero: none will for this challenge, or the time is
	// not known.
	ErrWait = errors.New("otp: too many requests")

	// ErrUndelivered: no route took the message.
	ErrUndelivered = errors.New("otp: not delivered")

	// ErrUnavailable: the store or the queue failed. Nobody is verified. If there
	// is no Challenge with the error, nothing was sent. Temporary.
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
//	attempts_exhausted   ErrWait                                   409   ask for a new code
//	locked               ErrWait            RetryAfter, Support    429   come back at that time, or call support
//	too_soon             ErrWait            RetryAfter             429   a new message can be sent at that time
//	sends_exhausted      ErrWait            Alternatives, Support  409   use another address, or call support
//	limited              ErrWait            RetryAfter,            429   come back at that time
//	                                        Alternatives
//	step_up              ErrWait            RetryAfter,            403   a captcha or another proof, then ask again
//	                                        Alternatives
//	guarded              ErrWait            RetryAfter,            429   use another address, or call support
//	                                        Alternatives
//	invalid              ErrInvalidRequest  Field                  422   the field is wrong
//	conflict             ErrInvalidRequest  Field                  422   nothing: a bug of the caller
//	undelivered          ErrUndelivered     RetryAfter, Err        502   it could not be sent, use another address
//	unavailable, full    ErrUnavailable                            503   come back in a minute
//
// Wrong, malformed, not_found, expired and closed must have one status and one text,
// since an attacker must not learn the reason. Clients may repeat a request that got a 429
// by themselves. For attempts_exhausted and sends_exhausted no repeat can succeed, so they
// are 409.
const (
	// ErrInvalidCode
	ReasonWrong     Reason = "wrong"     // an attempt was charged
	ReasonMalformed Reason = "malformed" // not a code of the generator's form; nothing was charged
	ReasonNotFound  Reason = "not_found" // no challenge of this subject has the ID
	ReasonExpired   Reason = "expired"
	ReasonClosed    Reason = "closed" // verified before, or cancelled

	// ErrWait
	ReasonAttempts Reason = "attempts_exhausted" // of this challenge: send another
	ReasonLocked   Reason = "locked"             // the subject, after failures in a row
	ReasonTooSoon  Reason = "too_soon"           // for another message
	ReasonSends    Reason = "sends_exhausted"    // Error.Alternatives and Error.Support are the ways left
	ReasonLimited  Reason = "limited"            // a limit of the address or of the network is used up
	ReasonStepUp   Reason = "step_up"            // the Guard requires a proof: ask again with Request.Proven
	ReasonGuarded  Reason = "guarded"            // the Guard refuses

	// ErrInvalidRequest
	ReasonInvalid  Reason = "invalid"  // Error.Field names the field
	ReasonConflict Reason = "conflict" // the idempotency key belongs to another request

	// ErrUndelivered
	ReasonUndelivered Reason = "undelivered" // Error.Err is the channel's

	// ErrUnavailable
	ReasonUnavailable Reason = "unavailable" // the store, the queue or the Guard failed
	ReasonFull        Reason = "full"        // the store has no room
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

// An Error is the error of a [Service]'s calls: all but New, SetTenant and Work, whose
// errors are for developers only. Its fields are for the
// answer to the person; the table of [Reason] says which are set. Its text is for
// developers, and holds no code and no address.
type Error struct {
	Reason       Reason
	Field        string          // with ReasonInvalid: "To.Phone", "Language", …
	AttemptsLeft int             // with ReasonWrong
	RetryAfter   time.Duration   // with the reasons of ErrWait; zero: not for this challenge, or not known
	Alternatives channel.Address // kinds of the person's addresses that are left to try
	Support      string          // with ReasonSends and ReasonLocked: Tenant.Support or Config.Support
	Err          error           // the cause; may be nil
}

// Error returns the text. It is the same for all reasons of [ErrInvalidCode].
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
	if e.Err != nil && !isAnswer(e.Err) { // the reason says the same as a store's answer
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// hints follow the text of the sentinel.
var hints = map[Reason]string{
	ReasonAttempts: "the attempts at this challenge are used up: ask for a new code",
	ReasonLocked:   "the subject is locked after failures in a row",
	ReasonTooSoon:  "it is too soon for another message",
	ReasonSends:    "the sends of this challenge are used up",
	ReasonLimited:  "a limit of Policy.PerRecipient or Policy.PerIP is used up",
	ReasonStepUp:   "the guard requires a proof",
	ReasonGuarded:  "the guard refused the message",
	ReasonConflict: "the key belongs to another request",
	ReasonFull:     "the store has no room",
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the sentinel that the Reason belongs to.
func (e *Error) Is(target error) bool { return target == reasons[e.Reason] }

// ReasonOf returns the reason of the first *[Error] in err's tree, or "" if the tree has
// none.
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
