package otp

import (
	"cmp"
	"context"
	"errors"
	"math/bits"
	"net/netip"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
)

// An asking holds the facts about a message that the challenge does not have.
type asking struct {
	subject string // empty: the message follows another without a request
	ip      netip.Addr
	proven  bool
	resend  bool
	signals map[string]string
}

// A refusal is the cause of ReasonGuarded and ReasonStepUp.
type refusal struct{ Verdict }

func (r *refusal) Error() string {
	text := "rule " + cmp.Or(r.Rule, "guard")
	if r.Key != "" {
		text += ", " + r.Key
	}
	return text
}

// errDropped means that a Guard wants the message dropped unseen.
var errDropped = errors.New("otp: the guard drops the message")

// consult asks the Guard about a message. If the error is nil, the message may be sent,
// and the caller must call unsent if it is not.
func (s *Service) consult(ctx context.Context, q *sealedRequest, kinds channel.Address, now time.Time,
	ask asking) error {
	if s.c.Guard == nil || q.fixed {
		return nil
	}
	if ctx.Err() != nil {
		return gone(ctx)
	}
	a := attemptOf(q, kinds, now, ask)
	v, err := s.check(ctx, a)
	switch {
	case err != nil:
		e := s.storeError(nil, errors.Join(errGuard, err), now)
		if e.Reason != ReasonFull {
			e.Reason = ReasonUnavailable
		}
		return e
	case v.Action == Allow:
		return nil
	case v.Action == Drop:
		return errDropped
	}
	e := &Error{Reason: ReasonGuarded, RetryAfter: roundUp(v.RetryAfter, time.Hour), Err: &refusal{v},
		Alternatives: q.to.Kinds() &^ kinds}
	if v.Action == StepUp {
		e.Reason = ReasonStepUp
	}
	return e
}

// check calls the Guard. A panic there is an error.
func (s *Service) check(ctx context.Context, a Attempt) (v Verdict, err error) {
	defer func() {
		if p := recover(); p != nil { // its value may hold a secret
			err = errors.New("it panicked")
		}
	}()
	return s.c.Guard.Check(ctx, a)
}

func roundUp(d, unit time.Duration) time.Duration {
	if up := d.Truncate(unit); up < d {
		return up + unit
	}
	return d
}

// attemptOf describes a message to an address of one of kinds.
func attemptOf(q *sealedRequest, kinds channel.Address, now time.Time, ask asking) Attempt {
	a := Attempt{IP: ask.ip, Subject: ask.subject, Tenant: q.tenant, Purpose: q.purpose, Known: q.known,
		Proven: ask.proven || q.proven, Resend: ask.resend, Signals: ask.signals, At: now}
	switch {
	case kinds&channel.Phone != 0 && q.to.Phone != "":
		if a.Phone = q.number; a.Phone.E164 == "" {
			a.Phone, _ = phone.Parse(q.to.Phone, "") // it was parsed before
		}
	case kinds&channel.Email != 0 && q.to.Email != "":
		a.Email = wireForm(q.to).Email
	}
	return a
}

// unsent tells the Guard that an allowed message surely was not sent.
func (s *Service) unsent(ctx context.Context, q *sealedRequest, c delivery.Charge) {
	settler, ok := s.c.Guard.(Settler)
	if !ok || q.fixed || c.Kinds == 0 {
		return
	}
	ask := asking{}
	if c.Network {
		ask.ip = q.ip
	}
	s.settle(ctx, settler, attemptOf(q, c.Kinds, c.At, ask), 1, false)
}

// settleVerified tells the Guard that a challenge was verified. If there is no Guard, the
// requests of the challenge are given back to their network.
func (s *Service) settleVerified(ctx context.Context, o *opened) {
	if o.req.fixed {
		return
	}
	d := o.delivery
	if s.c.Guard == nil {
		if o.req.ip.IsValid() && len(o.policy.PerIP) > 0 {
			limits := s.limits(o.req, o.policy, 0, o.req.ip)
			for i := range limits {
				limits[i].N = d.Sends
			}
			s.give(ctx, limits, time.Time{})
		}
		return
	}
	settler, ok := s.c.Guard.(Settler)
	if !ok {
		return
	}
	messages := d.Counted
	if d.Phase == delivery.Sending {
		messages += bits.OnesCount8(uint8(d.Charges[0].Kinds))
	}
	kinds := cmp.Or(d.Used, d.Charges[0].Kinds, served(o.tenant, o.req.to, o.req.route))
	s.settle(ctx, settler, attemptOf(o.req, kinds, instant(), asking{ip: o.req.ip}), max(messages, 1), true)
}

func (s *Service) settle(ctx context.Context, g Settler, a Attempt, messages int, verified bool) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // its value may hold a secret
			s.log.ErrorContext(ctx, "otp: the guard panicked")
		}
	}()
	g.Settle(ctx, a, messages, verified)
}

// A told remembers the refusals of the Guard that had an event.
type told struct {
	mu   sync.Mutex
	next map[string]time.Time // by rule and key
}

const (
	tellEvery = 10 * time.Minute
	maxTold   = 4096
)

// quiet reports whether err is a refusal by a rule and key that had an event in the last
// ten minutes. It drops the event, since an attack must not fill the disk.
func (s *Service) quiet(err error, now time.Time) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return false
	}
	t, key := &s.told, r.Rule+" "+r.Key
	t.mu.Lock()
	defer t.mu.Unlock()
	if next, ok := t.next[key]; ok && now.Before(next) {
		return true
	}
	if t.next == nil || len(t.next) >= maxTold {
		t.next = map[string]time.Time{}
	}
	t.next[key] = now.Add(tellEvery)
	return false
}

// decoyed stands in for the channel's answer to the message of a decoy.
func (s *Service) decoyed(ctx context.Context, t *tenant, m *channel.Message) channel.Submission {
	route := channel.Route{Address: m.To.Kinds()}
	if p, ok := channel.As[channel.Planner](t.channel); ok {
		if routes, err := p.Plan(ctx, m); err == nil && len(routes) > 0 {
			route = routes[0]
		}
	}
	sub := channel.Submission{Route: route.Name, State: channel.Sent}
	if route.Name != "" {
		sub.Hops = []channel.Hop{{Route: route.Name, Address: route.Address & m.To.Kinds()}}
	}
	return sub
}

// asGuarded turns errDropped into a refusal, for all messages but a challenge's first:
// the number opted out meanwhile.
func asGuarded(err error) error {
	if errors.Is(err, errDropped) {
		return &Error{Reason: ReasonGuarded, Err: &refusal{Verdict{Action: Drop, Rule: "dropped"}}}
	}
	return err
}

// tellGuarded emits the event of a refused message that had no request.
func (s *Service) tellGuarded(ctx context.Context, o *opened, err error) {
	now := instant()
	var r *refusal
	if !errors.As(err, &r) || !s.observed(ctx) || s.quiet(err, now) {
		return
	}
	e := s.event(EventRefused, o, now)
	e.Operation, e.Reason, e.Err = OperationFollow, ReasonOf(err), err
	s.emit(ctx, e.with(err))
}
