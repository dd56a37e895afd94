package otp

import (
	"context"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// EventKind is what happened.
type EventKind string

// The kinds of event.
const (
	EventGenerated EventKind = "generated" // a challenge was created
	EventSent      EventKind = "sent"      // a step of its delivery ended; Err: no route took the message
	EventReceipt   EventKind = "receipt"   // a receipt changed its state
	EventVerified  EventKind = "verified"
	EventRejected  EventKind = "rejected" // a verification failed
	EventCancelled EventKind = "cancelled"
	EventRefused   EventKind = "refused" // a Send, Resend or Cancel was refused
)

// An Event is a line of the audit trail: one for every generation, send,
// receipt and verification, refused ones included. It holds no code, and
// addresses only masked.
type Event struct {
	Kind      EventKind
	At        time.Time
	RequestID string // the caller's, or one made for the Send; receipts carry the Send's
	Challenge string // id; empty where none was created
	Subject   string // keyed hash: the same for one subject, and not the subject
	Purpose   string
	To        channel.Recipient // masked
	Step      int               // counts the messages of a challenge, from 1
	Route     string
	State     channel.State
	Providers []string          // the provider's ids
	Code      string            // of a receipt: the provider's status, never a one-time code
	Attempts  []channel.Attempt // of EventSent: every hop
	Reason    Reason            // why it was refused
	Left      int               // attempts left, of EventRejected
	Fixed     bool              // an app reviewer's fixed code: nothing was sent
	Err       error
}

// LogValue returns the fields that are set.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind))}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("request", e.RequestID)
	text("challenge", e.Challenge)
	text("subject", e.Subject)
	text("purpose", e.Purpose)
	text("to", e.To.String())
	if e.Step > 0 {
		attrs = append(attrs, slog.Int("step", e.Step))
	}
	text("route", e.Route)
	if e.State != 0 {
		text("state", e.State.String())
	}
	text("code", e.Code)
	for _, a := range e.Attempts {
		hop := []any{slog.Duration("took", a.Took)}
		if a.Err != nil {
			hop = append(hop, slog.String("class", a.Class.String()), slog.String("code", a.Code))
		}
		attrs = append(attrs, slog.Group("hop."+a.Route, hop...))
	}
	text("reason", string(e.Reason))
	if e.Kind == EventRejected {
		attrs = append(attrs, slog.Int("left", e.Left))
	}
	if e.Fixed {
		attrs = append(attrs, slog.Bool("fixed", true))
	}
	if e.Err != nil {
		text("error", e.Err.Error())
	}
	return slog.GroupValue(attrs...)
}

func (e Event) level() slog.Level {
	for _, a := range e.Attempts {
		if a.Err != nil && a.Class == channel.Misconfigured {
			return slog.LevelError
		}
	}
	switch {
	case e.Reason == ReasonUnavailable, e.Reason == ReasonFull:
		return slog.LevelError
	case e.Err != nil && e.Kind == EventSent, e.Reason == ReasonLocked, e.Reason == ReasonLimited, e.Fixed:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// observed reports whether anyone sees events, since filling one in costs more
// than a verification.
func (s *Service) observed(ctx context.Context) bool {
	return s.c.Events != nil || s.log.Enabled(ctx, slog.LevelInfo)
}

func (s *Service) emit(ctx context.Context, e Event) {
	if s.c.Events != nil {
		s.c.Events(ctx, e)
	}
	if level := e.level(); s.log.Enabled(ctx, level) {
		s.log.LogAttrs(ctx, level, "otp", slog.Any("event", e))
	}
}
