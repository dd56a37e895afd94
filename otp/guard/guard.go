package guard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// A Guard holds messages to its rules. It is an [otp.Guard] and an
// [otp.Settler].
type Guard struct {
	c        Config
	own      *settings
	purposes map[string]*settings
	extra    int // messages that a verified session takes back in addition to its own
	macs     sync.Pool
	alerts   alerts
	heard    bool            // somebody gets the alerts
	noIP     atomic.Bool     // that an attempt has no IP was logged
	off      map[string]bool // rules that a test has switched off
	log      *slog.Logger
}

var (
	_ otp.Guard   = (*Guard)(nil)
	_ otp.Settler = (*Guard)(nil)
)

// key names a thing that rules count, such as a block or a country. It holds nothing
// readable.
func (g *Guard) key(kind, what string) string {
	m := g.macs.Get().(hash.Hash)
	m.Reset()
	var b [80]byte
	m.Write(append(append(append(b[:0], kind...), 0), what...))
	sum := m.Sum(b[:0])
	g.macs.Put(m)
	return "guard/" + kind + "/" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

func newMACs(index []byte) func() any {
	root := hmac.New(sha256.New, index)
	root.Write([]byte("guard 1"))
	key := root.Sum(nil)
	return func() any { return hmac.New(sha256.New, key) }
}

// price is the price of a message to a country, at least 1.
func (g *Guard) price(country string) int {
	if g.c.Price == nil {
		return 1
	}
	return max(g.c.Price(country), 1)
}

func at(a *otp.Attempt) time.Time {
	if a.At.IsZero() {
		return time.Now()
	}
	return a.At
}

// Check decides about a message by one call of the Limiter, and counts it if it
// is allowed.
func (g *Guard) Check(ctx context.Context, a otp.Attempt) (otp.Verdict, error) {
	s := g.settings(a.Purpose)
	if !a.IP.IsValid() && g.noIP.CompareAndSwap(false, true) {
		g.log.WarnContext(ctx, "otp/guard: a request has no IP, so that the network rule is off for it")
	}
	if v := g.atOnce(&a, s); v.Action != otp.Allow {
		if !s.shadow {
			return g.told(ctx, &a, v, false), nil
		}
		g.told(ctx, &a, v, true)
	}
	p := g.plan(&a, s)
	d, err := g.c.Limiter.Take(ctx, at(&a), p.limits...)
	if err != nil {
		return otp.Verdict{Action: otp.Refuse}, err
	}
	if v := g.judge(ctx, &a, p, d); v.Action != otp.Allow {
		return v, nil
	}
	g.reopened(ctx, &a, p, d)
	v := g.ask(ctx, a, s)
	if v.Action == otp.Allow {
		return v, nil
	}
	if s.shadow {
		g.told(ctx, &a, v, true)
		return otp.Verdict{}, nil
	}
	g.giveBack(ctx, &a, s)
	return g.told(ctx, &a, v, false), nil
}

// judge makes the verdict of a decision, and alerts.
func (g *Guard) judge(ctx context.Context, a *otp.Attempt, p *plan, d store.Decision) (v otp.Verdict) {
	for n, i := range d.Over {
		if i < 0 || i >= len(p.lines) {
			continue
		}
		l := p.lines[i]
		if l.rule == RuleBudget && l.key == "day" {
			g.tellBudget(ctx, a, 100)
		}
		switch {
		case l.spent > 0:
			g.tellBudget(ctx, a, l.spent)
			continue
		case l.rule == "": // a known number, counted only
			continue
		case d.Allowed: // in shadow, or a step-up that the embedder cannot ask for
			g.tell(ctx, a, Alert{Rule: l.rule, Key: l.key, Action: l.action, Shadow: true})
			continue
		}
		if l.action > v.Action {
			v = otp.Verdict{Action: l.action, Rule: l.rule, Key: l.key}
		}
		if l.action == v.Action && n < len(d.Waits) {
			v.RetryAfter = max(v.RetryAfter, d.Waits[n])
		}
	}
	switch {
	case d.Allowed:
		return otp.Verdict{}
	case v.Action == otp.Allow: // a Limiter that refuses, and does not say why
		v.Action, v.RetryAfter = otp.Refuse, max(d.RetryAfter, 0)
	}
	return g.told(ctx, a, v, false)
}

// told alerts, and returns v.
func (g *Guard) told(ctx context.Context, a *otp.Attempt, v otp.Verdict, shadow bool) otp.Verdict {
	g.tell(ctx, a, Alert{Rule: v.Rule, Key: v.Key, Action: v.Action, Shadow: shadow})
	return v
}

// Settle takes back the counts of a verified session, or of a message that
// surely was not sent.
func (g *Guard) Settle(ctx context.Context, a otp.Attempt, messages int, verified bool) {
	s := g.settings(a.Purpose)
	if !verified {
		g.giveBack(ctx, &a, s)
		return
	}
	var limits []store.Limit
	for _, r := range g.rules(&a, s) {
		if isUnverified(r.name) && !g.off[r.name] {
			l := r.counted
			l.Most, l.N = r.hard, l.Takings()*(messages+g.extra)
			limits = append(limits, l)
		}
	}
	g.give(ctx, time.Time{}, at(&a), limits)
}

// giveBack refunds the takings of the attempt's Check.
func (g *Guard) giveBack(ctx context.Context, a *otp.Attempt, s *settings) {
	var limits []store.Limit
	for _, r := range g.rules(a, s) {
		if !g.off[r.name] {
			l := r.counted
			l.Most = r.hard
			limits = append(limits, l)
		}
	}
	g.give(ctx, a.At, a.At, limits)
}

// give gives limits back. If it fails, the rules stay stricter for a while.
func (g *Guard) give(ctx context.Context, taken, now time.Time, limits []store.Limit) {
	if len(limits) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveTimeout)
	defer cancel()
	if err := g.c.Limiter.Give(ctx, taken, now, limits...); err != nil {
		g.log.WarnContext(ctx, "otp/guard: counts were not given back", "error", err)
	}
}

const giveTimeout = 3 * time.Second
