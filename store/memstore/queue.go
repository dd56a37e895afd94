package memstore

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// firstPause is how long a job waits after its handler failed for the first
// time. Each further failure doubles it, to 32 s.
const (
	firstPause = time.Second
	doublings  = 5
)

// longestIdle bounds how long a worker goes by its timer, which does not see
// the clock being set.
const longestIdle = time.Minute

// A queue is all jobs, and the IDs of those that are done, until they expire.
type queue struct {
	hasher
	logger *slog.Logger
	max    int
	wake   chan struct{} // holds a token while some worker should look for jobs

	jobs    shard[job, *job] // its lock is the queue's
	ready   jobHeap          // due, by priority
	delayed jobHeap          // by due time
	turns   uint64
}

// A job is remembered by its ID; todo is nil once it is done.
type job struct {
	link[job]
	todo *todo
}

// A todo is a job that is not done. It is in a heap, or with a worker.
type todo struct {
	store.Job
	due  int64
	turn uint64   // who came first, of those that are equal otherwise
	heap *jobHeap // nil: with a worker
	pos  int
}

func newQueue(limit int, logger *slog.Logger) *queue {
	q := &queue{hasher: newHasher(), logger: logger, max: limit, wake: make(chan struct{}, 1)}
	q.ready.less = func(a, b *todo) bool {
		if a.Priority != b.Priority {
			return a.Priority > b.Priority
		}
		return a.turn < b.turn
	}
	q.delayed.less = func(a, b *todo) bool { return a.due < b.due }
	q.jobs.drop = func(j *job) {
		j.finish()
		q.jobs.table.remove(j)
	}
	return q
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.ID == "" || j.Expires.IsZero() {
		return errors.New("memstore: job without ID or Expires")
	}
	q, now := s.queue, nanos(time.Now())
	err := q.add(j, now)
	for try := 0; errors.Is(err, errNoRoom) && try < reclaims && q.reclaim(now); try++ {
		err = q.add(j, now)
	}
	if errors.Is(err, errNoRoom) {
		return store.ErrFull
	}
	return err
}

// reclaim makes room for a job, if enough of them have expired.
func (q *queue) reclaim(now int64) bool {
	looks := reclaimLooks
	return q.jobs.reclaim(now, &looks, func() bool { return q.jobs.table.n < q.max })
}

// add adds j, unless its ID is known.
func (q *queue) add(j store.Job, now int64) error {
	k, expires := q.key(j.ID), nanos(j.Expires)
	if expires <= now {
		return nil
	}
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	known := q.jobs.table.get(k)
	switch {
	case known == nil && q.jobs.table.n >= q.max:
		return errNoRoom
	case known == nil:
		known = &job{}
		known.key, known.expires = k, expires
		q.jobs.insert(known)
	case known.expires > now:
		return nil
	}
	known.finish()
	known.expires = expires
	j.Attempt = 0
	known.todo = &todo{Job: j, turn: q.turn()}
	q.put(known, nanos(j.NotBefore))
	return nil
}

// finish forgets what is to do, and leaves the ID.
func (j *job) finish() {
	if j.todo != nil && j.todo.heap != nil {
		heap.Remove(j.todo.heap, j.todo.pos)
	}
	j.todo = nil
}

func (q *queue) turn() uint64 {
	q.turns++
	return q.turns
}

// put makes j wait until due, or ends it if it will have expired by then.
func (q *queue) put(j *job, due int64) {
	if due >= j.expires {
		j.finish()
		return
	}
	j.todo.due = due
	heap.Push(&q.delayed, j)
	q.signal()
}

// signal makes a worker look for jobs, one that is idle or the next to be.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the first of the jobs that are due, and what is to do; or none,
// and how long there will be none, 0 if that is not known.
func (q *queue) take(now int64) (*job, *todo, time.Duration) {
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	for len(q.delayed.jobs) > 0 && q.delayed.jobs[0].todo.due <= now {
		heap.Push(&q.ready, heap.Pop(&q.delayed))
	}
	for len(q.ready.jobs) > 0 {
		j := heap.Pop(&q.ready).(*job)
		if j.expires <= now {
			j.finish()
			continue
		}
		if len(q.ready.jobs)+len(q.delayed.jobs) > 0 {
			q.signal() // another worker, or one that watches the clock
		}
		j.todo.Attempt++
		return j, j.todo, 0
	}
	if len(q.delayed.jobs) > 0 {
		return nil, nil, min(time.Duration(q.delayed.jobs[0].todo.due-now), longestIdle)
	}
	return nil, nil, 0
}

// settle ends what was to do of j or, if it failed, puts it off. Meanwhile j
// may have expired and its ID stand for another job.
func (q *queue) settle(j *job, t *todo, failed bool, now int64) {
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	switch {
	case j.todo != t:
	case failed:
		t.turn = q.turn()
		q.put(j, after(now, firstPause<<min(t.Attempt-1, doublings)))
	default:
		j.finish()
	}
}
