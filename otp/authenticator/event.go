package authenticator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/otpcourier/otpcourier/otp"
)

// EventKind is the kind of an event.
type EventKind string

// The kinds of event. A program should tell the person about all but EventVerified
// and EventRejected by another way (NIST SP 800-63B-4 §4.6).
const (
	EventEnrolled  EventKind = "enrolled"  // a token waits for its Confirm, unless it was Confirmed before
	EventConfirmed EventKind = "confirmed" // Verify accepts its codes from now on
	EventVerified  EventKind = "verified"
	EventRejected  EventKind = "rejected" // a code of any method was refused
	EventResynced  EventKind = "resynced"
	EventRevoked   EventKind = "revoked"
	EventIssued    EventKind = "recovery_issued" // new recovery codes; the old ones are void
	EventRecovered EventKind = "recovered"       // by a recovery code
	EventUnlocked  EventKind = "unlocked"        // by Unlock
)

// Method is the kind of code. Its text is stable, for metrics.
type Method string

// The methods.
const (
	TOTP     Method = "totp"
	HOTP     Method = "hotp"
	Recovery Method = "recovery"
)

// An Event is a line of the audit trail. It has no code, secret, URI or name. Other
// data of a call, such as the ID of its request, is in the context of Config.Events
// and the Logger.
type Event struct {
	Kind     EventKind
	At       time.Time
	Tenant   string     // Config.Tenant
	Subject  string     // keyed hash, the same as in the events of an otp.Service
	Token    string     // Token.ID; empty: unknown
	Method   Method     // empty: unknown
	Serial   string     // of a hard token
	Reason   otp.Reason // of EventRejected
	Left     int        // attempts of EventRejected; recovery codes of EventIssued and EventRecovered
	Offset   int        // TOTP: of the code, in steps. If its mean over tokens is not 0, the server's clock is wrong
	Failures int        // in a row, with EventRejected
	Err      error      // of EventRejected, if the store or the keyring failed
}

// LogValue returns the non-zero fields.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind)), slog.String("subject", e.Subject)}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	number := func(key string, n int, shown bool) {
		if shown {
			attrs = append(attrs, slog.Int(key, n))
		}
	}
	text("tenant", e.Tenant)
	text("token", e.Token)
	text("method", string(e.Method))
	text("serial", e.Serial)
	text("reason", string(e.Reason))
	number("left", e.Left, e.Kind == EventIssued || e.Kind == EventRecovered || e.Reason == otp.ReasonWrong)
	number("offset", e.Offset, e.Kind == EventVerified && e.Method == TOTP)
	number("failures", e.Failures, e.Failures > 0)
	if e.Err != nil {
		text("error", e.Err.Error())
	}
	return slog.GroupValue(attrs...)
}

func (e Event) level() slog.Level {
	switch e.Reason {
	case otp.ReasonUnavailable, otp.ReasonFull:
		return slog.LevelError
	case otp.ReasonLocked:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// about fills in a token.
func (e *Event) about(t *Token) {
	e.Token, e.Method, e.Serial, e.Offset = t.ID, t.Method, t.Serial, t.Offset
}

// report emits e, as EventRejected if the call failed. If a call did nothing because
// of invalid input, there is no event.
func (s *Service) report(ctx context.Context, subject string, e Event, err error) {
	if s.c.Events == nil && !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var refused *otp.Error
	if errors.As(err, &refused) {
		if refused.Reason == otp.ReasonInvalid {
			return
		}
		e.Kind, e.Reason, e.Left = EventRejected, refused.Reason, refused.AttemptsLeft
		if e.Reason == otp.ReasonUnavailable || e.Reason == otp.ReasonFull {
			e.Err = refused.Err
		}
	}
	e.At, e.Tenant = s.now(), s.c.Tenant
	e.Subject, _, _ = s.c.Keys.Subject(s.c.Application, s.c.Tenant, subject)
	s.callEvents(ctx, e)
	if level := e.level(); s.log.Enabled(ctx, level) {
		s.log.LogAttrs(ctx, level, "authenticator", slog.Any("event", e))
	}
}

// callEvents calls Config.Events. A panic in it has no other effect.
func (s *Service) callEvents(ctx context.Context, e Event) {
	if s.c.Events == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			s.log.ErrorContext(ctx, "authenticator: Config.Events panicked", "type", fmt.Sprintf("%T", v), "stack",
				string(debug.Stack()))
		}
	}()
	s.c.Events(ctx, e)
}
