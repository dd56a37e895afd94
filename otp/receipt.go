package otp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/store"
)

var noIP netip.Addr

// A part is where a provider's id belongs: which part of which step.
type part struct {
	challenge           string
	step, index, number int
}

func (p part) String() string {
	return fmt.Sprintf("%s.%d.%d.%d", p.challenge, p.step, p.index, p.number)
}

// parsePart reads part.String, or a Message.ID that a provider echoes.
func parsePart(s string) (part, bool) {
	f := strings.Split(s, ".")
	if len(f) != 2 && len(f) != 4 || !validID(f[0]) {
		return part{}, false
	}
	p := part{challenge: f[0], number: 1}
	for i, n := range []*int{&p.step, &p.index, &p.number}[:len(f)-1] {
		v, err := strconv.ParseUint(f[i+1], 10, 16)
		if err != nil {
			return part{}, false
		}
		*n = int(v)
	}
	return p, p.index < p.number
}

// track connects the provider's ids to the step, and handles the receipts that
// were faster.
func (s *Service) track(ctx context.Context, r *store.Record, step int, sub channel.Submission) error {
	if s.c.Tracker == nil {
		return nil
	}
	for i, id := range sub.ProviderIDs {
		p := part{r.ID, step, i, len(sub.ProviderIDs)}
		early, err := s.c.Tracker.Track(ctx, sub.Route+"/"+id, p.String(), r.Expires, time.Now())
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

// HandleReceipt records what a receipt says and, if the message failed, queues
// the next route; it sends nothing itself. Config.Receipts calls it; so may a
// handler of one's own. A nil error means that the receipt may be
// acknowledged: it was recorded, kept until its submission is known, or is of
// no interest any more.
func (s *Service) HandleReceipt(ctx context.Context, rc channel.Receipt) error {
	now := time.Now()
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
	before := r.Revision
	var failed bool
	r, d, err := s.update(ctx, r, func(r *store.Record, d *delivery) error {
		failed = s.apply(r, d, rc, p)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExpired) {
		return nil
	}
	if err != nil {
		return s.storeError(r, err, now)
	}
	if r.Revision != before && s.observed(ctx) {
		e := s.openEvent(EventReceipt, r, now)
		e.Step, e.Route, e.State, e.Code = p.step, rc.Route, rc.State, rc.Code
		if rc.ProviderID != "" {
			e.Providers = []string{rc.ProviderID}
		}
		s.emit(ctx, e)
	}
	if !failed || s.c.Queue == nil {
		return nil
	}
	if err := s.c.Queue.Enqueue(ctx, job(r, d.step+1, "failed", now)); err != nil {
		return s.storeError(r, err, now)
	}
	return nil
}

func (s *Service) match(ctx context.Context, rc channel.Receipt, now time.Time) (string, error) {
	if s.c.Tracker == nil || rc.ProviderID == "" {
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
// failed.
func (s *Service) apply(r *store.Record, d *delivery, rc channel.Receipt, p part) bool {
	current := d.step == p.step
	switch rc.State {
	case channel.Delivered:
		if current {
			d.got |= 1 << min(p.index, 63)
		}
		if !current || d.got == 1<<min(p.number, 64)-1 {
			d.state = channel.Delivered
		}
	case channel.Failed:
		if rc.Class == channel.InvalidRecipient {
			d.invalid |= s.kindOfRoute(d, rc.Route)
		}
		if current && d.state != channel.Delivered {
			d.state, d.submitted = channel.Failed, true
			return r.Outcome == store.Open
		}
	}
	return false
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
