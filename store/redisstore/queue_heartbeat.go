package redisstore

import (
	"context"
	"time"
)

// heartbeat tells the server which jobs this consumer has and, now and then, tidies.
func (r *runner) heartbeat(ctx context.Context) error {
	args := []any{micros(time.Now()), r.consumer, staleAfter.Milliseconds(), r.s.queue.attempts}
	for _, at := range r.Held() {
		args = append(args, at.rank, at.id)
	}
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
