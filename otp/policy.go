package otp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Policy bounds how long codes live, and how often they may be requested and guessed.
// New refuses values out of range. A zero field has the default; in the Policy of a
// tenant or a purpose, it has the value of Config.Policy.
type Policy struct {
	// Life is the time from Send in which a code can be verified; a Resend does not
	// extend it. 1 to 30 minutes (NIST SP 800-63B-4 allows 10), or up to 24 hours
	// for codes of 64 bits or more, such as in the link of an e-mail. Default 5
	// minutes.
	Life time.Duration

	// MaxAttempts is the number of codes that are compared for one challenge, 1 to
	// 10. Default 5.
	MaxAttempts int

	// Waits are the pauses before the second send, the third and so on: a
	// challenge has len(Waits)+1 sends. At most 9, each of 1 s to Life. Once a
	// message was reported delivered, at most two more sends follow. Default 30 s
	// twice. Empty and not nil: one send.
	Waits []time.Duration

	// SentWait is the least pause before a Resend while no receipt for the latest
	// message has come, since busy networks are slow. At most Life. Default 40 s
	// with the default Waits, else none.
	SentWait time.Duration

	// Resend is the first route of a Resend that names no route. Default NextRoute.
	Resend ResendRoute

	// MaxFailures consecutive failures of a subject, over all its challenges, lock
	// the subject for Lock. 1 to 100 (NIST SP 800-63B-4 §3.2.2), default 10. Lock
	// is a minute to a day, default 30 minutes.
	MaxFailures int
	Lock        time.Duration

	// MaxRun consecutive failures of a subject lock the subject for RunLife (NIST
	// SP 800-63B-4 §3.2.2). A lock by MaxFailures does not end this count; a
	// verification does. [Service.Unlock] ends the lock once the person was
	// identified in another way. A fifth of MaxRun is for requests that are Known,
	// the rest for all others. The failures are kept for RunLife after the latest.
	// 10 to 100, default 100; negative: no such lock. RunLife is 1 to 90 days,
	// default 30 days.
	MaxRun  int
	RunLife time.Duration

	// NewCode gives each send its own code. All codes of a challenge stay valid and
	// share its MaxAttempts. Default: each send carries the same code.
	NewCode bool

	// PerRecipient limits the messages to one address, including the messages of a
	// failover. Requests that are Known have the same allowance once more.
	// Default: 5 in 10 minutes and 10 a day. Empty and not nil: no limit.
	PerRecipient []Rate

	// PerIP limits the requests from one IPv4 address or IPv6 /64, if Request.IP is
	// set. If a challenge is verified, its requests are given back. Default: 10 an
	// hour; with Config.Guard, none. Empty and not nil: no limit.
	PerIP []Rate
}

// ResendRoute is the rule for the first route of a [Service.Resend].
type ResendRoute uint8

// The routes of a resend.
const (
	// NextRoute begins with the first route that was not tried before. A route that was
	// tried comes behind the others, unless its latest message was reported delivered:
	// then the person should look for the message that arrived.
	NextRoute ResendRoute = iota + 1

	// SameRoute begins with the first route, like Send.
	SameRoute
)

// A Rate allows at most Most events in any span of the length Per: in a sliding window,
// not in calendar hours.
type Rate struct {
	Most int           // 1 or more
	Per  time.Duration // 1 s to 31 days
}

const (
	// resendMargin is the least life that a code must have left to be sent
	// again.
	resendMargin = time.Minute

	// longLife is the life above which a code needs strongBits, for it can be
	// guessed at for longer (NIST SP 800-63B-4 §3.1.3.2).
	longLife   = 30 * time.Minute
	maxLife    = 24 * time.Hour
	strongBits = 64
)

// over returns p with its zero fields taken from base.
func (p Policy) over(base Policy) Policy {
	if p.Waits == nil {
		p.Waits, p.SentWait = base.Waits, cmp.Or(p.SentWait, base.SentWait)
	}
	if p.PerRecipient == nil {
		p.PerRecipient = base.PerRecipient
	}
	if p.PerIP == nil {
		p.PerIP = base.PerIP
	}
	p.Life, p.MaxAttempts = cmp.Or(p.Life, base.Life), cmp.Or(p.MaxAttempts, base.MaxAttempts)
	p.MaxFailures, p.Lock = cmp.Or(p.MaxFailures, base.MaxFailures), cmp.Or(p.Lock, base.Lock)
	p.MaxRun, p.RunLife = cmp.Or(p.MaxRun, base.MaxRun), cmp.Or(p.RunLife, base.RunLife)
	p.NewCode, p.Resend = p.NewCode || base.NewCode, cmp.Or(p.Resend, base.Resend)
	return p
}

