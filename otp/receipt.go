package otp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// A part is the place of a provider's id: which part of which step.
type part struct {
	challenge     string // public ID
	step          string // stepName
	index, number int
}

func (p part) String() string {
	return fmt.Sprintf("%s.%s.%d.%d", p.challenge, p.step, p.index, p.number)
}

// of returns the step's number if the part belongs to r and not to an earlier
// challenge of the same id.
func (p part) of(r *store.Record) (step int, ok bool) {
	number, _, _ := strings.Cut(p.step, "-")
	step, err := strconv.Atoi(number)
	return step, err == nil && step > 0 && stepName(r, step) == p.step
}

// parsePart reads part.String, or a Message.ID that a provider echoes.
func parsePart(s string) (part, bool) {
	f := strings.Split(s, ".")
	if len(f) != 2 && len(f) != 4 || len(f[0]) != publicLen {
		return part{}, false
	}
	p := part{challenge: f[0], step: f[1], number: 1}
	for i, n := range []*int{&p.index, &p.number}[:len(f)-2] {
		v, err := strconv.ParseUint(f[i+2], 10, 16)
		if err != nil {
			return part{}, false
		}
		*n = int(v)
	}
	return p, p.index < p.number
}

// trackKey is the key of a provider's id. Ids of two tenants' channels, and of
// two applications, have nothing to do with each other.
func (s *Service) trackKey(scope, route, provider string) string {
	return s.keys.owner + "/" + scope + "/" + route + "/" + provider
}

// A report is a receipt as the delivery knows it, and as it came.
type report struct {
	delivery.Receipt
	from channel.Receipt
	sent time.Time // when the route took the message; set by apply
}

// apply records a report in d. changed is false if the report has no effect.
func (rp *report) apply(d *delivery.Delivery) (refund []delivery.Charge, changed bool) {
	before := d.Encode()
	if d.Attempt.Step == rp.Step && d.Message.Route == rp.Route {
		rp.sent = d.SentAt
	}
	refund = d.Receive(rp.Receipt)
	return refund, !bytes.Equal(before, d.Encode())
}

// track connects the provider's ids to the step of an attempt, and returns the receipts
// that came earlier. If the Tracker fails, unpark asks again later.
func (s *Service) track(ctx context.Context, o *opened, a attempt) (early []report) {
	if s.c.Tracker == nil || a.err != nil || len(a.sub.ProviderIDs) == 0 {
		return nil
	}
	ctx, cancel := withTerm(ctx, time.Now().Add(afterwards/4))
	defer cancel()
	for i := range a.sub.ProviderIDs {
		err := persist(ctx, func() error {
			parked, err := s.parked(ctx, o, a.name.Step, a.sub.Route, a.sub.ProviderIDs, i)
			early = append(early, parked...)
			return err
		})
		if err != nil {
			s.log.WarnContext(ctx, "otp: a provider's id is not tracked yet", "challenge", o.id, "step", a.name.Step,
				"error", err)
		}
	}
	return early
}

// parked tracks one of a step's ids, and returns the receipts parked for it.
func (s *Service) parked(ctx context.Context, o *opened, step int, route string, ids []string, i int) ([]report,
	error) {
	p := part{o.id, stepName(o.Record, step), i, len(ids)}
	key := s.trackKey(o.tenant.scope, route, ids[i])
	stored, err := s.c.Tracker.Track(ctx, key, p.String(), o.Expires, instant())
	if err != nil {
		return nil, err
	}
	var all []report
	for _, b := range stored {
		var rc channel.Receipt
		if err := json.Unmarshal(b, &rc); err != nil {
			s.log.ErrorContext(ctx, "otp: a parked receipt is damaged", "challenge", o.id, "error", err)
			continue
		}
		if rp, ok := o.received(rc, p, step); ok {
			all = append(all, rp)
		}
	}
	return all, nil
}

// unpark looks once more for receipts of the current message, since its sender
// may not have been able to.
func (s *Service) unpark(ctx context.Context, o *opened, worker bool) (*opened, error) {
	m := o.delivery.Message
	if s.c.Tracker == nil {
		return o, nil
	}
	for i := range m.Providers {
		early, err := s.parked(ctx, o, m.Step, m.Route, m.Providers, i)
		if err != nil {
			return o, err
		}
		for _, rp := range early {
			if o, err = s.receive(ctx, o, rp, worker); err != nil {
				return o, err
			}
		}
	}
	return o, nil
}

// receive records a report, and emits its event if it has an effect.
func (s *Service) receive(ctx context.Context, o *opened, rp report, worker bool) (*opened, error) {
	changed := false
	o, err := s.swap(ctx, o, worker, func(d *delivery.Delivery, _ delivery.Challenge) (charges, error) {
		var refund charges
		refund, changed = rp.apply(d)
		return refund, nil
	})
	if err == nil && changed {
		s.emitReceipt(ctx, o, rp)
	}
	return o, err
}

