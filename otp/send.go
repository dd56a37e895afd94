package otp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store"
)

const (
	saltLen    = 16
	maxSubject = 256
	maxBinding = 64 << 10
)

// Send makes a code and has it delivered. It refuses bad input before anything
// is stored, and stores before anything is sent.
//
// When no route took the message it returns the Challenge beside an error of
// [ErrUndelivered]: the code may still arrive where [channel.ClassOf] that
// error is Unknown, so a caller that shows where to type it does no harm. A
// message that surely never went out is not counted against the limits. It
// returns the Challenge beside an [ErrUnavailable] of the queue too.
func (s *Service) Send(ctx context.Context, q Request) (*Challenge, error) {
	now := time.Now()
	if q.RequestID == "" {
		q.RequestID = randomID()
	}
	tag := s.keys.subjectTag(q.Subject)
	c, err := s.send(ctx, q, tag, now)
	var e *Error
	if errors.As(err, &e) && e.Reason != ReasonUndelivered {
		refused := Event{Kind: EventRefused, At: now, RequestID: loggable(q.RequestID), Subject: tag, Purpose: loggable(q.Purpose),
			To: q.To.Masked(), Reason: e.Reason, Err: err}
		if c != nil {
			refused.Challenge = c.ID
		}
		s.emit(ctx, refused)
	}
	return c, err
}

// loggable keeps what a caller passed out of events where it was refused for
// its form.
func loggable(s string) string {
	if !printable(s) {
		return "?"
	}
	return s
}

func (s *Service) send(ctx context.Context, q Request, tag string, now time.Time) (*Challenge, error) {
	l, err := s.letter(q)
	if err != nil {
		return nil, err
	}
	r, err := s.record(q, l, tag, now)
	if err != nil {
		return nil, err
	}
	m, err := s.message(r, l, &delivery{step: 1})
	if err != nil {
		return nil, err
	}
	limits := s.limits(l, q.IP)
	if q.IdempotencyKey != "" {
		if c, err := s.repeated(ctx, r.ID, l, limits, now); c != nil || err != nil {
			return c, err
		}
	}
	if err := s.take(ctx, limits, now); err != nil {
		if q.IdempotencyKey != "" { // the same key at the same time, by which the limit is used up
			if c, err := s.repeated(ctx, r.ID, l, limits, now); c != nil || err != nil {
				return c, err
			}
		}
		return nil, err
	}
	if err := s.c.Store.Create(ctx, r, now); err != nil {
		refused := s.storeError(r, err, now)
		if refused.Reason != ReasonUnavailable { // else it may be stored, for a repeat to go on with
			s.give(ctx, limits, now)
		} else if q.IdempotencyKey != "" && !s.c.Async {
			s.release(ctx, r)
		}
		if errors.Is(err, store.ErrExists) { // the same key at the same time
			if c, err := s.repeated(ctx, r.ID, l, limits, now); c != nil || err != nil {
				return c, err
			}
		}
		return nil, refused
	}
	if s.observed(ctx) {
		s.emit(ctx, event(EventGenerated, r, l, now))
	}
	if l.fixed {
		return s.pretend(ctx, r, l, now)
	}
	return s.start(ctx, r, l, m, order{job: job(r, q.Priority, 1, bySend, now), limits: limits})
}

// release ends the lease of a record that was stored although the store did not
// say so: a repeated request shall not wait for a sender that there is none.
func (s *Service) release(ctx context.Context, r *store.Record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	stored, err := s.c.Store.Get(ctx, r.ID, time.Now())
	if err != nil || !bytes.Equal(stored.Salt, r.Salt) { // another's
		return
	}
	_, _, err = s.update(ctx, stored, func(now *store.Record, d *delivery) error {
		if !bytes.Equal(now.Delivery, r.Delivery) { // a repeat has begun it
			return errDrop
		}
		d.lease = time.Time{}
		return nil
	})
	if err != nil && !errors.Is(err, errDrop) {
		s.log.WarnContext(ctx, "otp: a challenge that failed is not repeated at once", "challenge", r.ID, "error", err)
	}
}

// pretend is the delivery of a fixed code.
func (s *Service) pretend(ctx context.Context, r *store.Record, l *letter, now time.Time) (*Challenge, error) {
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	e := event(EventSent, r, l, now)
	e.Step, e.State = d.step, d.state
	s.emit(ctx, e)
	return s.challenge(r, l, d), nil
}

