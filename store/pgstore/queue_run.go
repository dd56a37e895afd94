package pgstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

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
	*worker.Crew[hold]
	s       *Store
	workers int
	woken   chan struct{} // holds a token when there may be jobs
}

func newRunner(s *Store, workers int, handle store.Handler) *runner {
	crew := worker.NewCrew[hold]("pgstore", s.logger, s.attempts, handle)
	return &runner{Crew: crew, s: s, workers: workers, woken: make(chan struct{}, 1)}
}

func (r *runner) run(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // for the work after ctx has ended
	last, cancel := context.WithCancel(lasting)
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { r.Record(lasting, last, maxResults, r.s.ack) })
	others.Go(func() { r.listen(ctx) })
	others.Go(func() { r.beat(last) })
	others.Go(func() { r.sweep(last) })
	for r.step(ctx, lasting) {
	}
	r.End()
	defer time.AfterFunc(r.s.timeout, cancel).Stop()
	others.Wait()
	return ctx.Err()
}

// step does the next thing, and reports whether there is more to do.
func (r *runner) step(ctx, lasting context.Context) (more bool) {
	running := r.Running()
	ended := ctx.Err() != nil
	if ended && running == 0 {
		return false
	}
	if ended || running == r.workers {
		<-r.Freed
		return true
	}
	n, next, err := r.fetch(ctx, lasting, r.workers-running)
	if err != nil {
		r.Link.Failed(ctx, worker.Fetching, err, ctx.Done())
		return true
	}
	r.Link.Works(ctx, worker.Fetching)
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
	case <-r.Freed:
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
	var jobs []worker.Job[hold]
	err = r.s.on(within, func(ctx context.Context, db DB) error {
		jobs, next = nil, time.Now().Add(r.s.pace)
		rows, err := db.Query(ctx, r.s.sql.fetch, lease, n, nanos(time.Now()))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, due, expires, notBefore *int64
			var attempts *int
			var priority *int16
			var challenge []byte
			if err := rows.Scan(&id, &due, &expires, &notBefore, &attempts, &priority, &challenge); err != nil {
				return err
			}
			switch {
			case id != nil:
				j := jobOf(challenge, *priority, *notBefore, *expires)
				jobs = append(jobs, worker.Job[hold]{Job: j, Hold: hold{*id, lease}, Attempts: *attempts})
			case due != nil && instant(*due).Before(next):
				next = instant(*due)
			}
		}
		return rows.Err()
	})
	if err != nil { // the jobs come again when their lease is stale
		return 0, time.Time{}, err
	}
	for _, j := range jobs {
		r.Begin(ctx, j)
	}
	return len(jobs), next, nil
}
