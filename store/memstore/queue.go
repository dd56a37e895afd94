package memstore

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
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

// jobAttempts is how often a job is handed out by default. The pauses between,
// of 1, 2, 4, 8, 16 and 58 times 32 s, are 31 min 27 s: longer than otp lets a code
// live, so that the last try in a code's life can give back what it cost.
const jobAttempts = 64

// longestIdle bounds how long a worker waits by its timer, which does not notice
// that the clock is set.
const longestIdle = time.Minute

// A queue holds all jobs, and the IDs of done jobs, until they expire.
type queue struct {
	hasher
	logger   *slog.Logger
	max      int
	attempts int
	wake     chan struct{} // holds a token while some worker should look for jobs

	jobs    shard[job, *job] // its lock is the queue's
	ready   [3]jobHeap       // due, by priority: High, Normal, Low
	delayed jobHeap
	lastSeq uint64
	running int
	dead    []store.DeadLetter // the newest last
}

// A job is the entry of a job's ID. Its todo is nil once the job is done.
type job struct {
	link[job]
	todo *todo
}

// A todo is a job that is not done. It is in a heap, or with a worker.
type todo struct {
	store.Job
	due  int64
	seq  uint64   // orders jobs that are due at the same time
	heap *jobHeap // nil: with a worker
	pos  int
}

func newQueue(limit, attempts int, logger *slog.Logger) *queue {
	q := &queue{hasher: newHasher(), logger: logger, max: limit, attempts: attempts, wake: make(chan struct{}, 1)}
	q.jobs.drop = func(j *job) {
		q.expire(j)
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
	if !j.Priority.Valid() {
		return fmt.Errorf("memstore: job of priority %d", j.Priority)
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
	k, expires, due := q.key(j.ID), nanos(j.Expires), max(nanos(j.NotBefore), now)
	if due >= expires {
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
	q.expire(known)
	known.expires = expires
	j.Attempt = 0
	known.todo = &todo{Job: j}
	q.put(known, due)
	return nil
}

// expire ends j, which has expired. If j is with a worker, its handler may still
// succeed.
func (q *queue) expire(j *job) {
	if t := j.todo; t != nil && t.heap != nil {
		heap.Remove(t.heap, t.pos)
		q.bury(t, store.Late, t.Expires)
	}
	j.todo = nil
}

// put makes j wait until due.
func (q *queue) put(j *job, due int64) {
	q.lastSeq++
	j.todo.due, j.todo.seq = due, q.lastSeq
	heap.Push(&q.delayed, j)
	q.signal()
}

// signal makes a worker look for jobs: an idle worker, or the next to become idle.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the first of the jobs that are due. If there is none, it returns how
// long there will be none, 0 if that is not known.
func (q *queue) take(now int64) (*job, *todo, time.Duration) {
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	q.promote(now)
	for i := range q.ready {
		for ready := &q.ready[i]; len(ready.jobs) > 0; {
			if j := ready.jobs[0]; j.expires <= now {
				q.expire(j)
				continue
			}
			j := heap.Pop(ready).(*job)
			if q.waiting() > 0 {
				q.signal() // for another worker, which takes it or waits for the next due job
			}
			q.running++
			j.todo.Attempt++
			return j, j.todo, 0
		}
	}
	if len(q.delayed.jobs) > 0 {
		return nil, nil, min(time.Duration(q.delayed.jobs[0].todo.due-now), longestIdle)
	}
	return nil, nil, 0
}

// promote moves the jobs that are due to ready.
func (q *queue) promote(now int64) {
	for len(q.delayed.jobs) > 0 && q.delayed.jobs[0].todo.due <= now {
		j := heap.Pop(&q.delayed).(*job)
		heap.Push(&q.ready[store.High-j.todo.Priority], j)
	}
}

// waiting returns how many jobs have no worker.
func (q *queue) waiting() int {
	n := len(q.delayed.jobs)
	for i := range q.ready {
		n += len(q.ready[i].jobs)
	}
	return n
}

// finish ends t, the todo of j, or puts it off if its handler failed. Meanwhile j may
// have expired, and its ID may stand for another job.
func (q *queue) finish(j *job, t *todo, failed bool, now int64) {
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	q.running--
	due := after(now, firstPause<<min(t.Attempt-1, doublings))
	switch {
	case failed && t.Attempt >= q.attempts:
		q.bury(t, store.Failed, instant(now))
	case failed && (due >= nanos(t.Expires) || j.todo != t):
		q.bury(t, store.Late, instant(min(now, nanos(t.Expires))))
	case failed:
		q.put(j, due)
		return
	}
	if j.todo == t {
		j.todo = nil
	}
}
