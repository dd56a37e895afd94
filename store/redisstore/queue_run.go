package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
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
	s             *Store
	workers       int
	handle        store.Handler
	consumer      string // its name in the consumer group
	handlers      sync.WaitGroup
	link          link
	lastHeartbeat time.Time
	lastTidy      time.Time

	freed   chan struct{} // holds a token when a handler has ended
	results chan struct{} // holds a token when there are results
	drained chan struct{} // closed when there will be no more results

	mu      sync.Mutex
	running int
	held    map[streamEntry]struct{} // jobs with this consumer: running, or the result is not recorded
	ended   []result                 // not recorded yet
}

func newRunner(s *Store, workers int, handle store.Handler) *runner {
	return &runner{
		s: s, workers: workers, handle: handle, consumer: rand.Text(), link: link{logger: s.logger},
		freed: make(chan struct{}, 1), results: make(chan struct{}, 1), drained: make(chan struct{}),
		held: map[streamEntry]struct{}{},
	}
}

func (r *runner) run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // for the work after ctx has ended
	last, cancel := context.WithCancel(lasting)
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { r.recordResults(lasting, last) })
	others.Go(func() {
		<-ctx.Done()
		r.wake(lasting)
	})
	for r.step(ctx, lasting) {
	}
	r.handlers.Wait()
	close(r.drained)
	defer time.AfterFunc(r.s.timeout, cancel).Stop()
	others.Wait()
	r.tidy(last, r.consumer)
	return ctx.Err()
}

// step does the next thing, and reports whether there is more to do.
func (r *runner) step(ctx, lasting context.Context) (more bool) {
	r.mu.Lock()
	running := r.running
	r.mu.Unlock()
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
		r.link.failed(ctx, fetching, err, ctx.Done())
	} else {
		r.link.works(ctx, fetching)
	}
	return true
}

// awaitHandler waits until a handler has ended, or a heartbeat is due.
func (r *runner) awaitHandler() {
	timer := time.NewTimer(time.Until(r.lastHeartbeat.Add(heartbeatEvery)))
	defer timer.Stop()
	select {
	case <-r.freed:
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
		r.begin(ctx, streamEntry{int64(jobLayout.Rank.get(job)), id}, job)
		begun++
	}
	return begun, next, nil
}

// begin starts the handler of a job, unless ctx has ended meanwhile.
func (r *runner) begin(ctx context.Context, at streamEntry, job string) {
	r.mu.Lock()
	r.held[at] = struct{}{}
	r.running++
	r.mu.Unlock()
	j, attempts, err := decodeJob(job)
	switch {
	case err != nil: // neither a handler nor a reader of dead letters could read it
		r.s.logger.ErrorContext(ctx, err.Error())
		r.finish(result{streamEntry: at, end: endDone})
	case ctx.Err() != nil:
		r.finish(result{at, endBack, dueThen(job, micros(time.Now()), attempts)})
	default:
		r.handlers.Go(func() { r.call(ctx, handedJob{at, j, job, attempts + 1}) })
	}
}

// A handedJob is a job with this worker.
type handedJob struct {
	streamEntry
	store.Job
	encoded  string
	attempts int // including this one
}

var errExited = errors.New("redisstore: handler ended its goroutine")

// call hands j to the handler, and notes the result however the handler ends.
func (r *runner) call(ctx context.Context, j handedJob) {
	var again time.Time
	err := errExited
	defer func() {
		if v := recover(); v != nil { // its text may hold a secret
			err = fmt.Errorf("redisstore: handler panicked with a %T at:\n%s", v, debug.Stack())
		}
		if err == nil {
			r.finish(resultOf(j, again))
			return
		}
		r.finish(r.failureOf(j))
		r.s.logger.WarnContext(ctx, "redisstore: job failed",
			"challenge", j.Challenge, "attempt", j.attempts, "err", err)
	}()
	again, err = r.handle(context.WithoutCancel(ctx), j.Job)
}

// resultOf returns the result of j, whose handler succeeded and returned again.
func resultOf(j handedJob, again time.Time) result {
	due := max(microsUp(again), micros(time.Now()))
	if again.IsZero() || due >= micros(j.Expires) {
		return result{streamEntry: j.streamEntry, end: endDone}
	}
	return result{j.streamEntry, endAgain, dueThen(j.encoded, due, 0)}
}

// failureOf returns the result of j, whose handler has failed.
func (r *runner) failureOf(j handedJob) result {
	due := time.Now().Add(firstPause << min(j.attempts-1, doublings))
	end := endAgain
	switch {
	case j.attempts >= r.s.queue.attempts:
		end = endFailed
	case !due.Before(j.Expires):
		end = endLate
	}
	return result{j.streamEntry, end, dueThen(j.encoded, microsUp(due), j.attempts)}
}

// finish frees the worker and queues the result for recordResults.
func (r *runner) finish(res result) {
	r.mu.Lock()
	r.running--
	r.ended = append(r.ended, res)
	r.mu.Unlock()
	signal(r.freed)
	signal(r.results)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
