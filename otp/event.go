package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// An EventKind says what happened. Its text is stable.
type EventKind string

// The kinds of event.
const (
	EventGenerated EventKind = "generated" // a challenge was created
	EventSent      EventKind = "sent"      // a message was handed to the routes; with Err, none took it
	EventReceipt   EventKind = "receipt"   // a receipt changed the state of a message
	EventVerified  EventKind = "verified"
	EventRejected  EventKind = "rejected" // a verification failed
	EventCancelled EventKind = "cancelled"
	EventRefused   EventKind = "refused" // a call named by Operation failed, or was refused
	EventUnlocked  EventKind = "unlocked"
	EventErased    EventKind = "erased"
)

// An Operation is the call of an EventRefused. Its text is stable.
type Operation string

// The operations of EventRefused.
const (
	OperationSend      Operation = "send"
	OperationResend    Operation = "resend"
	OperationFollow    Operation = "follow" // no call: a further route was due
	OperationCancel    Operation = "cancel"
	OperationCancelAll Operation = "cancel_all"
	OperationUnlock    Operation = "unlock"
	OperationErase     Operation = "erase"
)

// An Event is one line of the audit trail. There is an Event for every generation, send,
// receipt and verification, and for every refused call. It holds no code and no unmasked
// address.
type Event struct {
	Kind      EventKind
	At        time.Time
	RequestID string // of the call; for a receipt, of the Send; random if the caller set none
	Challenge string // Challenge.ID; empty if no challenge was created
	Tenant    string
	Reference string    // Request.Reference
	Created   time.Time // when the challenge was created
	Subject   string    // keyed hash, the same for one subject; see [Keyring.Subject]
	Purpose   string
	To        channel.Recipient // masked
	Region    string            // ISO 3166-1 country of the phone number, else of the tenant
	Step      int               // number of the message within the challenge, from 1
	Route     string            // the route that took the message, or the latest message
	State     channel.State     // of that message
	Sent      time.Time         // of EventReceipt: when the route took the message; zero for an earlier message

	Position     int           // of EventSent: place of Route in the router's order, from 1; 0: no failover
	Explored     bool          // of EventSent: Route came first to learn about it, see failover.Learn
	Providers    []string      // the provider's ids of the message
	Code         string        // of EventReceipt: the provider's status, never a one-time code
	Hops         []channel.Hop // of EventSent: every try of a route
	Operation    Operation     // of EventRefused: the call
	Reason       Reason        // of the call's error
	AttemptsLeft int           // of EventRejected
	Fixed        bool          // the code is one of Config.FixedCodes: nothing was sent
	Decoy        bool          // Request.Decoy, or the Guard dropped the message: nothing was sent
	Rule         string        // Verdict.Rule of the Guard that refused
	Key          string        // Verdict.Key, masked: "+99890123xxxx", "203.0.113.0/24"
	Err          error         // the call's error; its text holds no code and no address
}

// LogValue returns the fields with values, as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.Kind))}
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("request", e.RequestID)
	text("challenge", e.Challenge)
	text("tenant", e.Tenant)
	text("reference", e.Reference)
	text("subject", e.Subject)
	text("purpose", e.Purpose)
	text("to", e.To.String())
	text("region", e.Region)
	if e.Step > 0 {
		attrs = append(attrs, slog.Int("step", e.Step))
	}
	text("route", e.Route)
	if e.Position > 0 {
		attrs = append(attrs, slog.Int("position", e.Position))
	}
	if e.Explored {
		attrs = append(attrs, slog.Bool("explored", true))
	}
	if e.State != 0 {
		text("state", e.State.String())
	}
	text("code", e.Code)
	for _, a := range e.Hops {
		hop := []any{slog.Duration("took", a.Took)}
		if a.Err != nil {
			hop = append(hop, slog.String("class", a.Class.String()), slog.String("code", a.Code))
		}
		attrs = append(attrs, slog.Group("hop."+a.Route, hop...))
	}
	text("operation", string(e.Operation))
	text("reason", string(e.Reason))
	if e.Kind == EventRejected {
		attrs = append(attrs, slog.Int("attempts_left", e.AttemptsLeft))
	}
	text("rule", e.Rule)
	text("key", e.Key)
	if e.Fixed {
		attrs = append(attrs, slog.Bool("fixed", true))
	}
	if e.Decoy {
		attrs = append(attrs, slog.Bool("decoy", true))
	}
	if e.Err != nil {
		text("error", e.Err.Error())
	}
	return slog.GroupValue(attrs...)
}

