package redisstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

var (
	_ store.Queue     = (*Store)(nil)
	_ store.Inspector = (*Store)(nil)
)

// How Run keeps time. Each job that it has is tended every tendEvery, and one
// that was not tended for staleAfter is given to another: a job of a worker
// that died is there again within 5 s, and a worker may miss two turns.
const (
	tendEvery  = time.Second
	staleAfter = 3500 * time.Millisecond
	longestNap = time.Second // waiting for jobs; others may have lost the bell
)

// How often Run removes the consumers of Runs that have died, and for how long
// one must not have been heard of. One that lives may be among them: it is
// made again when it gets a job.
const (
	tidyEvery = time.Minute
	forgotten = 5 * time.Minute
)

// The pause after a job's first failure. Each further failure doubles it, to
// 32 s.
const (
	firstPause = time.Second
	doublings  = 5
)

// jobAttempts is how often a job is handed out by default. The pauses between,
// of 1, 2, 4, 8, 16 and 58 times 32 s, are 31 min 27 s.
const jobAttempts = 64

// A queue is what the Store's jobs need.
type queue struct {
	keys     []string // as the scripts have them
	max      int
	attempts int
	nap      time.Duration
	enqueues *batcher[newJob, struct{}]

	tidyEvery, forgotten time.Duration
}

var (
	scriptEnqueue = newScript(enqueueScript)
	scriptFetch   = newScript(fetchScript)
	scriptSettle  = newScript(settleScript)
	scriptTend    = newScript(tendScript)
	scriptTidy    = newScript(tidyScript)
	scriptStats   = newScript(statsScript)
	scriptWake    = newScript(wakeScript)
	scriptDead    = newScript(deadScript)
)

const queueTag = "queue"

func newQueue(s *Store, cfg Config) queue {
	q := queue{max: cfg.MaxJobs, attempts: cfg.JobAttempts, nap: min(longestNap, s.timeout/2), enqueues: s.enqueues(),
		tidyEvery: tidyEvery, forgotten: forgotten}
	if t := readTimeout(cfg.Client); t > 0 {
		q.nap = min(q.nap, t/2)
	}
	if q.max <= 0 {
		q.max = 1 << 20
	}
	if q.attempts <= 0 {
		q.attempts = jobAttempts
	}
	for _, name := range []string{"high", "normal", "low", "delayed", "dead", "bell"} {
		q.keys = append(q.keys, s.key(queueTag, name))
	}
	return q
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkJob(j); err != nil {
		return err
	}
	now, expires := micros(time.Now()), micros(j.Expires)
	due := max(microsUp(j.NotBefore), now)
	if due >= expires {
		return nil
	}
	j.Attempt = 0
	_, err := s.queue.enqueues.ask(ctx, newJob{s.key(queueTag, "id:"+j.ID), [2]any{lifetime(expires - now), encodeJob(j, due)}})
	return err
}

// Run implements store.Queue. A job whose handler fails is due again after 1,
// 2, 4, 8, 16 s, and then every 32 s, until it expires or has been handed out
// Config.JobAttempts times. One that ends its goroutine has failed.
//
// A job is with one worker as long as its process lives and reaches the
// server, however long the handler takes; within 5 s after that it is with
// another, and if it had been handed out for the last time it is a dead
// letter. What Run has fetched when ctx ends and not begun it gives back.
//
// Run outlives the server's restarts and failovers: it tries again, after
// pauses of up to a second, and logs when it begins to and when it has got
// through. When ctx ends meanwhile, Run returns within twice Config.Timeout of
// its last handler, and the jobs whose end it could not record come again.
//
// Run holds one of the client's connections while it waits for jobs, and
// takes up to two more from time to time: the client's PoolSize should have
// three for each Run beyond what the handlers and everyone else need.
func (s *Store) Run(ctx context.Context, workers int, handle func(context.Context, store.Job) error) error {
	if workers < 1 || handle == nil {
		return errors.New("redisstore: Run without workers or handler")
	}
	return newRunner(s, workers, handle).run(ctx)
}

// readTimeout returns for how long c waits for a reply, 0 if that is unknown or
// for ever.
func readTimeout(c Client) time.Duration {
	switch c := c.(type) {
	case interface{ Options() *redis.Options }:
		return c.Options().ReadTimeout
	case interface{ Options() *redis.ClusterOptions }:
		return c.Options().ReadTimeout
	}
	return 0
}

// number returns what a script gave as an integer or as the score of a set.
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
