package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A gatherer hands on together what is asked while other batches are on their
// way: a trip to the server, or a script there, costs more than what it brings.
// What is asked while there is room goes at once.
type gatherer[Q, A any] struct {
	most    int           // in a batch
	ways    int           // batches on their way at one time
	timeout time.Duration // of whoever asks

	// answer replies to each of a batch. punctual: it keeps to the deadline of
	// its context.
	answer   func(ctx context.Context, batch []*asked[Q, A])
	punctual bool

	mu      sync.Mutex
	waiting []*asked[Q, A]
	working int
}

// An asked is a question on its way.
type asked[Q, A any] struct {
	question Q
	answer   A
	err      error
	replied  chan struct{} // closed once there is an answer; nil if nobody waits for that
	gone     atomic.Bool   // nobody waits any more
}

func (a *asked[Q, A]) reply(answer A, err error) {
	a.answer, a.err = answer, err
	if a.replied != nil {
		close(a.replied)
	}
}

// ask returns the answer to q, or an error when ctx ends or the timeout is over,
// what came before it included. What nobody waits for any more when it is its
// turn is not asked; what is asked then is left behind.
func (g *gatherer[Q, A]) ask(ctx context.Context, q Q) (answer A, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	a := &asked[Q, A]{question: q}
	g.mu.Lock()
	room := g.working < g.ways
	if room {
		g.working++
	}
	if room && g.punctual {
		g.mu.Unlock()
		return g.atOnce(ctx, a)
	}
	a.replied = make(chan struct{})
	g.waiting = append(g.waiting, a)
	g.mu.Unlock()
	if room {
		go g.work(context.WithoutCancel(ctx))
	}
	timer := time.NewTimer(g.timeout)
	defer timer.Stop()
	select {
	case <-a.replied:
		return a.answer, a.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = g.late()
	}
	a.gone.Store(true)
	return answer, err
}

// atOnce asks alone and without another goroutine, which would cost as much as
// the rest of a trip.
func (g *gatherer[Q, A]) atOnce(ctx context.Context, a *asked[Q, A]) (answer A, err error) {
	within, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	g.answer(within, []*asked[Q, A]{a})
	g.leave(ctx)
	if a.err == nil {
		return a.answer, nil
	}
	// A connection hears of a deadline a moment before the contexts.
	now := time.Now()
	if until, ok := ctx.Deadline(); ctx.Err() == nil && ok && !now.Before(until) {
		return answer, context.DeadlineExceeded
	}
	if until, _ := within.Deadline(); ctx.Err() == nil && !now.Before(until) {
		return answer, g.late()
	}
	return answer, cmp.Or(ctx.Err(), a.err)
}

func (g *gatherer[Q, A]) late() error {
	return fmt.Errorf("redisstore: no answer within %v: %w", g.timeout, os.ErrDeadlineExceeded)
}

// leave ends a turn: what waits goes next.
func (g *gatherer[Q, A]) leave(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		go g.work(context.WithoutCancel(ctx))
	} else {
		g.working--
	}
}

// work hands on what waits, until nothing does. One whose batch is not back in
// time lets another take its place.
func (g *gatherer[Q, A]) work(ctx context.Context) {
	for {
		batch := g.next()
		if len(batch) == 0 {
			return
		}
		late := time.AfterFunc(g.timeout, func() { g.work(ctx) })
		within, cancel := context.WithTimeout(ctx, 2*g.timeout)
		g.answer(within, batch)
		cancel()
		if !late.Stop() {
			return
		}
	}
}

// next returns what waits, or nothing when a worker is not needed any more.
func (g *gatherer[Q, A]) next() (batch []*asked[Q, A]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for ; n < len(g.waiting) && len(batch) < g.most; n++ {
		if a := g.waiting[n]; !a.gone.Load() {
			batch = append(batch, a)
		}
	}
	g.waiting = g.waiting[n:]
	if len(batch) == 0 {
		g.working--
	}
	return batch
}

// bounded calls f, for as long as the context and Config.Timeout allow.
func bounded[A any](ctx context.Context, s *Store, f func(context.Context) (A, error)) (A, error) {
	g := &gatherer[struct{}, A]{timeout: s.timeout, most: 1, ways: 1, answer: func(ctx context.Context, batch []*asked[struct{}, A]) {
		answer, err := f(ctx)
		if err != nil {
			err = fmt.Errorf("redisstore: %w", err)
		}
		batch[0].reply(answer, err)
	}}
	return g.ask(ctx, struct{}{})
}
