package pgstore

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A batcher sends calls in batches: a batch is one statement, one trip and one commit. If fewer than
// parallel are under way, a call is sent at once, by its caller. Otherwise it waits, and goes with the
// others that wait.
type batcher[Q, A any] struct {
	timeout  time.Duration // of a call, and of a batch
	patience time.Duration // the next batch does not wait for one that takes longer
	maxBatch int           // calls of a batch
	parallel int           // batches at one time, apart from those that take longer than the patience

	// send returns the answer to each call of a batch.
	send func(ctx context.Context, batch []Q) ([]A, error)

	mu      sync.Mutex
	waiting []*request[Q, A]
	sending int // batches under way
}

// A request is a call that waits for a batch.
type request[Q, A any] struct {
	query     Q
	answer    A
	err       error
	replied   chan struct{} // closed when answer and err are set
	abandoned atomic.Bool   // its caller has gone
}

// ask returns the answer to a call. It returns an error when ctx ends, or when the timeout is
// over; the call may then take effect or not.
func (b *batcher[Q, A]) ask(ctx context.Context, query Q) (answer A, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	b.mu.Lock()
	if b.sending < b.parallel {
		b.sending++
		b.mu.Unlock()
		return b.sendAlone(ctx, query)
	}
	r := &request[Q, A]{query: query, replied: make(chan struct{})}
	b.waiting = append(b.waiting, r)
	b.mu.Unlock()
	timer := time.NewTimer(b.timeout)
	defer timer.Stop()
	select {
	case <-r.replied:
		return r.answer, r.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("pgstore: no answer within %v: %w", b.timeout, os.ErrDeadlineExceeded)
	}
	r.abandoned.Store(true)
	return answer, err
}

// sendAlone sends a call without another goroutine.
func (b *batcher[Q, A]) sendAlone(ctx context.Context, query Q) (answer A, err error) {
	within, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	lasting := context.WithoutCancel(ctx)
	late := time.AfterFunc(b.patience, func() { b.sendAll(lasting) })
	defer func() {
		if late.Stop() {
			b.leave(lasting)
		}
	}()
	answers, err := b.send(within, []Q{query})
	if err != nil {
		return answer, err
	}
	return answers[0], nil
}

// leave lets the calls that wait be sent. ctx does not end.
func (b *batcher[Q, A]) leave(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		b.sending--
		return
	}
	go b.sendAll(ctx)
}

// sendAll sends batches until no call waits. If a batch takes longer than the patience, another
// sendAll takes over, and this one ends with its batch.
func (b *batcher[Q, A]) sendAll(ctx context.Context) {
	for {
		runtime.Gosched() // the callers of the batch before may call again
		batch := b.next()
		if len(batch) == 0 {
			return
		}
		queries := make([]Q, len(batch))
		for i, r := range batch {
			queries[i] = r.query
		}
		late := time.AfterFunc(b.patience, func() { b.sendAll(ctx) })
		within, cancel := context.WithTimeout(ctx, b.timeout)
		answers, err := b.send(within, queries)
		cancel()
		for i, r := range batch {
			if r.err = err; err == nil {
				r.answer = answers[i]
			}
			close(r.replied)
		}
		if !late.Stop() {
			return
		}
	}
}

// next returns the next batch. If no call waits, it returns nothing, and the next call is sent at
// once. A call whose caller has gone is dropped.
func (b *batcher[Q, A]) next() []*request[Q, A] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = slices.DeleteFunc(b.waiting, func(r *request[Q, A]) bool { return r.abandoned.Load() })
	n := min(len(b.waiting), b.maxBatch)
	batch := b.waiting[:n:n]
	b.waiting = b.waiting[n:]
	if n == 0 {
		b.waiting = nil
		b.sending--
	}
	return batch
}