func (e Event) level() slog.Level {
	for _, a := range e.Hops {
		if a.Err != nil && a.Class == channel.Misconfigured {
			return slog.LevelError
		}
	}
	switch {
	case e.Reason == ReasonUnavailable, e.Reason == ReasonFull:
		return slog.LevelError
	case e.Err != nil && e.Kind == EventSent, e.Reason == ReasonLocked, e.Reason == ReasonLimited, e.Fixed,
		e.Reason == ReasonGuarded, e.Reason == ReasonStepUp:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// observed reports whether Config.Events or Config.Logger gets events. Otherwise no event
// is made, since an event costs more than a verification.
func (s *Service) observed(ctx context.Context) bool {
	return s.c.Events != nil || s.log.Enabled(ctx, slog.LevelInfo)
}

func (s *Service) emit(ctx context.Context, e Event) {
	s.callEvents(ctx, e)
	if level := e.level(); s.log.Enabled(ctx, level) {
		s.log.LogAttrs(ctx, level, "otp", slog.Any("event", e))
	}
}

// callEvents calls Config.Events. A panic there changes nothing here.
func (s *Service) callEvents(ctx context.Context, e Event) {
	if s.c.Events == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			s.log.ErrorContext(ctx, "otp: Config.Events panicked", "type", fmt.Sprintf("%T", v), "stack",
				string(debug.Stack()))
		}
	}()
	s.c.Events(ctx, e)
}

// event fills in the fields that a record has.
func (s *Service) event(kind EventKind, o *opened, now time.Time) Event {
	q, d := o.req, o.delivery
	return Event{Kind: kind, At: now, RequestID: cmp.Or(d.Request, q.requestID), Challenge: o.id, Tenant: q.tenant,
		Reference: q.reference, Created: o.Created, Subject: subjectOf(o.Record), Purpose: q.purpose, To: q.to.Masked(),
		Region: q.region, Route: d.Message.Route, Fixed: q.fixed, Decoy: q.decoy}
}

// with returns e with the rule and key of the Guard's refusal in err's tree.
func (e Event) with(err error) Event {
	var r *refusal
	if errors.As(err, &r) {
		e.Rule, e.Key = r.Rule, r.Key
	}
	return e
}

// openEvent is event for a sealed record.
func (s *Service) openEvent(kind EventKind, r *store.Record, now time.Time) Event {
	o, err := s.open(r)
	if err != nil {
		return Event{Kind: kind, At: now, Challenge: s.keys.publicOf(r.ID), Subject: subjectOf(r)}
	}
	return s.event(kind, o, now)
}

// emitSent emits the event of an attempt.
func (s *Service) emitSent(ctx context.Context, o *opened, a attempt) {
	if !s.observed(ctx) || !a.done {
		return
	}
	e := s.event(EventSent, o, instant())
	e.Step, e.Route, e.State, e.Providers, e.Hops, e.Err = a.name.Step, a.sub.Route, a.sub.State, a.sub.ProviderIDs,
		a.sub.Hops, a.err
	for _, h := range a.sub.Hops {
		if h.Err == nil {
			e.Position, e.Explored = h.Position, h.Explored
		}
	}
	if a.err != nil {
		e.State, e.Reason = channel.Failed, ReasonUndelivered
		if a.maySent() {
			e.State = channel.Sent
		}
	}
	s.emit(ctx, e)
}

// emitFixed emits the event of a message to an app reviewer, which is not sent.
func (s *Service) emitFixed(ctx context.Context, o *opened, now time.Time) {
	e := s.event(EventSent, o, now)
	e.Step, e.State = o.delivery.Attempt.Step, o.delivery.State
	s.emit(ctx, e)
}