// defaultPolicy keeps to the numbers of NIST SP 800-63B-4 and PCI DSS 8.3.4: see
// TestDefaultsFit.
var defaultPolicy = Policy{
	Life: 5 * time.Minute, MaxAttempts: 5, Waits: []time.Duration{30 * time.Second, 30 * time.Second},
	SentWait: 40 * time.Second, Resend: NextRoute, MaxFailures: 10, Lock: 30 * time.Minute, MaxRun: 100,
	RunLife:      30 * 24 * time.Hour,
	PerRecipient: []Rate{{5, 10 * time.Minute}, {10, 24 * time.Hour}}, PerIP: []Rate{{10, time.Hour}},
}

// run returns how many failures in a row lock a subject for RunLife. Strangers and
// known devices have runs of their own, which together have MaxRun.
func (p *Policy) run(known bool) int {
	switch {
	case p.MaxRun < 0:
		return 0
	case known:
		return p.MaxRun / 5
	}
	return p.MaxRun - p.MaxRun/5
}

// validate returns an error whose text begins with at, "otp: Config.Policy.".
func (p Policy) validate(at string, bits float64) error {
	most := longLife
	if bits >= strongBits {
		most = maxLife
	}
	switch {
	case p.Life < time.Minute || p.Life > maxLife:
		return fmt.Errorf("%sLife: %v is not within 1 minute and 24 hours", at, p.Life)
	case p.Life > most:
		return fmt.Errorf("%sLife: %v is over 30 minutes, for which a code needs %d bits: it has %.0f. "+
			"Use Random{Length: 22} with letters and digits", at, p.Life, strongBits, bits)
	case p.MaxAttempts < 1 || p.MaxAttempts > 10:
		return fmt.Errorf("%sMaxAttempts: %d is not within 1..10", at, p.MaxAttempts)
	case len(p.Waits) > 9:
		return fmt.Errorf("%sWaits: %d pauses are more than 9", at, len(p.Waits))
	case p.SentWait < 0 || p.SentWait > p.Life:
		return fmt.Errorf("%sSentWait: %v is not within 0 and Life", at, p.SentWait)
	case p.Resend > SameRoute:
		return fmt.Errorf("%sResend: %d is neither NextRoute nor SameRoute", at, p.Resend)
	case p.MaxFailures < 1 || p.MaxFailures > 100:
		return fmt.Errorf("%sMaxFailures: %d is not within 1..100", at, p.MaxFailures)
	case p.Lock < time.Minute || p.Lock > 24*time.Hour:
		return fmt.Errorf("%sLock: %v is not within a minute and a day", at, p.Lock)
	case p.MaxRun >= 0 && (p.MaxRun < 10 || p.MaxRun > 100):
		return fmt.Errorf("%sMaxRun: %d is not within 10..100", at, p.MaxRun)
	case p.RunLife < 24*time.Hour || p.RunLife > 90*24*time.Hour:
		return fmt.Errorf("%sRunLife: %v is not within a day and 90 days", at, p.RunLife)
	}
	for _, w := range p.Waits {
		if w < time.Second || w > p.Life {
			return fmt.Errorf("%sWaits: %v is not within a second and Life", at, w)
		}
	}
	if len(p.Waits) > 0 && p.Life-max(p.Waits[0], p.SentWait) < resendMargin {
		return fmt.Errorf(
			"%sLife: %v leaves no time for a Resend, which needs %v after the first of Waits and SentWait. "+
				"Set Waits to []time.Duration{} for none", at, p.Life, resendMargin)
	}
	for _, r := range append(p.PerRecipient[:len(p.PerRecipient):len(p.PerRecipient)], p.PerIP...) {
		if r.Most < 1 || r.Per < time.Second || r.Per > 31*24*time.Hour {
			return errors.New(at +
				"PerRecipient or PerIP: a Rate needs a Most of 1 or more, and a Per of a second to 31 days")
		}
	}
	for field, rates := range map[string][]Rate{"PerRecipient": p.PerRecipient, "PerIP": p.PerIP} {
		for i, r := range rates {
			if slices.ContainsFunc(rates[:i], func(other Rate) bool { return other.Per == r.Per }) {
				return fmt.Errorf("%s%s: two rates have a Per of %v: keep the one with the lower Most", at, field,
					r.Per)
			}
		}
	}
	return nil
}
