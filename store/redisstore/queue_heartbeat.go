package redisstore

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// heartbeat tells the server which jobs this consumer has and, now and then, tidies.
func (r *runner) heartbeat(ctx context.Context) error {
	args := []any{micros(time.Now()), r.consumer, staleAfter.Milliseconds(), r.s.queue.attempts}
	r.mu.Lock()
	for at := range r.held {
		args = append(args, at.rank, at.id)
	}
	r.mu.Unlock()
	r.lastHeartbeat = time.Now()
	_, err := r.s.run(ctx, scriptHeartbeat, r.s.queue.keys, args...)
	if err == nil && r.lastHeartbeat.Sub(r.lastTidy) >= r.s.queue.tidyEvery {
		r.lastTidy = r.lastHeartbeat
		r.tidy(ctx, "")
	}
	return err
}

// tidy removes the consumers of processes that died, and the consumer leaver.
func (r *runner) tidy(ctx context.Context, leaver string) {
	_, _ = r.s.run(ctx, scriptTidy, r.s.queue.keys, leaver, r.s.queue.consumerIdle.Milliseconds())
}

// The loops of a runner that need the server.
const (
	fetching = iota
	recording
	loops
)

// A link logs when the server cannot be reached, and when it can be again, once
// each. It paces the tries of a runner meanwhile.
type link struct {
	logger *slog.Logger
	mu     sync.Mutex
	since  time.Time
	pauses [loops]time.Duration // before the next try of each loop; 0: it works
}

const (
	shortestPause = 20 * time.Millisecond
	longestPause  = time.Second
)

// failed waits, because loop has failed with err. It returns false if stop is
// closed meanwhile.
func (l *link) failed(ctx context.Context, loop int, err error, stop <-chan struct{}) bool {
	l.mu.Lock()
	first := l.pauses == [loops]time.Duration{}
	if first {
		l.since = time.Now()
	}
	pause := max(l.pauses[loop], shortestPause)
	l.pauses[loop] = min(2*pause, longestPause)
	l.mu.Unlock()
	if first {
		l.logger.WarnContext(ctx, "redisstore: the queue cannot be reached; trying again", "err", err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

// works notes that loop works.
func (l *link) works(ctx context.Context, loop int) {
	l.mu.Lock()
	was := l.pauses[loop]
	l.pauses[loop] = 0
	last := was > 0 && l.pauses == [loops]time.Duration{}
	since := l.since
	l.mu.Unlock()
	if last {
		after := time.Since(since).Round(time.Millisecond)
		l.logger.InfoContext(ctx, "redisstore: the queue is reached again", "after", after)
	}
}