// letter validates a request's input and normalizes it.
func (s *Service) letter(q Request) (*letter, error) {
	switch {
	case q.Subject == "" || len(q.Subject) > maxSubject:
		return nil, invalid("Subject", "it must have 1 to 256 octets")
	case q.To == (channel.Recipient{}):
		return nil, invalid("To", "there is no address")
	case !printable(q.Purpose):
		return nil, invalid("Purpose", "it must be at most 64 printable ASCII characters")
	case !printable(q.Route):
		return nil, invalid("Route", "it must be at most 64 printable ASCII characters")
	case !printable(q.RequestID):
		return nil, invalid("RequestID", "it must be at most 64 printable ASCII characters")
	case !q.Priority.Valid():
		return nil, invalid("Priority", "it must be store.Low, store.Normal or store.High")
	case len(q.IdempotencyKey) > 256:
		return nil, invalid("IdempotencyKey", "it is longer than 256 octets")
	case len(q.Binding) > maxBinding:
		return nil, invalid("Binding", "it is longer than 64 KiB")
	}
	l := &letter{to: q.To, purpose: q.Purpose, details: q.Details, route: q.Route, requestID: q.RequestID, binding: bind(q.Binding)}
	if len(s.c.Policy.PerIP) > 0 {
		l.ip = q.IP.WithZone("")
	}
	region := s.c.Region
	if q.To.Phone != "" {
		n, err := s.number(q.To.Phone)
		if err != nil {
			return nil, err
		}
		l.to.Phone, region = n.E164, n.Region
	}
	l.to.Email = strings.TrimSpace(q.To.Email)
	if err := (channel.Recipient{Phone: l.to.Phone, Email: l.to.Email}).Validate(); err != nil && l.to.Email != "" {
		return nil, &Error{Reason: ReasonInvalid, Field: "To.Email", Err: err}
	}
	if err := l.to.Validate(); err != nil {
		return nil, &Error{Reason: ReasonInvalid, Field: "To", Err: err}
	}
	var err error
	if l.language, err = s.words.Language(q.Language, region); err != nil {
		return nil, &Error{Reason: ReasonInvalid, Field: "Language", Err: err}
	}
	_, l.fixed = s.fixedCode(l)
	return l, s.served(l)
}

// served refuses what no route could carry, where the routes are known.
func (s *Service) served(l *letter) error {
	lister, ok := channel.As[channel.RouteLister](s.c.Channel)
	if !ok || l.fixed {
		return nil
	}
	routes, named := lister.Routes(), false
	for _, r := range routes {
		if l.route == "" || l.route == r.Name {
			named = true
			if l.to.Has(r.Address) {
				return nil
			}
		}
	}
	switch {
	case routes == nil:
		return nil
	case !named:
		return invalid("Route", "there is none of that name")
	}
	return invalid("To", "it has no address of a kind that a route needs")
}

func (s *Service) number(input string) (phone.Number, error) {
	n, err := phone.Parse(input, s.c.Region)
	if err != nil {
		return n, &Error{Reason: ReasonInvalid, Field: "To.Phone", Err: err}
	}
	if !slices.Contains(s.c.PhoneTypes, n.Type) {
		return n, invalid("To.Phone", "numbers of type "+n.Type.String()+" are not sent to")
	}
	return n, nil
}

