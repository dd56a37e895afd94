package memstore

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// longestIdle is the longest wait by a worker's timer, which does not notice a
// change of the clock.
const longestIdle = time.Minute

// A queue holds all jobs until they are done or expire.
type queue struct {
	logger   *slog.Logger
	max      int
	attempts int
	wake     chan struct{} // holds a token if some worker should look for jobs

	jobs    shard[job, *job] // its lock is the queue's; its table is unused, because a job has no name
	ready   [3]jobHeap       // due, by priority: High, Normal, Low
	delayed jobHeap
	lastSeq uint64
	running int
	dead    []store.DeadLetter // the newest last
}

// A job is an unfinished store.Job. It waits in a heap, or is with a worker. When
// it expires, it leaves the wheel even if it is with a worker.
type job struct {
	removable[job]
	store.Job
	attempts int // attempts since it last came again
	dueAt    int64
	seq      uint64   // orders jobs with the same dueAt
	heap     *jobHeap // nil: with a worker
	pos      int
}

func newQueue(limit, attempts int, logger *slog.Logger) *queue {
	q := &queue{logger: logger, max: limit, attempts: attempts, wake: make(chan struct{}, 1)}
	q.jobs.drop = q.expire
	return q
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.Challenge == "" || j.Expires.IsZero() {
		return errors.New("memstore: job without Challenge or Expires")
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

// reclaim makes room for a job, if enough jobs have expired.
func (q *queue) reclaim(now int64) bool {
	looks := reclaimLooks
	return q.jobs.reclaim(now, &looks, func() bool { return q.jobs.wheel.n < q.max })
}

// add adds j.
func (q *queue) add(j store.Job, now int64) error {
	expires, due := nanos(j.Expires), max(nanos(j.NotBefore), now)
	if due >= expires {
		return nil
	}
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	if q.jobs.wheel.n >= q.max {
		return errNoRoom
	}
	added := &job{Job: j}
	added.expires = expires
	q.jobs.wheel.put(added)
	q.put(added, due)
	return nil
}

// expire ends j, which has expired and is not in the wheel. If j is with a worker,
// its handler may still succeed.
func (q *queue) expire(j *job) {
	if j.heap != nil {
		heap.Remove(j.heap, j.pos)
		q.bury(j, store.Late, j.Expires)
	}
}

// put makes j wait until due. If another job is due earlier, some worker waits for that
// one already, or is about to look.
func (q *queue) put(j *job, due int64) {
	q.lastSeq++
	j.dueAt, j.seq = due, q.lastSeq
	heap.Push(&q.delayed, j)
	if q.delayed.jobs[0] == j {
		q.signal()
	}
}

// signal makes a worker look for jobs: an idle worker, or the next to become idle.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the first due job. If there is none, it returns the time until one
// is due, or 0 if that is unknown.
func (q *queue) take(now int64) (*job, time.Duration) {
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	q.promote(now)
	for i := range q.ready {
		for ready := &q.ready[i]; len(ready.jobs) > 0; {
			if j := ready.jobs[0]; j.expires <= now {
				q.jobs.wheel.remove(j)
				q.expire(j)
				continue
			}
			j := heap.Pop(ready).(*job)
			if q.waiting() > 0 {
				q.signal() // for another worker, which takes it or waits for the next due job
			}
			q.running++
			j.attempts++
			return j, 0
		}
	}
	if len(q.delayed.jobs) > 0 {
		return nil, min(time.Duration(q.delayed.jobs[0].dueAt-now), longestIdle)
	}
	return nil, 0
}

// promote moves the due jobs to ready.
func (q *queue) promote(now int64) {
	for len(q.delayed.jobs) > 0 && q.delayed.jobs[0].dueAt <= now {
		j := heap.Pop(&q.delayed).(*job)
		heap.Push(&q.ready[store.High-j.Priority], j)
	}
}

// waiting returns the number of jobs without a worker.
func (q *queue) waiting() int {
	n := len(q.delayed.jobs)
	for i := range q.ready {
		n += len(q.ready[i].jobs)
	}
	return n
}

// finish ends j, or postpones it: until again, or after a failure of its handler
// for a pause. Meanwhile j may have expired.
func (q *queue) finish(j *job, again time.Time, failed bool, now int64) {
	q.jobs.enter(now)
	defer q.jobs.Unlock()
	q.running--
	due := max(nanos(again), now)
	if failed {
		due = after(now, worker.Pause(j.attempts))
	}
	held := j.at.slot != nil
	alive := held && due < j.expires
	switch {
	case failed && j.attempts >= q.attempts:
		q.bury(j, store.Failed, instant(now))
	case failed && !alive:
		q.bury(j, store.Late, instant(min(now, j.expires)))
	case failed:
		q.put(j, due)
		return
	case !again.IsZero() && alive:
		j.attempts = 0
		q.put(j, due)
		return
	}
	if held {
		q.jobs.wheel.remove(j)
	}
}
