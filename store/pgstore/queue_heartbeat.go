package pgstore

import (
	"context"
	"sync"
	"time"
)

// beat sends a heartbeat at each pace until r.drained is closed. A heartbeat does not wait for
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
				r.link.failed(ctx, beating, err, r.drained)
			} else {
				r.link.works(ctx, beating)
			}
		})
		select {
		case <-ticker.C:
		case <-r.drained:
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
	r.mu.Lock()
	for h := range r.held {
		ids, leases = append(ids, h.id), append(leases, h.lease)
	}
	r.mu.Unlock()
	_, err := r.s.exec(within, r.s.sql.heartbeat, ids, leases, staleAfter, r.s.attempts, nanos(time.Now()))
	return err
}

// sweep removes expired rows until r.drained is closed.
func (r *runner) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.s.tidy(ctx, time.Now())
		case <-r.drained:
			return
		}
	}
}
