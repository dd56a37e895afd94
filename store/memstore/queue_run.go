package memstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// Run implements store.Queue. A job whose handler fails is due again after 1, 2,
// 4, 8, 16 s, and then every 32 s. It ends when it expires or has failed
// Config.JobAttempts times in a row. A handler that ends its goroutine has failed.
func (s *Store) Run(ctx context.Context, workers int, handle store.Handler) error {
	if workers < 1 || handle == nil {
		return errors.New("memstore: Run without workers or handler")
	}
	var wg sync.WaitGroup
	var start func()
	start = func() {
		wg.Go(func() {
			defer func() {
				if ctx.Err() == nil { // a handler ended the goroutine
					start()
				}
			}()
			s.queue.work(ctx, handle)
		})
	}
	for range workers {
		start()
	}
	wg.Wait()
	return ctx.Err()
}

// work handles jobs, one after the other, until ctx ends.
func (q *queue) work(ctx context.Context, handle store.Handler) {
	defer q.signal() // a worker that is leaving may have got the token
	for ctx.Err() == nil {
		j, wait := q.take(nanos(time.Now()))
		if j == nil {
			q.idle(ctx, wait)
			continue
		}
		q.call(ctx, j, handle)
	}
}

// idle waits for a signal, and for wait at most unless wait is 0.
func (q *queue) idle(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-q.wake:
	case <-ctx.Done():
	}
}

// call passes j to handle, and finishes it however handle ends.
func (q *queue) call(ctx context.Context, j *job, handle store.Handler) {
	worker.Call(ctx, q.logger, "memstore", handle, j.Job, j.attempts, func(again time.Time, failed bool) {
		q.finish(j, again, failed, nanos(time.Now()))
	})
}
