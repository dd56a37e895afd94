package smpp

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A bindBackoff keeps binds away for Config.RefusedWait after an SMSC has
// refused a bind for good. Without it, N binds with a wrong password would be N
// failures to the SMSC, which counts them. The client has one for refused
// credentials, since all its hosts know the same ones. Each host has one for a
// refused address.
type bindBackoff struct {
	until    time.Time                  // end of the backoff; until then only other credentials are tried
	ask      time.Time                  // when Config.Credentials is asked next, no later than until
	refusals []wire.Bind                // the credentials that were refused since the backoff began
	pauses   backoff.ExponentialBackOff // between calls of Config.Credentials
}

// maxRefusals is how many credentials, one after the other, are tried in one
// RefusedWait: an SMSC that counts failures blocks the address after some.
const maxRefusals = 3

// wait returns how long until the next bind, or until the credentials are asked
// for, and whether it is time to ask.
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

// backoffs returns those that the link's binds must heed.
func (l *link) backoffs() [2]*bindBackoff {
	return [...]*bindBackoff{&l.client.backoff, &l.host.backoff}
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
		wait, ask := l.backoffLeft()
		if wait == 0 && (!ask || l.rotated(ctx)) {
			return nil
		}
		h.release()
		sleep(ctx, wait)
	}
}

// backoffLeft returns how long the longer of both backoffs lasts.
func (l *link) backoffLeft() (wait time.Duration, ask bool) {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	now := time.Now()
	for _, b := range l.backoffs() {
		w, a := b.wait(now)
		wait, ask = max(wait, w), ask || a
	}
	return wait, ask
}

// rotated asks Config.Credentials, and reports whether its answer differs from
// the credentials that were refused.
func (l *link) rotated(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.client.config.BindTimeout)
	defer cancel()
	credentials, err := l.credentials(ctx)
	l.client.mu.Lock()
	now := time.Now()
	for _, b := range l.backoffs() {
		if now.Before(b.until) && !now.Before(b.ask) {
			b.ask = now.Add(b.pauses.NextBackOff())
		}
	}
	l.client.mu.Unlock()
	return err == nil && !l.barred(credentials)
}

// barred reports whether a bind with these credentials must wait.
func (l *link) barred(credentials wire.Bind) bool {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	now := time.Now()
	return l.client.backoff.bars(credentials, now) || l.host.backoff.bars(credentials, now)
}

// backOff keeps binds away after one that was refused for good, unless
// Config.Credentials soon returns others: from the host if the address was
// refused, else from all hosts.
func (l *link) backOff(credentials wire.Bind, err error) {
	config := &l.client.config
	wait := config.RefusedWait
	wait += rand.N(wait/4 + 1)
	l.client.mu.Lock()
	b := &l.client.backoff
	if errors.Is(err, StatusBindFailed) {
		b = &l.host.backoff
	}
	b.until = time.Now().Add(wait)
	b.ask = b.until
	if b.refusals = append(b.refusals, credentials); config.Credentials != nil && len(b.refusals) < maxRefusals {
		b.pauses = config.pauses()
		b.ask = time.Now().Add(b.pauses.NextBackOff())
	}
	l.client.mu.Unlock()
	l.client.log().Error("smpp: SMSC refuses the credentials or the address",
		"addr", l.host.addr, "system_id", credentials.SystemID, "error", err, "next_try", wait)
}

// endBackoff lets binds go on after an accepted one.
func (l *link) endBackoff() {
	l.client.mu.Lock()
	defer l.client.mu.Unlock()
	l.client.backoff, l.host.backoff = bindBackoff{}, bindBackoff{}
}

// pauses returns the pauses between failed connections.
func (c *Config) pauses() backoff.ExponentialBackOff {
	b := backoff.ExponentialBackOff{
		InitialInterval: c.ReconnectMin, MaxInterval: c.ReconnectMax, Multiplier: 2, RandomizationFactor: 0.5,
	}
	b.Reset()
	return b
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
