package memstore

import (
	"context"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// The number of dead letters kept, and for how long.
const (
	deadLetters = 1000
	deadLife    = 24 * time.Hour
)

// Stats implements store.Inspector.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	if err := ctx.Err(); err != nil {
		return store.Stats{}, err
	}
	q, now := s.queue, time.Now()
	q.jobs.enter(nanos(now))
	defer q.jobs.Unlock()
	q.promote(nanos(now))
	q.forget(now)
	st := store.Stats{
		High: len(q.ready[0].jobs), Normal: len(q.ready[1].jobs), Low: len(q.ready[2].jobs),
		Delayed: len(q.delayed.jobs), Running: q.running, Dead: len(q.dead),
	}
	for i := range q.ready {
		if ready := q.ready[i].jobs; len(ready) > 0 {
			st.Oldest = max(st.Oldest, time.Duration(nanos(now)-ready[0].dueAt))
		}
	}
	return st, nil
}

// Dead implements store.Inspector.
func (s *Store) Dead(ctx context.Context, n int) ([]store.DeadLetter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q, now := s.queue, time.Now()
	q.jobs.enter(nanos(now))
	defer q.jobs.Unlock()
	q.forget(now)
	newest := slices.Clone(q.dead[len(q.dead)-max(0, min(n, len(q.dead))):])
	slices.Reverse(newest)
	return newest, nil
}

// bury makes j a dead letter. Expired jobs may be found in any order, so it inserts
// it by time.
func (q *queue) bury(j *job, why store.Reason, at time.Time) {
	i := len(q.dead)
	for i > 0 && q.dead[i-1].At.After(at) {
		i--
	}
	q.dead = slices.Insert(q.dead, i, store.DeadLetter{Job: j.Job, Attempts: j.attempts, Reason: why, At: at})
	if len(q.dead) > deadLetters {
		q.dead = slices.Delete(q.dead, 0, 1)
	}
}

// forget drops the dead letters older than a day.
func (q *queue) forget(now time.Time) {
	n := 0
	for n < len(q.dead) && now.Sub(q.dead[n].At) >= deadLife {
		n++
	}
	q.dead = slices.Delete(q.dead, 0, n)
}
