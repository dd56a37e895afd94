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

// A verb is what becomes of a job that was handed out: one of these, or a
// reason for a dead letter.
const (
	verbDone     = "done"
	verbAgain    = "again"
	verbBack     = "back"
	reasonLate   = "late"
	reasonFailed = "failed"
)

// A result ends what was handed out. What is done needs no job.
type result struct {
	streamEntry
	verb string
	job  string
}

// A runner is one call of Run. The goroutine of Run fetches jobs and tends
// them, each handler has one, and one records results.
type runner struct {
	s        *Store
	workers  int
	handle   func(context.Context, store.Job) error
	consumer string
	handlers sync.WaitGroup
	link     link
	tended   time.Time
	tidied   time.Time

	freed   chan struct{} // holds a token when a handler has ended
	results chan struct{} // holds a token when there are results
	drained chan struct{} // closed when there will be no more

	mu      sync.Mutex
	running int
	held    map[streamEntry]struct{} // what is with this consumer: running, or its result is not recorded
	done    []result
}

func newRunner(s *Store, workers int, handle func(context.Context, store.Job) error) *runner {
	return &runner{
		s: s, workers: workers, handle: handle, consumer: rand.Text(), link: link{logger: s.logger},
		freed: make(chan struct{}, 1), results: make(chan struct{}, 1), drained: make(chan struct{}),
		held: map[streamEntry]struct{}{},
	}
}

func (r *runner) run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // for what must be done when ctx has ended too
	last, cancel := context.WithCancel(lasting)
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { r.settle(lasting, last) })
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

// step does what is next, and reports whether there is more to do.
func (r *runner) step(ctx, lasting context.Context) (more bool) {
	r.mu.Lock()
	running := r.running
	r.mu.Unlock()
	ended := ctx.Err() != nil
	if ended && running == 0 {
		return false
	}
	var err error
	if time.Since(r.tended) >= tendEvery {
		err = r.tend(lasting)
	}
	switch {
	case err != nil:
	case ended || running == r.workers:
		r.await()
	default:
		var n int
		var next time.Time
		if n, next, err = r.fetch(ctx, lasting, r.workers-running); err == nil && n == 0 && ctx.Err() == nil {
			err = r.listen(lasting, next)
		}
	}
	if err != nil {
		r.link.failed(ctx, fetching, err, ctx.Done())
	} else {
		r.link.works(ctx, fetching)
	}
	return true
}

// await waits until a handler has ended, or it is time to tend.
func (r *runner) await() {
	timer := time.NewTimer(time.Until(r.tended.Add(tendEvery)))
	defer timer.Stop()
	select {
	case <-r.freed:
	case <-timer.C:
	}
}

// fetch begins as many as n jobs, and returns how many, and when the next is
// due, zero if that is not known.
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
		r.begin(ctx, streamEntry{int64(job[0]), id}, job)
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
	j, err := decodeJob(job)
	switch {
	case err != nil: // nobody can handle it, and a letter could not be read
		r.s.logger.ErrorContext(ctx, err.Error())
		r.end(result{streamEntry: at, verb: verbDone})
	case ctx.Err() != nil:
		r.end(result{at, verbBack, dueThen(job, micros(time.Now()))})
	default:
		r.handlers.Go(func() { r.call(ctx, at, j) })
	}
}

var errExited = errors.New("redisstore: handler ended its goroutine")

// call hands j to the handler, and notes the result however that ends.
func (r *runner) call(ctx context.Context, at streamEntry, j store.Job) {
	j.Attempt++
	err := errExited
	defer func() {
		if v := recover(); v != nil { // whose text may hold a secret
			err = fmt.Errorf("redisstore: handler panicked with a %T at:\n%s", v, debug.Stack())
		}
		r.end(r.verdict(at, j, err != nil))
		if err != nil {
			r.s.logger.WarnContext(ctx, "redisstore: job failed",
				"job", j.ID, "challenge", j.Challenge, "step", j.Step, "err", err)
		}
	}()
	err = r.handle(context.WithoutCancel(ctx), j)
}

// verdict says what becomes of j, which was handed out.
func (r *runner) verdict(at streamEntry, j store.Job, failed bool) result {
	if !failed {
		return result{streamEntry: at, verb: verbDone}
	}
	due := time.Now().Add(firstPause << min(j.Attempt-1, doublings))
	verb := verbAgain
	switch {
	case j.Attempt >= r.s.queue.attempts:
		verb = reasonFailed
	case !due.Before(j.Expires):
		verb = reasonLate
	}
	return result{at, verb, encodeJob(j, microsUp(due))}
}

// end frees the worker, and has the result recorded.
func (r *runner) end(res result) {
	r.mu.Lock()
	r.running--
	r.done = append(r.done, res)
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

// listen waits for the bell, until next at most, unless that is zero.
func (r *runner) listen(ctx context.Context, next time.Time) error {
	nap := min(r.s.queue.nap, time.Until(r.tended.Add(tendEvery)))
	if !next.IsZero() {
		nap = min(nap, time.Until(next))
	}
	nap = max(nap, time.Millisecond) // 0 were for ever
	_, err := bounded(ctx, r.s, func(ctx context.Context) (struct{}, error) {
		cmd := redis.NewSliceCmd(ctx, "blpop", r.s.queue.keys[5], r.door(), fmt.Sprintf("%.3f", nap.Seconds()))
		err := r.s.client.Process(ctx, cmd)
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return struct{}{}, err
	})
	return err
}

// door returns the key of the consumer's own bell, for the end of its ctx.
func (r *runner) door() string { return r.s.key(queueTag, "bell:"+r.consumer) }

// wake ends a listen that ctx's end found waiting. If it fails the nap ends
// by itself.
func (r *runner) wake(ctx context.Context) {
	_, _ = r.s.run(ctx, scriptWake, []string{r.door()})
}
