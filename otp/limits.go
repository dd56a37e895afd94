package otp

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

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

// counted lists what a step that someone else began was counted against, as
// far as that is known.
func (s *Service) counted(l *letter, by string) []store.Limit {
	switch by {
	case bySend:
		return s.limits(l, l.ip)
	case byFailed, bySilence: // nobody asked for it
		return nil
	}
	return s.limits(l, netip.Addr{})
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

// give returns what take took then, to the limits by which it counts yet: to
// others it would give what is another's. That it may fail only means that a
// limit stays stricter for a while.
func (s *Service) give(ctx context.Context, limits []store.Limit, taken time.Time) {
	now := time.Now()
	limits = slices.DeleteFunc(slices.Clone(limits), func(l store.Limit) bool { return now.Sub(taken) >= l.Per })
	if len(limits) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()
	if err := s.c.Limiter.Give(ctx, now, limits...); err != nil {
		s.log.WarnContext(ctx, "otp: limits not given back", "error", err)
	}
}
