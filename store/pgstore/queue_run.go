package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Run implements store.Queue. If a handler fails, its job is due again after 1, 2, 4, 8,
// 16 s, and then every 32 s, until the job expires or was handed out Config.JobAttempts
// times since a handler last returned a time for it. A handler that ends its goroutine has
// failed.
//
// A worker keeps its job as long as its process lives and reaches the server, however long
// the handler takes. If the process dies, another worker gets the job within 5 s; if that
// was the last attempt, the job becomes a dead letter. A worker that lost its job changes
// nothing when it reports the job's end. When ctx ends, Run gives back the jobs that it
// fetched and did not begin.
//
// Run outlives restarts of the server. It tries again after pauses of up to a second, and
// logs the first failure and the next success. If ctx ends meanwhile, Run returns within
// twice Config.Timeout of its last handler. If it could not record the end of a job, the
// job comes again.
//
// Run keeps one connection for announcements of new jobs, see Config.Listen, and takes up to
// three more from time to time. Config.DB must be safe for concurrent use.
func (s *Store) Run(ctx context.Context, workers int, handle store.Handler) error {
	if workers < 1 || handle == nil {
		return errors.New("pgstore: Run without workers or handler")
	}
	return newRunner(s, workers, handle).run(ctx)
}

// A hold is a worker's claim to a job: it counts as long as the job has the lease.
type hold struct{ id, lease int64 }

// A runner is one call of Run. The goroutine of Run fetches jobs, and each handler has a
// goroutine. Others send heartbeats, record results, listen, and remove expired rows.
type runner struct {
	s        *Store
	workers  int
	handle   store.Handler
	handlers sync.WaitGroup
	link     link

	freed   chan struct{} // holds a token when a handler has ended
	woken   chan struct{} // holds a token when there may be jobs
	results chan struct{} // holds a token when there are results
	drained chan struct{} // closed when there will be no more results

	mu      sync.Mutex
	running int
	held    map[hold]struct{} // jobs with this Run: running, or the result is not recorded
	ended   []result          // not recorded yet
}

func newRunner(s *Store, workers int, handle store.Handler) *runner {
	token := func() chan struct{} { return make(chan struct{}, 1) }
	return &runner{
		s: s, workers: workers, handle: handle, link: link{logger: s.logger},
		freed: token(), woken: token(), results: token(), drained: make(chan struct{}), held: map[hold]struct{}{},
	}
}

func (r *runner) run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // for the work after ctx has ended
	last, cancel := context.WithCancel(lasting)
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { r.recordResults(lasting, last) })
	others.Go(func() { r.listen(ctx) })
	others.Go(func() { r.beat(last) })
	others.Go(func() { r.sweep(last) })
	for r.step(ctx, lasting) {
	}
	r.handlers.Wait()
	close(r.drained)
	defer time.AfterFunc(r.s.timeout, cancel).Stop()
	others.Wait()
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
	if ended || running == r.workers {
		<-r.freed
		return true
	}
	n, next, err := r.fetch(ctx, lasting, r.workers-running)
	if err != nil {
		r.link.failed(ctx, fetching, err, ctx.Done())
		return true
	}
	r.link.works(ctx, fetching)
	if n < r.workers-running {
		r.await(ctx, next)
	}
	return true
}

// await waits until a handler has ended, there may be new jobs, the next job is due, or ctx ends.
func (r *runner) await(ctx context.Context, next time.Time) {
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-r.freed:
	case <-r.woken:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// fetch begins up to n jobs. It returns their number, and the latest time for the next look.
func (r *runner) fetch(ctx, lasting context.Context, n int) (begun int, next time.Time, err error) {
	lease := rand.Int64()
	within, cancel := r.s.within(lasting)
	defer cancel()
	rows, err := r.s.db.Query(within, r.s.sql.fetch, lease, n, nanos(time.Now()))
	if err != nil {
		return 0, time.Time{}, failure(err)
	}
	defer rows.Close()
	next = time.Now().Add(r.s.pace)
	var jobs []handedJob
	for rows.Next() {
		var id, due, expires, notBefore *int64
		var attempts *int
		var priority *int16
		var challenge []byte
		if err := rows.Scan(&id, &due, &expires, &notBefore, &attempts, &priority, &challenge); err != nil {
			return 0, time.Time{}, failure(err)
		}
		switch {
		case id != nil:
			j := jobOf(challenge, *priority, *notBefore, *expires)
			jobs = append(jobs, handedJob{hold{*id, lease}, j, *attempts})
		case due != nil && instant(*due).Before(next):
			next = instant(*due)
		}
	}
	if err := rows.Err(); err != nil { // the jobs come again when their lease is stale
		return 0, time.Time{}, failure(err)
	}
	for _, j := range jobs {
		r.begin(ctx, j)
	}
	return len(jobs), next, nil
}

// A handedJob is a job with this worker.
type handedJob struct {
	hold
	store.Job
	attempts int // including this one
}

// begin starts the handler of a job, unless ctx has ended meanwhile.
func (r *runner) begin(ctx context.Context, j handedJob) {
	r.mu.Lock()
	r.held[j.hold] = struct{}{}
	r.running++
	r.mu.Unlock()
	if ctx.Err() != nil {
		r.finish(result{j.hold, endAgain, nanos(time.Now()), j.attempts - 1})
		return
	}
	r.handlers.Go(func() { r.call(ctx, j) })
}

var errExited = errors.New("pgstore: handler ended its goroutine")

// call hands j to the handler, and notes the result however the handler ends.
func (r *runner) call(ctx context.Context, j handedJob) {
	var again time.Time
	err := errExited
	defer func() {
		if v := recover(); v != nil { // its text may hold a secret
			err = fmt.Errorf("pgstore: handler panicked with a %T at:\n%s", v, debug.Stack())
		}
		if err == nil {
			r.finish(resultOf(j, again))
			return
		}
		r.finish(r.failureOf(j))
		r.s.logger.WarnContext(ctx, "pgstore: job failed",
			"challenge", j.Challenge, "attempt", j.attempts, "err", err)
	}()
	again, err = r.handle(context.WithoutCancel(ctx), j.Job)
}

// resultOf returns the result of j, whose handler succeeded and returned again.
func resultOf(j handedJob, again time.Time) result {
	due := max(nanos(again), nanos(time.Now()))
	if again.IsZero() || due >= nanos(j.Expires) {
		return result{hold: j.hold, end: endDone}
	}
	return result{j.hold, endAgain, due, 0}
}

// failureOf returns the result of j, whose handler has failed.
func (r *runner) failureOf(j handedJob) result {
	due := time.Now().Add(firstPause << min(j.attempts-1, doublings))
	end := endAgain
	switch {
	case j.attempts >= r.s.attempts:
		end = endFailed
	case !due.Before(j.Expires):
		end = endLate
	}
	return result{j.hold, end, nanos(due), j.attempts}
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
