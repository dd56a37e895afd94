package smpp

import (
	"context"
	"errors"
	"time"
)

// standbyDelay is the time without a usable primary before the client binds to
// StandbyAddrs.
const standbyDelay = time.Second

var errPrimaryBound = errors.New("a bind to Config.Addr or Addrs stands again")

// primaries reports whether messages can go over Addr and Addrs, or will soon,
// because a session is being replaced. since is when the oldest standing bind
// began, or zero. c.mu is held.
func (c *Client) primaries() (up bool, since time.Time) {
	for _, l := range c.links {
		if l.standby || !l.submits() {
			continue
		}
		up = up || l.retiring || l.session != nil
		if l.session != nil && (since.IsZero() || l.since.Before(since)) {
			since = l.since
		}
	}
	return up, since
}

// awaitNeed waits until the link is needed. A standby is needed if no primary
// stands for standbyDelay.
func (l *link) awaitNeed(ctx context.Context) {
	if !l.standby {
		return
	}
	c := l.client
	var down time.Time // the time since which no primary stands
	for ctx.Err() == nil {
		c.mu.Lock()
		up, _ := c.primaries()
		changed := c.changed
		c.mu.Unlock()
		switch now := time.Now(); {
		case up:
			down = time.Time{}
			await(ctx, changed)
		case down.IsZero():
			down = now
			sleepUnless(ctx, standbyDelay, changed)
		case now.Sub(down) >= standbyDelay:
			return
		default:
			sleepUnless(ctx, standbyDelay-now.Sub(down), changed)
		}
	}
}

// watchPrimaries retires a standby's session once a primary has stood for
// Config.ReconnectMax.
func (l *link) watchPrimaries(s *session) {
	c := l.client
	for {
		c.mu.Lock()
		_, since := c.primaries()
		changed := c.changed
		c.mu.Unlock()
		wait := time.Duration(1<<63 - 1)
		if !since.IsZero() {
			if wait = c.config.ReconnectMax - time.Since(since); wait <= 0 {
				s.retire(errPrimaryBound)
				return
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-changed:
		case <-t.C:
		case <-s.retired:
		case <-s.ended:
		}
		t.Stop()
		select {
		case <-s.retired:
			return
		case <-s.ended:
			return
		default:
		}
	}
}

func await(ctx context.Context, changed <-chan struct{}) {
	select {
	case <-changed:
	case <-ctx.Done():
	}
}
