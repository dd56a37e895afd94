package otp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

// An attempt is one sender's hold of a step, and its outcome.
type attempt struct {
	name  delivery.Attempt
	held  delivery.Charge // of the step, as the record has it
	took  delivery.Charge // taken by this attempt
	kinds channel.Address // that the recipient has
	sub   channel.Submission
	err   error // the channel's, redacted
	done  bool  // the channel was given the message
}

// attempt hands the message of o's step to the channel, unless the challenge
// has ended since it was read. It ends in time for the outcome to be recorded
// within the lease.
func (s *Service) attempt(ctx context.Context, o *opened, m *channel.Message) (a attempt) {
	d := o.delivery
	a = attempt{name: d.Attempt, held: d.Charges[0], kinds: o.req.to.Kinds()}
	if o.Outcome != store.Open {
		return a
	}
	if m == nil {
		if m, a.err = s.message(o); a.err != nil {
			a.err = &channel.Error{Class: channel.Misconfigured, Op: "otp: message", Err: a.err}
			return a
		}
	}
	limit := d.At.Add(-afterwards)
	if o.Expires.Before(limit) {
		limit = o.Expires
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	m.Allow = s.allow(o, &a)
	a.done = true
	if o.req.decoy {
		a.sub = s.decoyed(ctx, o.tenant, m)
		return a
	}
	a.sub, a.err = s.submit(ctx, o.tenant, m)
	for i := range a.sub.Hops {
		a.sub.Hops[i].Err = redact(m, a.sub.Hops[i].Err)
	}
	a.err = redact(m, a.err)
	return a
}

// submit calls the channel. A panic, and an error without a class, mean that the
// message may have been sent.
func (s *Service) submit(ctx context.Context, t *tenant, m *channel.Message) (sub channel.Submission, err error) {
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			s.log.ErrorContext(ctx, "otp: a channel panicked", "message", m.ID, "type", fmt.Sprintf("%T", v), "stack",
				string(debug.Stack()))
			sub, err = channel.Submission{}, &channel.Error{Class: channel.Unknown, Op: "otp: send",
				Err: fmt.Errorf("the channel panicked with a %T", v)}
		}
	}()
	if t.routed { // it guards each route by itself
		sub, err = t.channel.Send(ctx, m)
	} else {
		sub, err = channel.Try(ctx, t.channel, m)
		if errors.Is(err, channel.ErrStuck) {
			s.log.ErrorContext(ctx, "otp: the channel ignores its context, and holds up its sender", "message", m.ID,
				"tenant", t.name)
		}
	}
	if err == nil && sub.State == 0 {
		sub.State = channel.Sent
	}
	return sub, channel.Classed("otp: send", err)
}

// allow returns channel.Message.Allow: it charges the limits of the address that a route
// uses, once for each kind of address and step. Before each try but the first it refuses
// the route if the challenge has ended.
func (s *Service) allow(o *opened, a *attempt) func(context.Context, channel.Route) error {
	at, first := instant(), true
	return func(ctx context.Context, r channel.Route) error {
		if !first && s.hasEnded(ctx, o) {
			return &channel.Error{Class: channel.Expired, Op: "otp: send", Err: errEnded}
		}
		first = false
		kind := r.Address & a.kinds
		if kind&^(a.held.Kinds|a.took.Kinds) == 0 {
			return nil
		}
		switch err := s.chargeAgain(ctx, o, kind, at); {
		case errors.Is(err, ErrWait):
			s.tellGuarded(ctx, o, err)
			return &channel.Error{Class: channel.Throttled, Op: "otp: limits", Code: "limited", Err: errLimited}
		case err != nil:
			return &channel.Error{Class: channel.Temporary, Op: "otp: limits", Err: err}
		}
		a.took.At, a.took.Kinds = at, a.took.Kinds|kind
		return nil
	}
}

// errEnded is the error of a hop whose challenge was verified or cancelled.
var errEnded = errors.New("the challenge has ended")

// hasEnded reports whether a challenge was closed since it was read, as far as the
// store can tell soon.
func (s *Service) hasEnded(ctx context.Context, o *opened) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := s.c.Store.Get(ctx, o.ID, instant())
	return err == nil && r.Outcome != store.Open || errors.Is(err, store.ErrExpired)
}

// chargeAgain is charge for a message under way: one failed call of the store must not
// end the message.
func (s *Service) chargeAgain(ctx context.Context, o *opened, kind channel.Address, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, afterwards)
	defer cancel()
	for pause := 20 * time.Millisecond; ; pause *= 4 {
		_, err := s.charge(ctx, o.req, o.policy, kind, noIP, at, asking{resend: true})
		err = asGuarded(err)
		if ReasonOf(err) != ReasonUnavailable || pause > 100*time.Millisecond || !sleep(ctx, pause) {
			return err
		}
	}
}

