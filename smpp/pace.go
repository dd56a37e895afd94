package smpp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	xrate "golang.org/x/time/rate"

	"github.com/otpcourier/otpcourier/channel"
)

const (
	throttledFactor = 0.5 // share of the rate left after ESME_RTHROTTLED or ESME_RMSGQFUL
	congestedFactor = 0.9 // share of the rate left after a congestion_state of 80 or more

	congested     = 80  // congestion_state of an SMSC that wants no more messages (SMPP 5.0, section 4.8.4.18)
	fullCongested = 100 // congestion_state of an SMSC at its limit

	recovery = 20 // seconds in which the rate rises by pacer.normal
	minRate  = 1  // the smallest rate, in submit_sm per second
)

// A pacer limits the rate of a client. The ceiling is Config.TPS. Below it the
// rate follows the SMSC by additive increase and multiplicative decrease: it falls
// by a factor when the SMSC is overloaded, and rises steadily afterwards.
//
// Without Config.TPS there is no limit until the SMSC is overloaded for the first
// time. The limit then begins at the rate of the last second. When it has risen to
// twice that rate, it ends.
type pacer struct {
	ceiling   float64         // Config.TPS; 0: none
	slowed    func(float64)   // called with the new rate after every decrease
	limits    atomic.Bool     // there is a limit
	closed    context.Context // ends with the client
	semaphore chan struct{}   // held by the message that waits for the limiter, so that the others notice a change

	limiter *xrate.Limiter // unused while limits is false

	mu     sync.Mutex
	limit  float64   // submit_sm per second; valid while limits is true
	normal float64   // limit before its first fall
	fell   time.Time // when limit last fell
	rose   time.Time // when limit last rose

	second   time.Time // when the present second began
	accepted int       // messages that the SMSC accepted in it
	before   float64   // messages that the SMSC accepted in the second before
}

func newPacer(closed context.Context, tps int, slowed func(rate float64)) *pacer {
	p := &pacer{
		closed: closed, ceiling: float64(tps), slowed: slowed, semaphore: make(chan struct{}, 1),
		limiter: xrate.NewLimiter(xrate.Inf, 1),
	}
	if tps > 0 {
		p.normal = p.ceiling
		p.set(time.Now(), p.ceiling)
	}
	return p
}

// wait returns when r may be sent. A message that expires meanwhile does not use
// the rate.
func (p *pacer) wait(ctx context.Context, r request) error {
	if !p.limits.Load() {
		return nil
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(p.closed, func() { end(ErrClosed) })()
	if until, cause := r.end(); !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, until, cause)
		defer cancel()
	}
	select {
	case p.semaphore <- struct{}{}:
	case <-ctx.Done():
		return paceError(ctx, ctx.Err())
	}
	defer func() { <-p.semaphore }()
	for range r.cost {
		p.rise(time.Now())
		if err := p.limiter.Wait(ctx); err != nil {
			return paceError(ctx, err)
		}
	}
	return nil
}

func paceError(ctx context.Context, err error) error {
	class := channel.Throttled
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrClosed):
		class, err = channel.Temporary, cause
	case errors.Is(cause, errExpired):
		class, err = channel.Expired, cause
	}
	return submitError(class, fmt.Errorf("waiting for the rate limit: %w", err))
}

// set changes the limit. A burst may hold the messages of a hundredth of a second.
// The burst is subtracted from the rate, so that no second has more than limit
// messages. p.mu is held, or p is not in use yet.
func (p *pacer) set(now time.Time, limit float64) {
	burst := max(1, int(limit/100))
	p.limiter.SetLimitAt(now, xrate.Limit(limit-float64(burst-1)))
	p.limiter.SetBurstAt(now, burst)
	p.limit = limit
	p.limits.Store(true)
}

// rise raises the rate for the time since the last rise.
func (p *pacer) rise(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.limits.Load() || p.ceiling > 0 && p.limit >= p.ceiling {
		return
	}
	limit := p.limit + now.Sub(p.rose).Seconds()*max(p.normal/recovery, minRate)
	p.rose = now
	switch {
	case p.ceiling > 0:
		p.set(now, min(limit, p.ceiling))
	case limit < 2*p.normal:
		p.set(now, limit)
	default:
		p.limits.Store(false)
		p.limiter.SetLimitAt(now, xrate.Inf)
	}
}

// note adapts the rate to the answer to a message, and to its congestion_state.
func (p *pacer) note(now time.Time, o outcome, congestion uint8) {
	switch {
	case o.err != nil && o.err.Class == channel.Throttled, congestion >= fullCongested:
		p.fall(now, throttledFactor)
	case congestion >= congested:
		p.fall(now, congestedFactor)
	}
	if o.err == nil {
		p.count(now)
	}
}

// count counts the messages that the SMSC accepts in a second.
func (p *pacer) count(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nextSecond(now)
	p.accepted++
}

// nextSecond lets a new second begin if the last one is over.
func (p *pacer) nextSecond(now time.Time) {
	passed := now.Sub(p.second)
	if passed < time.Second {
		return
	}
	p.before = 0
	if passed < 2*time.Second {
		p.before = float64(p.accepted)
	}
	if p.ceiling == 0 && p.before > p.normal { // at the first fall some answers were still on their way
		p.normal = p.before
	}
	p.second, p.accepted = now, 0
}

// fall lowers the rate, at most once a second: the SMSC refuses messages already
// sent for the same reason.
func (p *pacer) fall(now time.Time, factor float64) {
	p.mu.Lock()
	if now.Sub(p.fell) < time.Second {
		p.mu.Unlock()
		return
	}
	p.nextSecond(now)
	limit := max(p.before, float64(p.accepted))
	limited := p.limits.Load()
	switch {
	case !limited:
		p.normal = max(limit, minRate)
	case limit == 0 || limit > p.limit: // the count is from a higher limit
		limit = p.limit
	}
	limit = max(limit*factor, minRate)
	p.fell, p.rose = now, now
	p.set(now, limit)
	p.limiter.AllowN(now, p.limiter.Burst()) // spend the burst
	p.mu.Unlock()
	p.slowed(limit)
}

// rate returns the present limit, or 0 if there is none.
func (p *pacer) rate() float64 {
	p.rise(time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.limits.Load() {
		return 0
	}
	return p.limit
}
