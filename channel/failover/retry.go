package failover

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

const defaultBackoff = 200 * time.Millisecond

// pause returns how long to wait before the route is tried again, and false
// where it is not: because of the failure's class, because the provider wants
// a longer pause than is allowed, or because the pause would not end in time.
func (w *walk) pause(r *channel.Route, a channel.Attempt, tries int) (time.Duration, bool) {
	if a.Class != channel.Temporary && a.Class != channel.Throttled || errors.Is(a.Err, ErrBreakerOpen) {
		return 0, false
	}
	asked := retryAfter(a.Err)
	if asked > w.c.maxPause {
		return 0, false
	}
	d := max(backoff(r.Retry.Backoff, w.c.maxPause, tries), jittered(asked, asked, asked/4))
	d = min(d, w.c.maxPause)
	if !w.until.IsZero() && !time.Now().Add(d).Before(w.until) {
		return 0, false
	}
	return d, true
}

// backoff returns the pause after so many tries: base, doubled after each but
// the first, at most limit, and then anything from half to one and a half of
// that, so that messages refused together do not come back together.
func backoff(base, limit time.Duration, tries int) time.Duration {
	if base <= 0 {
		base = defaultBackoff
	}
	for range tries - 1 {
		if base >= limit {
			break
		}
		base *= 2
	}
	base = min(base, limit)
	return min(jittered(base, base/2, base), limit)
}

// jittered returns from, or up to spread more, unless it is zero.
func jittered(d, from, spread time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return from + rand.N(spread+1)
}

func retryAfter(err error) time.Duration {
	var e *channel.Error
	if errors.As(err, &e) && e != nil {
		return e.RetryAfter
	}
	return 0
}

// sleep reports whether ctx lived for d.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
