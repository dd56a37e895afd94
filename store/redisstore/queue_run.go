package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// Run implements store.Queue. If a handler fails, its job is due again after 1, 2, 4, 8,
// 16 s, and then every 32 s, until the job expires or was handed out Config.JobAttempts
// times since a handler last returned a time for it. A handler that ends its goroutine has
// failed.
//
// A worker keeps its job as long as its process lives and reaches the server, however long
// the handler takes. If the process dies, another worker gets the job within 5 s; if that
// was the last attempt, the job becomes a dead letter. When ctx ends, Run gives back the
// jobs that it fetched and did not begin.
//
// Run outlives restarts and failovers of the server. It tries again after pauses of up to
// a second, and logs the first failure and the next success. If ctx ends meanwhile, Run
// returns within twice Config.Timeout of its last handler. If it could not record the end
// of a job, the job comes again.
//
// Run holds one of the client's connections while it waits for jobs, and takes up to two
// more from time to time. So the client's PoolSize should have three connections for each
// Run, in addition to those of handlers and other callers.
func (s *Store) Run(ctx context.Context, workers int, handle store.Handler) error {
	if workers < 1 || handle == nil {
		return errors.New("redisstore: Run without workers or handler")
	}
	return newRunner(s, workers, handle).run(ctx)
}

// A streamEntry is where a job is in a stream.
type streamEntry struct {
	rank int64
	id   string
}

// compare orders entries of one stream: by milliseconds, then by number.
func (e streamEntry) compare(other streamEntry) int {
	ms, n, _ := strings.Cut(e.id, "-")
	ms2, n2, _ := strings.Cut(other.id, "-")
	return cmp.Or(len(ms)-len(ms2), strings.Compare(ms, ms2), len(n)-len(n2), strings.Compare(n, n2))
}

// A runner is one call of Run. The goroutine of Run fetches jobs and sends
// heartbeats, each handler has a goroutine, and another records results.
type runner struct {
	*worker.Crew[streamEntry]
	s             *Store
	workers       int
	consumer      string // its name in the consumer group
	lastHeartbeat time.Time
	lastTidy      time.Time
}

func newRunner(s *Store, workers int, handle store.Handler) *runner {
	crew := worker.NewCrew[streamEntry]("redisstore", s.logger, s.queue.attempts, handle)
	return &runner{Crew: crew, s: s, workers: workers, consumer: rand.Text()}
}

func (r *runner) run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // for the work after ctx has ended
	last, cancel := context.WithCancel(lasting)
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { r.Record(lasting, last, maxResults, r.ack) })
	others.Go(func() {
		<-ctx.Done()
		r.wake(lasting)
	})
	for r.step(ctx, lasting) {
	}
	r.End()
	defer time.AfterFunc(r.s.timeout, cancel).Stop()
	others.Wait()
	r.tidy(last, r.consumer)
	return ctx.Err()
}

// step does the next thing, and reports whether there is more to do.
func (r *runner) step(ctx, lasting context.Context) (more bool) {
	running := r.Running()
	ended := ctx.Err() != nil
	if ended && running == 0 {
		return false
	}
	var err error
	if time.Since(r.lastHeartbeat) >= heartbeatEvery {
		err = r.heartbeat(lasting)
	}
	switch {
	case err != nil:
	case ended || running == r.workers:
		r.awaitHandler()
	default:
		var n int
		var next time.Time
		if n, next, err = r.fetch(ctx, lasting, r.workers-running); err == nil && n == 0 && ctx.Err() == nil {
			err = r.awaitWake(lasting, next)
		}
	}
	if err != nil {
		r.Link.Failed(ctx, worker.Fetching, err, ctx.Done())
	} else {
		r.Link.Works(ctx, worker.Fetching)
	}
	return true
}

// awaitHandler waits until a handler has ended, or a heartbeat is due.
func (r *runner) awaitHandler() {
	timer := time.NewTimer(time.Until(r.lastHeartbeat.Add(heartbeatEvery)))
	defer timer.Stop()
	select {
	case <-r.Freed:
	case <-timer.C:
	}
}

// awaitWake waits for a token in the wake key, until next at most, unless next is
// zero.
func (r *runner) awaitWake(ctx context.Context, next time.Time) error {
	block := min(r.s.queue.block, time.Until(r.lastHeartbeat.Add(heartbeatEvery)))
	if !next.IsZero() {
		block = min(block, time.Until(next))
	}
	block = max(block, time.Millisecond) // 0 would block without a limit
	_, err := bounded(ctx, r.s, func(ctx context.Context) (struct{}, error) {
		seconds := fmt.Sprintf("%.3f", block.Seconds())
		cmd := redis.NewSliceCmd(ctx, "blpop", r.s.queue.keys[wakeKeyIndex], r.wakeKey(), seconds)
		err := r.s.client.Process(ctx, cmd)
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return struct{}{}, err
	})
	return err
}

// wakeKey returns the consumer's own wake key, which gets a token when ctx ends.
func (r *runner) wakeKey() string { return r.s.key(queueTag, "wake:"+r.consumer) }

// wake ends an awaitWake under way when ctx ends. If it fails, awaitWake ends by
// itself after queue.block.
func (r *runner) wake(ctx context.Context) {
	_, _ = r.s.run(ctx, scriptWake, []string{r.wakeKey()})
}

// fetch begins up to n jobs. It returns their number, and the time at which the next job
// is due; zero: unknown.
func (r *runner) fetch(ctx, lasting context.Context, n int) (begun int, next time.Time, err error) {
	cmd, err := r.s.run(lasting, scriptFetch, r.s.queue.keys, micros(time.Now()), n, r.consumer)
	if err != nil {
		return 0, time.Time{}, err
	}
	v, err := cmd.Slice()
	if err != nil || len(v)%2 != 1 {
		return 0, time.Time{}, unreadable("jobs fetched", err)
	}
	next = instant(number(v[0]))
	for v = v[1:]; len(v) > 0; v = v[2:] {
		job, _ := v[0].(string)
		id, _ := v[1].(string)
		if job == "" {
			return begun, next, errJob
		}
		at := streamEntry{int64(jobLayout.Rank.get(job)), id}
		j, attempts, err := decodeJob(job)
		if err != nil { // neither a handler nor a reader of dead letters could read it
			r.s.logger.ErrorContext(ctx, err.Error())
			r.Drop(at)
		} else {
			r.Begin(ctx, worker.Job[streamEntry]{Job: j, Hold: at, Form: job, Attempts: attempts + 1})
		}
		begun++
	}
	return begun, next, nil
}