// printable reports whether s has at most 64 printable ASCII characters.
func printable(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// fixedCode returns an app reviewer's code. A recipient with a second address
// is nobody's reviewer.
func (s *Service) fixedCode(l *letter) (string, bool) {
	if len(s.fixed) == 0 || l.to.Push != "" || (l.to.Phone == "") == (l.to.Email == "") {
		return "", false
	}
	code, ok := s.fixed[l.to.Phone+l.to.Email]
	return code, ok
}

func (s *Service) record(q Request, l *letter, tag string, now time.Time) (*store.Record, error) {
	p := s.c.Policy
	r := &store.Record{ID: s.keys.newID(tag, q.Purpose, q.IdempotencyKey), Subject: tag, Key: s.c.Keys.Current, Salt: make([]byte, saltLen),
		Created: now, Expires: now.Add(p.Life), NewCode: p.NewCode, MaxAttempts: p.MaxAttempts, MaxFailures: p.MaxFailures,
		Lock: p.Lock, Waits: p.Waits, Sends: 1}
	_, _ = rand.Read(r.Salt) // never fails, see crypto/rand
	var err error
	if r.Sealed, err = s.keys.seal(r.Key, r.Salt, r.ID, l.encode()); err != nil {
		return nil, s.storeError(r, err, now)
	}
	d := delivery{step: 1, by: bySend, priority: q.Priority, state: channel.Queued, sends: 1}
	switch {
	case l.fixed:
		d.submitted, d.state = true, channel.Sent
	case !s.c.Async: // the creator delivers it
		d.lease = now.Add(s.c.Takeover)
	}
	r.Delivery = d.encode()
	return r, nil
}

// message renders the step that d is at.
func (s *Service) message(r *store.Record, l *letter, d *delivery) (*channel.Message, error) {
	code, err := s.code(r, l.purpose, r.Subject, l.binding, latest(r))
	if err != nil {
		return nil, s.storeError(r, err, r.Created)
	}
	left := time.Until(r.Expires) + 10*time.Second // the time since the request shall not cost it a minute
	data := wording.Data{Language: l.language, Code: code, Minutes: max(int(left/time.Minute), 1), Details: l.details}
	if s.c.ShowTry {
		data.Try = r.Sends
	}
	if s.c.ShowTime {
		data.Requested = r.Created
	}
	text, err := s.words.Render(data)
	if errors.Is(err, wording.ErrLanguage) { // a wording that was there when the challenge was made
		data.Language = ""
		text, err = s.words.Render(data)
	}
	var faulty *wording.Error
	switch {
	case errors.As(err, &faulty) && faulty.Field == "Data.Details":
		return nil, &Error{Reason: ReasonInvalid, Field: "Details", Err: err}
	case err != nil:
		return nil, s.storeError(r, err, r.Created)
	}
	route := l.route
	if d.via != "" {
		route = d.via
	}
	return &channel.Message{ID: r.ID + "." + stepName(r, d.step), To: l.to, Code: code, Text: text.SMS, Subject: text.Subject,
		Body: text.Body, HTML: text.HTML, Language: l.language, Sender: s.c.Wording.Brand, Purpose: l.purpose,
		Created: r.Created, Expires: r.Expires, Route: route, Tried: d.tried, Invalid: d.invalid}, nil
}

// repeated returns the challenge that an idempotency key made before, or nil if
// there is none, and goes on with its delivery where that has come to nothing.
func (s *Service) repeated(ctx context.Context, id string, l *letter, limits []store.Limit, now time.Time) (*Challenge, error) {
	r, old, err := s.read(ctx, id, now)
	if reason := ReasonOf(err); reason == ReasonNotFound || reason == ReasonExpired {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if old.to != l.to || old.binding != l.binding || old.details != l.details || old.route != l.route {
		return nil, &Error{Reason: ReasonConflict, Field: "IdempotencyKey", Err: errors.New("it was used for another request")}
	}
	d, err := decodeDelivery(r.Delivery)
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	unfinished := !d.submitted && !now.Before(d.lease)
	switch {
	case r.Outcome != store.Open || old.fixed || !unfinished && !d.refused():
		return s.challenge(r, old, d), nil
	case r.Expires.Sub(now) < resendMargin:
		return nil, s.storeError(r, store.ErrExpired, now)
	case unfinished:
		c, ended, err := s.resume(ctx, r, old, d, now)
		if ended {
			return s.repeated(ctx, id, l, limits, time.Now())
		}
		return c, err
	}
	if err := s.take(ctx, limits, now); err != nil { // what was refused was given back
		return nil, err
	}
	o := order{job: job(r, d.priority, d.step+1, byRetry, now), limits: limits}
	if s.c.Async { // begun here already, so that a further repeat counts no second message
		r, d, err = s.update(ctx, r, func(r *store.Record, d *delivery) error {
			if d.step == o.job.Step {
				return errBusy
			}
			return d.begin(r, o.job, now)
		})
		switch {
		case errors.Is(err, errDrop), errors.Is(err, errBusy):
			s.give(ctx, limits, now)
			return s.challenge(r, old, d), nil
		case err != nil: // as with Create: it may be stored, for a repeat to go on with
			return nil, s.storeError(r, err, now)
		}
	}
	return s.start(ctx, r, old, nil, o)
}

// resume goes on with a step whose sender has died, or could not queue it, and
// counts it no second time. With Async it reports whether the step was ended
// while it was queued again, by who had queued it first and was told too late
// that this had failed.
func (s *Service) resume(ctx context.Context, r *store.Record, l *letter, d *delivery, now time.Time) (c *Challenge, ended bool, err error) {
	step := d.step
	c, err = s.start(ctx, r, l, nil, order{job: jobAgain(r, d, now), limits: s.counted(l, d.by)})
	if err != nil || !s.c.Async {
		return c, false, err
	}
	r, d, err = s.update(ctx, r, func(_ *store.Record, d *delivery) error {
		d.again = d.again || d.step == step && !d.submitted
		return nil
	})
	if err != nil {
		return c, false, s.storeError(r, err, now)
	}
	return c, d.step == step && d.refused(), nil
}
