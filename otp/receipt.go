package otp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

// A part is where a provider's id belongs: which part of which step.
type part struct {
	challenge     string
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
	if len(f) != 2 && len(f) != 4 || !validID(f[0]) {
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

// track connects the provider's ids to the step, and handles the receipts that
// were faster.
func (s *Service) track(ctx context.Context, r *store.Record, d *delivery) error {
	if s.c.Tracker == nil {
		return nil
	}
	for i, id := range d.providers {
		p := part{r.ID, stepName(r, d.step), i, len(d.providers)}
		early, err := s.c.Tracker.Track(ctx, d.route+"/"+id, p.String(), r.Expires, time.Now())
		if err != nil {
			return err
		}
		for _, b := range early {
			var rc channel.Receipt
			if err := json.Unmarshal(b, &rc); err != nil {
				return fmt.Errorf("otp: a parked receipt is damaged: %w", err)
			}
			rc.MessageID = p.String()
			if err := s.HandleReceipt(ctx, rc); err != nil {
				return err
			}
		}
	}
	return nil
}

// HandleReceipt records what a receipt says and, if a message failed by a route
// with an Await, queues the next; it sends nothing itself. Config.Receipts calls
// it; so may a handler of one's own. A nil error means that the receipt may be
// acknowledged: it was recorded, kept until its submission is known, or is of
// no interest any more.
func (s *Service) HandleReceipt(ctx context.Context, rc channel.Receipt) error {
	now := time.Now()
	rc.Code = strings.ToValidUTF8(rc.Code[:min(len(rc.Code), 128)], "") // from a provider, and kept
	if rc.MessageID == "" {
		id, err := s.match(ctx, rc, now)
		if err != nil || id == "" {
			return err
		}
		rc.MessageID = id
	}
	p, ok := parsePart(rc.MessageID)
	if !ok {
		s.log.WarnContext(ctx, "otp: a receipt names no message of ours", "route", rc.Route)
		return nil
	}
	r, err := s.c.Store.Get(ctx, p.challenge, now)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return nil
	}
	if err != nil {
		return s.storeError(r, err, now)
	}
	step, ok := p.of(r)
	if !ok {
		return nil
	}
	var changed, failed bool
	r, d, err := s.update(ctx, r, func(r *store.Record, d *delivery) error {
		before := d.encode()
		failed = s.apply(r, d, rc, p, step)
		changed = !bytes.Equal(before, d.encode())
		return nil
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return nil
	}
	if err != nil {
		return s.storeError(r, err, now)
	}
	if changed && s.observed(ctx) {
		e := s.openEvent(EventReceipt, r, now)
		e.RequestID = cmp.Or(d.request, e.RequestID)
		e.Step, e.Route, e.State, e.Code = step, rc.Route, rc.State, rc.Code
		if rc.ProviderID != "" {
			e.Providers = []string{rc.ProviderID}
		}
		s.emit(ctx, e)
	}
	if !failed || s.c.Queue == nil {
		return nil
	}
	if err := s.c.Queue.Enqueue(ctx, job(r, d.priority, d.step+1, byFailed, now)); err != nil {
		return s.storeError(r, err, now)
	}
	return nil
}

func (s *Service) match(ctx context.Context, rc channel.Receipt, now time.Time) (string, error) {
	if s.c.Tracker == nil || rc.ProviderID == "" || len(rc.ProviderID) > 256 {
		s.log.WarnContext(ctx, "otp: a receipt cannot be matched", "route", rc.Route)
		return "", nil
	}
	b, err := json.Marshal(rc)
	if err != nil {
		return "", err
	}
	id, err := s.c.Tracker.Match(ctx, rc.Route+"/"+rc.ProviderID, b, now.Add(s.c.Policy.Life), now)
	if err != nil {
		return "", s.storeError(nil, err, now)
	}
	return id, nil
}

// apply moves the state forward and reports whether the current step has
// failed and was awaited, so that the next is due.
func (s *Service) apply(r *store.Record, d *delivery, rc channel.Receipt, p part, step int) bool {
	switch {
	case step > d.step: // never sent
	case rc.State == channel.Delivered:
		d.ended(step, rc.Route)
		d.invalid &^= s.kindOfRoute(d, rc.Route) // it is not wrong after all
		whole := p.number == 1                   // of an older message's parts the others may be missing
		if step == d.step {
			d.got |= 1 << min(p.index, 63)
			whole = d.got == 1<<min(p.number, 64)-1
		}
		if whole {
			d.arrived(r.Sends)
		}
	case rc.State == channel.Failed:
		d.ended(step, rc.Route)
		if rc.Class == channel.InvalidRecipient {
			d.invalid |= s.kindOfRoute(d, rc.Route)
		}
		return s.fail(r, d, rc, step)
	}
	return false
}

// fail notes that the current step has failed, unless the receipt is of a
// route that was left for another within the same step.
func (s *Service) fail(r *store.Record, d *delivery, rc channel.Receipt, step int) bool {
	switch {
	case step != d.step, d.state == channel.Delivered:
		return false
	case !d.submitted: // recordOutcome will know whether this route took it
		d.early = rc.Route
		return false
	case rc.Route != d.route:
		return false
	}
	d.state = channel.Failed
	return r.Outcome == store.Open && !d.await.IsZero()
}

func (s *Service) kindOfRoute(d *delivery, name string) channel.Address {
	if d.route == name {
		return d.kind
	}
	if lister, ok := channel.As[channel.RouteLister](s.c.Channel); ok {
		for _, r := range lister.Routes() {
			if r.Name == name {
				return r.Address
			}
		}
	}
	return 0
}
