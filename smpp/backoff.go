package smpp

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A bindBackoff keeps the binds to a host away for Config.RefusedWait after the
// SMSC has refused credentials that it never accepted. Without it, a wrong
// password on N binds would be N failures, which the SMSC counts.
type bindBackoff struct {
	until    time.Time                  // end of the backoff; until then only other credentials may be tried
	ask      time.Time                  // next call of Config.Credentials, no later than until
	refusals []wire.Bind                // the credentials refused since the backoff began
	pauses   backoff.ExponentialBackOff // between calls of Config.Credentials
}

// maxRefusals is the largest number of credentials to try in one RefusedWait: an
// SMSC that counts failures blocks the address after some.
const maxRefusals = 3

// wait returns the time until the next bind, or until the next call of
// Config.Credentials, and whether that call is due.
func (b *bindBackoff) wait(now time.Time) (wait time.Duration, ask bool) {
	if !now.Before(b.until) {
		b.refusals = nil
		return 0, false
	}
	return max(min(b.until.Sub(now), b.ask.Sub(now)), 0), !now.Before(b.ask)
}

// bars reports whether a bind with these credentials must wait.
func (b *bindBackoff) bars(credentials wire.Bind, now time.Time) bool {
	return now.Before(b.until) && (len(b.refusals) >= maxRefusals || slices.Contains(b.refusals, credentials))
}

// A retryBackoff spaces the binds to a host after a refusal of credentials that
// the SMSC has accepted before. The SMSC may be starting up, another process may
// still hold the account, or the SMSC may allow fewer binds. The backoff delays
// only links whose own bind was refused.
type retryBackoff struct {
	until   time.Time // end of the pause
	surplus bool      // the pauses belong to a surplus bind
	pauses  *backoff.ExponentialBackOff
}

// While no bind to the host stands, the first pause must be shorter than a Send
// waits for a bind, and the pauses stay below a third of RefusedWait. If another
// bind stands, the pauses are longer: an SMSC that counts refused binds as
// failures must not block the address.
const (
	firstRetry   = 4 * time.Second
	firstSurplus = 10 * time.Second
)

// extend begins the next pause, unless a pause is running. fresh says that the
// refused bind was the first after a session.
func (b *retryBackoff) extend(now time.Time, c *Config, surplus, fresh bool) {
	if b.pauses == nil || b.surplus != surplus || fresh && !surplus {
		b.until, b.surplus, b.pauses = time.Time{}, surplus, newRetryPauses(c.RefusedWait, surplus)
	}
	if !now.Before(b.until) {
		b.until = now.Add(b.pauses.NextBackOff())
	}
}

func newRetryPauses(refusedWait time.Duration, surplus bool) *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval: firstRetry, MaxInterval: refusedWait / 3, Multiplier: 1.5, RandomizationFactor: 0.2,
	}
	if surplus {
		b.InitialInterval, b.MaxInterval, b.Multiplier = firstSurplus, refusedWait*5/4, 4
	}
	b.MaxInterval = max(b.MaxInterval, 1)
	b.InitialInterval = min(b.InitialInterval, b.MaxInterval)
	b.Reset()
	return b
}

// awaitTurn waits until a bind may be tried, and takes the host's semaphore. If
// the error is nil, the caller must release the host.
func (l *link) awaitTurn(ctx context.Context) error {
	h := l.host
	for {
		select {
		case h.semaphore <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		wait, ask, changed := l.backoffLeft()
		if wait == 0 && (!ask || l.rotated(ctx)) {
			return nil
		}
		h.release()
		sleepUnless(ctx, wait, changed)
	}
}

// backoffLeft returns the rest of the longer of the host's backoffs. The backoff
// may end earlier; changed is closed then.
func (l *link) backoffLeft() (wait time.Duration, ask bool, changed <-chan struct{}) {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	now := time.Now()
	wait, ask = l.host.backoff.wait(now)
	if l.refused {
		wait = max(wait, l.host.retry.until.Sub(now))
	}
	return wait, ask, l.client.changed
}

// rotated calls Config.Credentials, and reports whether its result differs from
// the refused credentials.
func (l *link) rotated(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.client.config.BindTimeout)
	defer cancel()
	credentials, err := l.credentials(ctx)
	l.client.mu.Lock()
	now := time.Now()
	if b := &l.host.backoff; now.Before(b.until) && !now.Before(b.ask) {
		b.ask = now.Add(b.pauses.NextBackOff())
	}
	l.client.mu.Unlock()
	return err == nil && !l.barred(credentials)
}