// chargeMore counts further messages of an attempt to an address whose first message was
// charged before: for example, one by a route that did not answer, and one by the next.
// They have gone out, so a limit that is used up does not refuse them.
func (s *Service) chargeMore(ctx context.Context, o *opened, a attempt) {
	var before channel.Address
	for _, h := range a.sub.Hops {
		if kind := h.Address & a.kinds; h.MaySent() {
			if before&kind != 0 {
				_, err := s.charge(ctx, o.req, o.policy, kind, noIP, instant(), asking{resend: true})
				if ReasonOf(err) == ReasonUnavailable {
					s.log.WarnContext(ctx, "otp: a message was not counted", "challenge", o.id, "error", err)
				}
			}
			before |= kind
		}
	}
}

// outcome is the attempt as the record keeps it.
func (a *attempt) outcome() delivery.Outcome {
	o := delivery.Outcome{At: instant(), Held: a.held, Took: a.took, More: a.sub.More && a.err != nil}
	for _, h := range a.sub.Hops {
		if !h.Skipped && !slices.Contains(o.Tried, h.Route) {
			o.Tried = append(o.Tried, h.Route)
		}
		switch {
		case h.Err == nil:
			o.Used |= h.Address
			o.Kind = h.Address
		case h.Class == channel.InvalidRecipient:
			o.Invalid |= h.Address
		}
		if h.MaySent() {
			o.Spent |= h.Address
		}
	}
	named := len(a.sub.Hops) > 0
	switch {
	case !a.done:
		o.Unreachable = false
	case a.err == nil:
		o.Taken, o.Route, o.Providers, o.Await = true, a.sub.Route, a.sub.ProviderIDs, a.sub.Await
		o.Arrived = a.sub.State == channel.Delivered
		if !named { // a channel on its own
			o.Used, o.Spent, o.Kind = a.kinds, a.kinds, a.kinds
		}
	case a.maySent():
		o.Unknown = true
		if !named {
			o.Spent = a.kinds
		}
	default:
		class := channel.ClassOf(a.err)
		o.Unreachable = class == channel.Unreachable || class == channel.InvalidRecipient
		if !named && class == channel.InvalidRecipient {
			o.Invalid = a.kinds
		}
	}
	return o
}

// maySent reports whether a message may have gone out.
func (a *attempt) maySent() bool {
	return a.done && (a.err == nil || channel.ClassOf(a.err) == channel.Unknown ||
		slices.ContainsFunc(a.sub.Hops, channel.Hop.MaySent))
}

// retryable reports whether the same step may succeed soon.
func (a *attempt) retryable() bool {
	if !a.done || a.maySent() {
		return false
	}
	limited := func(h channel.Hop) bool { return errors.Is(h.Err, errLimited) }
	if len(a.sub.Hops) > 0 && !slices.ContainsFunc(a.sub.Hops, func(h channel.Hop) bool { return !limited(h) }) {
		return false
	}
	class := channel.ClassOf(a.err)
	return class == channel.Temporary || class == channel.Throttled
}

// last returns the routes that a resend tries after the others.
func (o *opened) last() []string {
	if o.policy.Resend == SameRoute {
		return nil
	}
	return o.delivery.Undelivered
}

// message renders the step that o is at.
func (s *Service) message(o *opened) (*channel.Message, error) {
	q, d := o.req, o.delivery
	n := 0
	if o.NewCode {
		n = max(d.Send, 1) - 1
	}
	code, err := s.code(o.Record, q.purpose, q.binding, n)
	if err != nil {
		return nil, err
	}
	left := time.Until(o.Expires) + 10*time.Second // the time since the request must not cost it a minute
	data := wording.Data{Language: q.language, Code: code, Minutes: max(int(left/time.Minute), 1), Details: q.details,
		Purpose: q.purpose, ChallengeID: o.id}
	if s.c.ShowTry {
		data.Try = d.Send
	}
	if s.c.ShowTime {
		data.Requested = o.Created
	}
	text, err := o.tenant.words.Render(data)
	if errors.Is(err, wording.ErrLanguage) { // the wording was removed since the challenge was made
		data.Language = ""
		text, err = o.tenant.words.Render(data)
	}
	if err != nil {
		return nil, err
	}
	return &channel.Message{ID: o.id + "." + stepName(o.Record, d.Attempt.Step), To: q.to, Code: code, Text: text.SMS,
		Subject: text.Subject, Body: text.Body, HTML: text.HTML, Language: q.language, Sender: o.tenant.sender,
		Purpose: q.purpose, Tenant: q.tenant, RequestID: cmp.Or(d.Request, q.requestID), Created: o.Created,
		Expires: o.Expires, Route: cmp.Or(d.Via, q.route), Tried: d.Tried, Last: o.last(), Invalid: d.Invalid}, nil
}
