package redisstore

import (
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

var (
	_ store.Queue     = (*Store)(nil)
	_ store.Inspector = (*Store)(nil)
)

// The times of Run. Each Run sends a heartbeat for its jobs. If a job had no heartbeat for
// staleAfter, another Run gets it: within 5 s after a process died, its jobs are due
// again. A process may miss two heartbeats.
const (
	heartbeatEvery = time.Second
	staleAfter     = 3500 * time.Millisecond
	longestBlock   = time.Second // waiting for the wake key; another Run may have taken its token
)

// The interval at which Run removes consumers, and the time without a sign of life before
// it does. A live consumer may be among them: Redis makes it again when it gets a job.
const (
	tidyEvery    = time.Minute
	consumerIdle = 5 * time.Minute
)

// Bounds of the scripts.
const (
	promotes    = 200  // jobs that one script moves when they become due
	deadLetters = 1000 // kept
)

// queueTag is the tag of the keys of the queue.
const queueTag = "queue"

// A queue is the part of a Store that its jobs need.
type queue struct {
	keys     []string // KEYS[1..6] of the scripts
	max      int      // jobs
	attempts int
	block    time.Duration              // how long Run waits for the wake key
	enqueues *batcher[string, struct{}] // of encoded jobs

	tidyEvery, consumerIdle time.Duration
}

// The places of keys that Go uses itself.
const wakeKeyIndex = 5

func newQueue(s *Store, cfg Config) queue {
	q := queue{
		max: cfg.MaxJobs, attempts: cfg.JobAttempts, block: min(longestBlock, s.timeout/2), enqueues: s.enqueues(),
		tidyEvery: tidyEvery, consumerIdle: consumerIdle,
	}
	if t := readTimeout(cfg.Client); t > 0 {
		q.block = min(q.block, t/2)
	}
	for _, name := range []string{"high", "normal", "low", "delayed", "dead", "wake"} {
		q.keys = append(q.keys, s.key(queueTag, name))
	}
	return q
}

// readTimeout returns how long c waits for a reply; 0: unknown, or without a bound.
func readTimeout(c Client) time.Duration {
	switch c := c.(type) {
	case interface{ Options() *redis.Options }:
		return c.Options().ReadTimeout
	case interface{ Options() *redis.ClusterOptions }:
		return c.Options().ReadTimeout
	}
	return 0
}

// number returns the reply of a script as an integer or as the score of a set.
func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseFloat(v, 64)
		return int64(n)
	}
	return 0
}