// emitReceipt emits the event of a receipt with an effect.
func (s *Service) emitReceipt(ctx context.Context, o *opened, rp report) {
	s.observeReceipt(ctx, o, rp)
	if !s.observed(ctx) {
		return
	}
	e := s.event(EventReceipt, o, instant())
	e.Step, e.Route, e.State, e.Code, e.Sent = rp.Step, rp.Route, rp.from.State, rp.from.Code, rp.sent
	if rp.from.ProviderID != "" {
		e.Providers = []string{rp.from.ProviderID}
	}
	s.emit(ctx, e)
}

// received turns a receipt into a report; false: the receipt is not final.
func (o *opened) received(rc channel.Receipt, p part, step int) (report, bool) {
	if rc.State != channel.Delivered && rc.State != channel.Failed {
		return report{}, false
	}
	return report{Receipt: delivery.Receipt{Step: step, Route: rc.Route, Kind: o.kindOf(rc.Route),
		Arrived: rc.State == channel.Delivered, Wrong: rc.Class == channel.InvalidRecipient,
		Index: p.index, Number: p.number}, from: rc}, true
}

// kindOf returns the kind of address that a route needs, 0 if it is not known.
func (o *opened) kindOf(route string) channel.Address {
	if o.delivery.Message.Route == route {
		return o.delivery.Message.Kind
	}
	for _, r := range o.tenant.routes() {
		if r.Name == route {
			return r.Address
		}
	}
	return 0
}

// HandleReceipt records a receipt. If the receipt says that a message failed, and the
// message's route has an Await, HandleReceipt wakes a worker to send the next one; it
// sends nothing itself. Config.Receipts calls it. A handler of the embedder may call it,
// too, and must set Receipt.Tenant if the route belongs to a tenant's own Channel.
//
// If the error is nil, the provider may be answered that the receipt was taken: it was
// recorded, is kept until its submission is known, or has no use any more. Otherwise
// the provider should repeat it.
func (s *Service) HandleReceipt(ctx context.Context, rc channel.Receipt) error {
	return s.handleReceipt(ctx, rc.Tenant, rc)
}

func (s *Service) handleReceipt(ctx context.Context, scope string, rc channel.Receipt) error {
	now := instant()
	rc.Code = strings.ToValidUTF8(rc.Code[:min(len(rc.Code), 128)], "") // from a provider, and kept
	if rc.MessageID == "" {
		id, err := s.match(ctx, scope, rc, now)
		if err != nil || id == "" {
			return err
		}
		rc.MessageID = id
	}
	p, ok := parsePart(rc.MessageID)
	i, known := s.keys.parseID(p.challenge)
	if !ok || !known {
		s.log.WarnContext(ctx, "otp: a receipt names no message of this application", "route", rc.Route)
		return nil
	}
	r, err := s.c.Store.Get(ctx, i.store(), now)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExpired):
		return nil
	case err != nil:
		return s.storeError(r, err, now)
	}
	o, err := s.open(r)
	if err != nil {
		if errors.Is(err, errForeign) {
			s.reportForeign(ctx, r)
			return nil
		}
		return s.openError(ctx, r, err)
	}
	if o.tenant.scope != scope { // nobody tells of the messages by another's routes
		s.log.WarnContext(ctx, "otp: a receipt names a message of another tenant's routes", "route", rc.Route, "tenant",
			scope, "challenge", o.id)
		return nil
	}
	step, ok := p.of(r)
	rp, tells := o.received(rc, p, step)
	if !ok || !tells {
		return nil
	}
	return s.record(ctx, o, rp, now)
}

// record records a receipt, and has the next message sent if one is due.
func (s *Service) record(ctx context.Context, o *opened, rp report, now time.Time) error {
	o, err := s.receive(ctx, o, rp, false)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExpired):
		return nil
	case err != nil:
		return s.storeError(o.Record, err, now)
	}
	if s.c.Queue == nil || o.next(instant()).Do != delivery.Send {
		return nil
	}
	if err := s.wake(ctx, o, time.Time{}); err != nil { // whoever repeats the receipt wakes again
		return s.storeError(o.Record, err, now)
	}
	return nil
}

// match returns the message of a provider's id. If the id is not known yet, match parks
// the receipt and returns "".
func (s *Service) match(ctx context.Context, scope string, rc channel.Receipt, now time.Time) (string, error) {
	if s.c.Tracker == nil || rc.ProviderID == "" || len(rc.ProviderID) > 256 {
		s.log.WarnContext(ctx, "otp: a receipt cannot be matched", "route", rc.Route)
		return "", nil
	}
	b, err := json.Marshal(rc)
	if err != nil {
		return "", err
	}
	id, err := s.c.Tracker.Match(ctx, s.trackKey(scope, rc.Route, rc.ProviderID), b, now.Add(s.longestLife()), now)
	if err != nil {
		return "", s.storeError(nil, err, now)
	}
	return id, nil
}

// longestLife bounds how long a receipt is parked for its submission, which
// comes soon or not at all.
func (s *Service) longestLife() time.Duration { return min(s.own.policy.Life, longLife) }
