package pgstore

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxNewJobs bounds the jobs that one statement adds.
const maxNewJobs = 256

// A batcher adds jobs in batches: commits that notify wait for each other, so one at a time
// brings all that wait. A job that comes alone is sent at once, by its caller.
type batcher struct {
	timeout time.Duration
	send    func(ctx context.Context, batch []newJob) error

	mu      sync.Mutex
	waiting []*request
	sending bool
}

// A request is a new job that waits for a batch.
type request struct {
	job       newJob
	replied   chan struct{} // closed when err is set
	err       error
	abandoned atomic.Bool // its caller has gone
}

// add adds a job. It returns an error when ctx ends, or when the timeout is over; the job
// may then be added or not.
func (b *batcher) add(ctx context.Context, j newJob) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	if !b.sending {
		b.sending = true
		b.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, b.timeout)
		defer cancel()
		defer b.leave(context.WithoutCancel(ctx))
		return b.send(within, []newJob{j})
	}
	r := &request{job: j, replied: make(chan struct{})}
	b.waiting = append(b.waiting, r)
	b.mu.Unlock()
	timer := time.NewTimer(b.timeout)
	defer timer.Stop()
	defer r.abandoned.Store(true)
	select {
	case <-r.replied:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("pgstore: no answer within %v: %w", b.timeout, os.ErrDeadlineExceeded)
	}
}

// leave lets the jobs that wait be sent. ctx does not end.
func (b *batcher) leave(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		b.sending = false
		return
	}
	go b.sendAll(ctx)
}

// sendAll sends batches until no job waits. A job whose caller has gone is dropped. Each
// batch ends with the timeout, so sendAll ends soon after the last caller.
func (b *batcher) sendAll(ctx context.Context) {
	for {
		b.mu.Lock()
		b.waiting = slices.DeleteFunc(b.waiting, func(r *request) bool { return r.abandoned.Load() })
		n := min(len(b.waiting), maxNewJobs)
		batch := b.waiting[:n]
		b.waiting = b.waiting[n:]
		if n == 0 {
			b.waiting, b.sending = nil, false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		jobs := make([]newJob, n)
		for i, r := range batch {
			jobs[i] = r.job
		}
		within, cancel := context.WithTimeout(ctx, b.timeout)
		err := b.send(within, jobs)
		cancel()
		for _, r := range batch {
			r.err = err
			close(r.replied)
		}
	}
}
