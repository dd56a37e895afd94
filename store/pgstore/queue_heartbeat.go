package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// beat sends a heartbeat at each pace until r.Ended is closed. A heartbeat does not wait for
// the one before, nor for anything else that Run does: while one connection hangs, the others tell
// that the worker lives.
func (r *runner) beat(ctx context.Context) {
	var beats sync.WaitGroup
	defer beats.Wait()
	ticker := time.NewTicker(r.s.pace)
	defer ticker.Stop()
	for {
		beats.Go(func() {
			if err := r.heartbeat(ctx); err != nil {
				r.Link.Failed(ctx, worker.Beating, err, r.Ended)
			} else {
				r.Link.Works(ctx, worker.Beating)
			}
		})
		select {
		case <-ticker.C:
		case <-r.Ended:
			return
		}
	}
}

// heartbeat tells the server which jobs this Run has, and takes those of dead workers from
// them. After staleAfter its answer would come too late.
func (r *runner) heartbeat(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, staleAfter)
	defer cancel()
	var ids, leases []int64
	for _, h := range r.Held() {
		ids, leases = append(ids, h.id), append(leases, h.lease)
	}
	_, err := r.s.exec(within, r.s.sql.heartbeat, ids, leases, staleAfter, r.s.attempts, nanos(time.Now()))
	return err
}

// sweep removes expired rows until r.Ended is closed.
func (r *runner) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.s.tidy(ctx, sweepEvery, time.Now())
		case <-r.Ended:
			return
		}
	}
}
