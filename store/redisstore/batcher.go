package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A batcher sends requests in batches, since a trip to the server, or a script there,
// costs more than the work of one request. If there is room for another batch, a request
// is sent at once. Otherwise it waits, and is sent with the other waiting requests.
type batcher[Q, A any] struct {
	maxBatch    int           // requests in a batch
	maxInFlight int           // batches under way
	timeout     time.Duration // of a request

	// send replies to each request of a batch.
	send func(ctx context.Context, batch []*request[Q, A])

	// keepsDeadline: send returns at the deadline of its context.
	keepsDeadline bool

	mu       sync.Mutex
	waiting  []*request[Q, A]
	sent     [][]*request[Q, A] // batches of waiting requests that are under way
	inFlight int                // batches, also of a caller that sends its own request
	alarmed  bool               // lateness is checked when the time of some request is over
}

// A request is a query that waits for its answer.
type request[Q, A any] struct {
	query   Q
	until   time.Time // when its time is over
	answer  A
	err     error
	replied chan struct{} // closed with the reply; nil if the caller sends the request itself
	over    atomic.Bool   // it has its reply, or its caller has gone
}

// reply replies to r. Any reply but the first is dropped.
func (r *request[Q, A]) reply(answer A, err error) {
	if !r.over.CompareAndSwap(false, true) {
		return
	}
	r.answer, r.err = answer, err
	if r.replied != nil {
		close(r.replied)
	}
}

// ask returns the answer to query. It returns an error when ctx ends, or when the
// timeout is over, counted from the call. A request whose caller has gone is
// skipped, unless it has been sent.
func (b *batcher[Q, A]) ask(ctx context.Context, query Q) (answer A, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	r := &request[Q, A]{query: query}
	b.mu.Lock()
	room := b.inFlight < b.maxInFlight
	if room {
		b.inFlight++
	}
	if room && b.keepsDeadline {
		b.mu.Unlock()
		return b.sendAlone(ctx, r)
	}
	r.replied, r.until = make(chan struct{}), time.Now().Add(b.timeout)
	b.waiting = append(b.waiting, r)
	if !b.alarmed {
		b.alarmed = true
		time.AfterFunc(b.timeout, b.replyLate)
	}
	b.mu.Unlock()
	if room {
		go b.sendAll(context.WithoutCancel(ctx))
	}
	select {
	case <-r.replied:
		return r.answer, r.err
	case <-ctx.Done():
		r.over.Store(true)
		return answer, ctx.Err()
	}
}

// replyLate replies to the requests whose time is over. One timer serves all requests,
// since a timer for each would cost as much as the rest of a wait.
func (b *batcher[Q, A]) replyLate() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, next := time.Now(), time.Time{}
	for _, batch := range append(slices.Clip(b.sent), b.waiting) {
		for _, r := range batch {
			switch {
			case r.over.Load():
			case !now.Before(r.until):
				var none A
				r.reply(none, b.late())
			case next.IsZero() || r.until.Before(next):
				next = r.until
			}
		}
	}
	if b.alarmed = !next.IsZero(); b.alarmed {
		time.AfterFunc(next.Sub(now), b.replyLate)
	}
}

// sendAlone sends r in the caller's goroutine: another goroutine would cost as much as
// the rest of a trip.
func (b *batcher[Q, A]) sendAlone(ctx context.Context, r *request[Q, A]) (answer A, err error) {
	within, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	b.send(within, []*request[Q, A]{r})
	b.leave(ctx)
	if r.err == nil {
		return r.answer, nil
	}
	// The deadline of a connection comes a moment before the deadline of the contexts.
	now := time.Now()
	if until, ok := ctx.Deadline(); ctx.Err() == nil && ok && !now.Before(until) {
		return answer, context.DeadlineExceeded
	}
	if until, _ := within.Deadline(); ctx.Err() == nil && !now.Before(until) {
		return answer, b.late()
	}
	return answer, cmp.Or(ctx.Err(), r.err)
}

func (b *batcher[Q, A]) late() error {
	return fmt.Errorf("redisstore: no answer within %v: %w", b.timeout, os.ErrDeadlineExceeded)
}

// leave makes room for another batch: if requests wait, they are sent.
func (b *batcher[Q, A]) leave(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 {
		go b.sendAll(context.WithoutCancel(ctx))
	} else {
		b.inFlight--
	}
}

// sendAll sends batches until no request waits. If a batch takes longer than the
// timeout, another sendAll takes over, and this one ends with its batch.
func (b *batcher[Q, A]) sendAll(ctx context.Context) {
	var batch []*request[Q, A]
	for {
		if batch = b.next(batch); len(batch) == 0 {
			return
		}
		late := time.AfterFunc(b.timeout, func() { b.sendAll(ctx) })
		within, cancel := context.WithTimeout(ctx, 2*b.timeout)
		b.send(within, batch)
		cancel()
		if !late.Stop() {
			b.mu.Lock()
			b.forget(batch)
			b.mu.Unlock()
			return
		}
	}
}

// next returns the next batch, once the last has come back. If no request waits, it
// returns nothing and makes room.
func (b *batcher[Q, A]) next(last []*request[Q, A]) (batch []*request[Q, A]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(last)
	batch = make([]*request[Q, A], 0, min(len(b.waiting), b.maxBatch))
	n := 0
	for ; n < len(b.waiting) && len(batch) < b.maxBatch; n++ {
		if r := b.waiting[n]; !r.over.Load() {
			batch = append(batch, r)
		}
	}
	b.waiting = slices.Delete(b.waiting, 0, n)
	if len(batch) == 0 {
		b.inFlight--
	} else {
		b.sent = append(b.sent, batch)
	}
	return batch
}

// forget removes a batch that has come back from sent. The caller holds mu.
func (b *batcher[Q, A]) forget(batch []*request[Q, A]) {
	if len(batch) > 0 {
		b.sent = slices.DeleteFunc(b.sent, func(other []*request[Q, A]) bool { return other[0] == batch[0] })
	}
}

// bounded calls f, for as long as the context and Config.Timeout allow.
func bounded[A any](ctx context.Context, s *Store, f func(context.Context) (A, error)) (A, error) {
	send := func(ctx context.Context, batch []*request[struct{}, A]) {
		answer, err := f(ctx)
		if err != nil {
			err = fmt.Errorf("redisstore: %w", err)
		}
		batch[0].reply(answer, err)
	}
	b := &batcher[struct{}, A]{timeout: s.timeout, maxBatch: 1, maxInFlight: 1, send: send}
	return b.ask(ctx, struct{}{})
}
