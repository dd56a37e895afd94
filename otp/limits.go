package otp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp/internal/delivery"
	"github.com/otpcourier/otpcourier/store"
)

// errLimited is the error of a hop whose address has had its share.
var errLimited = errors.New("otp: the limit of this address is used up")

// limits returns the limits of a message to the addresses of kinds and, if ip is valid, of
// the request from ip.
func (s *Service) limits(q *sealedRequest, p *Policy, kinds channel.Address, ip netip.Addr) []store.Limit {
	limits := make([]store.Limit, 0, 4)
	add := func(rates []Rate, scope, what string) {
		if len(rates) == 0 {
			return
		}
		key := s.keys.limitsKey(q.tenant, scope, what)
		for _, r := range rates {
			limits = append(limits, store.Limit{Key: key + r.Per.String(), Most: r.Most, Per: r.Per})
		}
	}
	to, owner := wireForm(q.to), ""
	if q.known {
		owner = "/known"
	}
	for _, kind := range [...]channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat} {
		if address := to.Of(kind); kinds&kind != 0 && address != "" && !q.fixed { // a reviewer is sent nothing
			add(p.PerRecipient, kind.String()+owner, address)
		}
	}
	if ip.IsValid() {
		ip = ip.Unmap().WithZone("")
		if ip.Is6() { // a person has a /64
			ip = netip.PrefixFrom(ip, 64).Masked().Addr()
		}
		add(p.PerIP, "ip", ip.String())
	}
	return limits
}

// charge asks the Guard, and takes from limits at now, for a message and its request. It
// returns the charge, with errDropped if the Guard drops the message. If the caller has
// gone meanwhile, the charge is given back.
func (s *Service) charge(ctx context.Context, q *sealedRequest, p *Policy, kinds channel.Address, ip netip.Addr,
	now time.Time, ask asking) (delivery.Charge, error) {
	verdict := s.consult(ctx, q, kinds, now, ask)
	if verdict != nil && !errors.Is(verdict, errDropped) {
		return delivery.Charge{}, verdict
	}
	c, err := s.take(ctx, q, p, kinds, ip, now)
	if err != nil {
		if verdict == nil {
			s.unsent(ctx, q, delivery.Charge{At: now, Kinds: kinds, Network: ask.ip.IsValid()})
		}
		return c, err
	}
	return c, verdict
}

// take takes from limits, for charge.
func (s *Service) take(ctx context.Context, q *sealedRequest, p *Policy, kinds channel.Address, ip netip.Addr,
	now time.Time) (delivery.Charge, error) {
	limits := s.limits(q, p, kinds, ip)
	c := delivery.Charge{At: now, Kinds: kinds, Network: ip.IsValid()}
	if ctx.Err() != nil || len(limits) == 0 {
		return c, gone(ctx)
	}
	taking, cancel := taking(ctx)
	defer cancel()
	d, err := s.c.Limiter.Take(taking, now, limits...)
	switch {
	case err != nil:
		if !isAnswer(err) { // it may have been done
			s.giveWithin(ctx, time.Second, limits, now)
		}
		return c, s.storeError(nil, err, now)
	case !d.Allowed:
		return c, limited(q, kinds, d)
	case ctx.Err() != nil:
		s.give(ctx, limits, now)
	}
	return c, gone(ctx)
}

// taking is the context of a call that takes from limits: it ends, if it has to be, after
// its caller has gone, and does not keep a caller without time waiting.
func taking(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(afterwards)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	return withTerm(context.WithoutCancel(ctx), until)
}

// limited is the error of a message that a limit refused.
func limited(q *sealedRequest, kinds channel.Address, d store.Decision) error {
	return &Error{Reason: ReasonLimited, RetryAfter: d.RetryAfter, Alternatives: q.to.Kinds() &^ kinds}
}

// gone is the error of a caller that does not wait any more.
func gone(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return &Error{Reason: ReasonUnavailable, Err: context.Cause(ctx)}
}

// refund gives charges of o back.
func (s *Service) refund(ctx context.Context, o *opened, charges ...delivery.Charge) {
	for _, c := range charges {
		s.give(ctx, s.limitsOf(o, c), c.At)
		s.unsent(ctx, o.req, c)
	}
}

// limitsOf lists the limits that a charge of o was taken from.
func (s *Service) limitsOf(o *opened, c delivery.Charge) []store.Limit {
	ip := netip.Addr{}
	if c.Network {
		ip = o.req.ip
	}
	return s.limits(o.req, o.policy, c.Kinds, ip)
}

// give returns limits taken at taken, except those whose window has passed; the
// latest takings, if taken is zero. If it fails, a limit stays stricter for a
// while.
func (s *Service) give(ctx context.Context, limits []store.Limit, taken time.Time) {
	s.giveWithin(ctx, afterwards, limits, taken)
}

func (s *Service) giveWithin(ctx context.Context, d time.Duration, limits []store.Limit, taken time.Time) {
	now := instant()
	limits = slices.DeleteFunc(slices.Clone(limits), func(l store.Limit) bool {
		return !taken.IsZero() && now.Sub(taken) >= l.Per
	})
	if len(limits) == 0 {
		return
	}
	ctx, cancel := withTerm(context.WithoutCancel(ctx), time.Now().Add(d))
	defer cancel()
	err := again(ctx, func() error { return s.c.Limiter.Give(ctx, taken, now, limits...) })
	if err != nil {
		s.log.WarnContext(ctx, "otp: limits were not refunded", "error", err)
	}
}

// firstKind returns the kind of address of the first route that can take the message. If
// the routes are not known, it returns every kind that the recipient has.
func firstKind(ctx context.Context, t *tenant, m *channel.Message) channel.Address {
	if p, ok := channel.As[channel.Planner](t.channel); ok {
		routes, err := p.Plan(ctx, m)
		if err != nil || len(routes) == 0 {
			return 0
		}
		return routes[0].Address & m.To.Kinds()
	}
	return served(t, m.To, m.Route)
}

// served returns the kinds of the recipient's addresses that a route serves, or that the
// route of that name serves. If the routes are not known, it returns every kind.
func served(t *tenant, to channel.Recipient, route string) channel.Address {
	routes := t.routes()
	if routes == nil {
		return to.Kinds()
	}
	var needed channel.Address
	for _, r := range routes {
		if route == "" || r.Name == route {
			needed |= r.Address
		}
	}
	return to.Kinds() & needed
}
