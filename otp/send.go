package otp

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp/template"
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
// message that surely never went out is not counted against the limits.
func (s *Service) Send(ctx context.Context, q Request) (*Challenge, error) {
	now := time.Now()
	if q.RequestID == "" {
		q.RequestID = randomID()
	}
	tag := s.keys.subjectTag(q.Subject)
	c, err := s.send(ctx, q, tag, now)
	var e *Error
	if errors.As(err, &e) && e.Reason != ReasonUndelivered {
		s.emit(ctx, Event{Kind: EventRefused, At: now, RequestID: loggable(q.RequestID), Subject: tag, Purpose: loggable(q.Purpose),
			To: q.To.Masked(), Reason: e.Reason, Err: err})
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
		return nil, err
	}
	if err := s.c.Store.Create(ctx, r, now); err != nil {
		s.give(ctx, limits, now)
		if errors.Is(err, store.ErrExists) { // the same key at the same time
			if c, err := s.repeated(ctx, r.ID, l, limits, now); c != nil || err != nil {
				return c, err
			}
		}
		return nil, s.storeError(r, err, now)
	}
	if s.observed(ctx) {
		s.emit(ctx, event(EventGenerated, r, l, now))
	}
	return s.start(ctx, r, l, m, job(r, 1, "send", now), limits)
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
	case len(q.IdempotencyKey) > 256:
		return nil, invalid("IdempotencyKey", "it is longer than 256 octets")
	case len(q.Binding) > maxBinding:
		return nil, invalid("Binding", "it is longer than 64 KiB")
	}
	l := &letter{to: q.To, purpose: q.Purpose, details: q.Details, route: q.Route, requestID: q.RequestID, binding: bind(q.Binding)}
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
	d := delivery{step: 1, by: "send", state: channel.Queued, sends: 1}
	if l.fixed {
		d.submitted, d.state = true, channel.Sent
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
	data := template.Data{Language: l.language, Code: code, Minutes: max(int(left/time.Minute), 1), Details: l.details}
	if s.c.ShowTry {
		data.Try = r.Sends
	}
	if s.c.ShowTime {
		data.Requested = r.Created
	}
	text, err := s.words.Render(data)
	if errors.Is(err, template.ErrLanguage) { // a wording that was there when the challenge was made
		data.Language = ""
		text, err = s.words.Render(data)
	}
	if err != nil {
		return nil, &Error{Reason: ReasonInvalid, Field: "Details", Err: err}
	}
	route := l.route
	if d.via != "" {
		route = d.via
	}
	return &channel.Message{ID: r.ID + "." + strconv.Itoa(d.step), To: l.to, Code: code, Text: text.SMS, Subject: text.Subject,
		Body: text.Body, HTML: text.HTML, Language: l.language, Sender: s.c.Wording.Brand, Purpose: l.purpose,
		Created: r.Created, Expires: r.Expires, Route: route, Tried: d.tried, Invalid: d.invalid}, nil
}

// repeated returns the challenge that an idempotency key made before, or nil if
// there is none.
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
	if d.state == channel.Failed && d.used == 0 && r.Outcome == store.Open { // nothing went out
		return s.retry(ctx, r, old, limits, now)
	}
	return s.challenge(r, old, d), nil
}

// retry delivers a challenge that no route took at first.
func (s *Service) retry(ctx context.Context, r *store.Record, l *letter, limits []store.Limit, now time.Time) (*Challenge, error) {
	if err := s.take(ctx, limits, now); err != nil {
		return nil, err
	}
	r, d, err := s.update(ctx, r, func(_ *store.Record, d *delivery) error { d.tried = nil; return nil })
	if err != nil {
		return nil, s.storeError(r, err, now)
	}
	return s.start(ctx, r, l, nil, job(r, d.step+1, "retry"+randomID(), now), limits)
}

// A ResendRequest asks for another message of a challenge.
type ResendRequest struct {
	ID        string     // the challenge's
	Route     string     // only this route from now on: "send it by e-mail instead". Default: as before
	IP        netip.Addr // who asks, for Policy.PerIP
	RequestID string     // marks a refusal's event. Default: the challenge's
}

// Resend sends the challenge's code once more, in a message of its own that
// tells the minutes left. Life is not extended: with under a minute left the
// challenge counts as expired. It begins again with the first route.
func (s *Service) Resend(ctx context.Context, q ResendRequest) (*Challenge, error) {
	now := time.Now()
	if !printable(q.Route) || !printable(q.RequestID) {
		return nil, invalid("Route", "it and RequestID must be at most 64 printable ASCII characters")
	}
	r, l, err := s.read(ctx, q.ID, now)
	if err == nil {
		var c *Challenge
		if c, err = s.resend(ctx, q, r, l, now); err == nil || ReasonOf(err) == ReasonUndelivered {
			return c, err
		}
	}
	e := Event{Kind: EventRefused, At: now}
	if l != nil {
		e = event(EventRefused, r, l, now)
	}
	if q.RequestID != "" {
		e.RequestID = q.RequestID
	}
	e.Reason, e.Err = ReasonOf(err), err
	s.emit(ctx, e)
	return nil, err
}