// barred reports whether a bind with these credentials must wait.
func (l *link) barred(credentials wire.Bind) bool {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	return l.host.backoff.bars(credentials, time.Now())
}

// accepted notes that the SMSC accepted a bind with these credentials. Hosts that
// refused them before are tried again soon.
func (l *link) accepted(credentials wire.Bind) {
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = credentials
	if l.refused { // the host has room for this bind, so perhaps for the next, too
		l.refused, l.host.retry = false, retryBackoff{}
	}
	l.host.backoff = bindBackoff{}
	for _, other := range c.links {
		if h := other.host; slices.Contains(h.backoff.refusals, credentials) {
			h.backoff, h.refused = bindBackoff{}, nil
			h.retry.extend(time.Now(), &c.config, c.stands(h), true)
		}
	}
	c.announce()
}

// refuse derives the consequence of a refused bind. The host keeps the long
// backoff only if the refusal blames the credentials or the address, and the SMSC
// never accepted them.
func (l *link) refuse(credentials wire.Bind, e *channel.Error, status Status) {
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	e.Class = c.config.bindClass(status)
	switch {
	case !c.config.blames(status):
		l.refusal, l.refused = RefusedForNow, false
	case c.accepted == credentials:
		l.host.retry.extend(now, &c.config, c.stands(l.host), !l.refused)
		l.refusal, l.refused, e.Class = RefusedAccepted, true, channel.Temporary
		c.log().Warn("smpp: SMSC refuses a bind with credentials that it has accepted before",
			"addr", l.host.addr, "as", bindName(l.kind), "error", e, "next_try", l.host.retry.until.Sub(now))
	default:
		l.refusal, l.refused = RefusedCredentials, true
		l.backOff(credentials, now)
		c.log().Error("smpp: SMSC refuses the credentials or the address", "addr", l.host.addr,
			"as", bindName(l.kind), "system_id", credentials.SystemID, "error", e,
			"next_try", l.host.backoff.until.Sub(now))
	}
}

// stands reports whether a bind to the host stands. c.mu is held.
func (c *Client) stands(h *host) bool {
	return slices.ContainsFunc(c.links, func(l *link) bool { return l.host == h && l.session != nil })
}

// backOff keeps binds away from the host after it refused new credentials, unless
// Config.Credentials soon returns others. c.mu is held.
func (l *link) backOff(credentials wire.Bind, now time.Time) {
	config := &l.client.config
	wait := config.RefusedWait
	wait += rand.N(wait/4 + 1)
	b := &l.host.backoff
	b.until = now.Add(wait)
	b.ask = b.until
	if b.refusals = append(b.refusals, credentials); config.Credentials != nil && len(b.refusals) < maxRefusals {
		b.pauses = config.pauses()
		b.ask = now.Add(b.pauses.NextBackOff())
	}
}

// bindClass returns the class of a refused bind with the status.
func (c *Config) bindClass(s Status) channel.Class {
	if class, ok := c.Classes[s]; ok {
		return class
	}
	if class := s.Class(); class != channel.Unknown {
		return class
	}
	return channel.Temporary // no message was sent
}

// blames reports whether the status blames the credentials or the address.
// Config.Classes takes precedence.
func (c *Config) blames(s Status) bool {
	if class, ok := c.Classes[s]; ok {
		return class == channel.Misconfigured
	}
	return s.refusesBind()
}

// pauses returns the pauses between failed connections.
func (c *Config) pauses() backoff.ExponentialBackOff {
	b := backoff.ExponentialBackOff{
		InitialInterval: c.ReconnectMin, MaxInterval: c.ReconnectMax, Multiplier: 2, RandomizationFactor: 0.5,
	}
	b.Reset()
	return b
}

// sleepUnless is sleep, but ends when changed is closed.
func sleepUnless(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-changed:
	case <-ctx.Done():
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
