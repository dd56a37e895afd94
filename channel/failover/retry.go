package failover

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

const defaultBackoff = 200 * time.Millisecond

// maxTries returns how many tries the route has after such a failure. If a
// provider throttles and says for how long, it is tried again even without a
// Retry.
func maxTries(r *channel.Route, a channel.Hop) int {
	if a.Class == channel.Throttled && retryAfter(a.Err) > 0 {
		return max(r.Retry.Attempts, 2)
	}
	return r.Retry.Attempts
}

// pause returns how long to wait before route i is tried again. It returns false
// if the route is not tried again: because of the failure's class, because the
// provider asks for a longer pause than is allowed, or because the pause would not
// end in time.
func (d *dispatch) pause(i int, a channel.Hop, tries int) (time.Duration, bool) {
	if a.Class != channel.Temporary && a.Class != channel.Throttled || errors.Is(a.Err, ErrBreakerOpen) {
		return 0, false
	}
	limit, room := d.c.maxPause, time.Duration(math.MaxInt64)
	if !d.until.IsZero() {
		room = time.Until(d.until)
		if a.Class == channel.Throttled && !d.follows(i) {
			limit = max(limit, room) // no other route is left
		}
	}
	asked := retryAfter(a.Err)
	if asked > limit || asked >= room {
		return 0, false
	}
	// The jitter leaves time for the try.
	own := backoff(d.routes[i].Retry.Backoff, d.c.maxPause, tries)
	pause := min(max(own, jittered(asked, asked, min(asked/4, (room-asked)/2))), limit)
	return pause, pause < room
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