func (s *Service) resend(ctx context.Context, q ResendRequest, r *store.Record, l *letter, now time.Time) (*Challenge, error) {
	if err := s.mayResend(r, l, now); err != nil {
		return nil, err
	}
	limits := s.limits(l, q.IP)
	if err := s.take(ctx, limits, now); err != nil {
		return nil, err
	}
	claimed, err := s.c.Store.Resend(ctx, r.ID, now)
	if err != nil {
		s.give(ctx, limits, now)
		return nil, s.resendError(claimed, l, err, now)
	}
	d, err := decodeDelivery(claimed.Delivery)
	if err != nil {
		return nil, s.storeError(claimed, err, now)
	}
	if l.fixed {
		return s.challenge(claimed, l, d), nil
	}
	if q.Route != "" && q.Route != d.via {
		claimed, d, err = s.update(ctx, claimed, func(_ *store.Record, d *delivery) error { d.via = q.Route; return nil })
		if err != nil {
			return nil, s.storeError(claimed, err, now)
		}
	}
	return s.start(ctx, claimed, l, nil, job(claimed, d.step+1, "resend"+strconv.Itoa(claimed.Sends), now), limits)
}

// mayResend refuses what the store would refuse, before a limit is touched,
// and what has too little life left.
func (s *Service) mayResend(r *store.Record, l *letter, now time.Time) error {
	switch {
	case r.Outcome != store.Open:
		return s.storeError(r, store.ErrClosed, now)
	case r.LockedUntil.After(now):
		return s.storeError(r, store.ErrLocked, now)
	case r.Expires.Sub(now) < resendMargin:
		return s.storeError(r, store.ErrExpired, now)
	case r.Sends > len(r.Waits):
		return s.resendError(r, l, store.ErrExhausted, now)
	case now.Before(r.NextSend):
		return s.storeError(r, store.ErrTooSoon, now)
	}
	return nil
}

// resendError says what else a person can do once sends are used up.
func (s *Service) resendError(r *store.Record, l *letter, err error, now time.Time) *Error {
	if !errors.Is(err, store.ErrExhausted) {
		return s.storeError(r, err, now)
	}
	e := &Error{Reason: ReasonSends, Left: l.to.Kinds(), Support: s.c.Support, Err: err}
	if d, err := decodeDelivery(r.Delivery); err == nil {
		e.Left &^= d.used | d.invalid
	}
	return e
}

// limits lists what a message to l's addresses, asked for by ip, counts
// against.
func (s *Service) limits(l *letter, ip netip.Addr) []store.Limit {
	var limits []store.Limit
	add := func(rates []Rate, scope, what string) {
		for _, r := range rates {
			limits = append(limits, store.Limit{Key: s.keys.limitKey(scope, what, r.Per), Most: r.Most, Per: r.Per})
		}
	}
	for _, a := range [...][2]string{{"phone", l.to.Phone}, {"email", strings.ToLower(l.to.Email)}, {"push", l.to.Push}} {
		if a[1] != "" && !l.fixed { // a reviewer is sent nothing
			add(s.c.Policy.PerRecipient, a[0], a[1])
		}
	}
	if ip.IsValid() {
		ip = ip.Unmap().WithZone("")
		if ip.Is6() { // a person has a /64
			ip = netip.PrefixFrom(ip, 64).Masked().Addr()
		}
		add(s.c.Policy.PerIP, "ip", ip.String())
	}
	return limits
}

func (s *Service) take(ctx context.Context, limits []store.Limit, now time.Time) error {
	if len(limits) == 0 {
		return nil
	}
	d, err := s.c.Limiter.Take(ctx, now, limits...)
	if err != nil {
		return s.storeError(nil, err, now)
	}
	if !d.Allowed {
		return &Error{Reason: ReasonLimited, RetryAfter: d.RetryAfter}
	}
	return nil
}

// give returns what take took. That it may fail only means that a limit stays
// stricter for a while.
func (s *Service) give(ctx context.Context, limits []store.Limit, now time.Time) {
	if len(limits) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if err := s.c.Limiter.Give(ctx, now, limits...); err != nil {
		s.log.WarnContext(ctx, "otp: limits not given back", "error", err)
	}
}
