package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A jobTable stands for a table in a database that several processes share, and its mutex for
// transactions.
type jobTable struct {
	mu   sync.Mutex
	rows map[int64]*jobRow // by number
	last int64             // number of a row, and of a handing-out
}

// A jobRow is a job that waits or, if it has an owner, is with a worker.
type jobRow struct {
	job      store.Job
	number   int64
	due      time.Time
	failures int       // since a handler last returned a time for it
	owner    int64     // the handing-out; 0: it waits
	lease    time.Time // if no heartbeat comes by then, the owner is dead
}

// An ownQueue is a whole store.Queue: the connection of one process to the table.
type ownQueue struct {
	table *jobTable
	cut   atomic.Bool // stands for an outage
}

var _ store.Queue = (*ownQueue)(nil)

const (
	mostFailures = 5
	pollEvery    = time.Second / 2 // an idle worker must get a due job within a second
	beatEvery    = time.Second
	leaseTime    = 3 * beatEvery // a worker may miss two heartbeats
)

// now is the time by the database's clock. The processes' own clocks differ: by these, one
// might take the jobs of another that lives.
func (t *jobTable) now() time.Time { return time.Now() }

// begin begins a transaction.
func (q *ownQueue) begin(ctx context.Context) (commit func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if q.cut.Load() {
		return nil, errors.New("own queue: the table is not reached")
	}
	q.table.mu.Lock()
	return q.table.mu.Unlock, nil
}

// Enqueue inserts a row.
func (q *ownQueue) Enqueue(ctx context.Context, j store.Job) error {
	if j.Challenge == "" || j.Expires.IsZero() || !j.Priority.Valid() {
		return errors.New("own queue: the job lacks a challenge, an expiry or a valid priority")
	}
	commit, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer commit()
	due := j.NotBefore
	if now := q.table.now(); due.Before(now) {
		due = now
	}
	if due.Before(j.Expires) {
		q.table.last++
		q.table.rows[q.table.last] = &jobRow{job: j, number: q.table.last, due: due}
	}
	return nil
}

// Run has one goroutine for each worker. It waits for all of them when ctx ends.
func (q *ownQueue) Run(ctx context.Context, workers int, handle store.Handler) error {
	if workers < 1 || handle == nil {
		return errors.New("own queue: Run without workers or handler")
	}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				row, err := q.take(ctx)
				if err != nil || row == nil { // an outage, or no job is due
					wait(ctx, pollEvery)
					continue
				}
				q.work(context.WithoutCancel(ctx), row, handle)
			}
		})
	}
	all.Wait()
	<-ctx.Done()
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// take hands out a due job under a name of its own, or returns nil.
func (q *ownQueue) take(ctx context.Context) (*jobRow, error) {
	commit, err := q.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer commit()
	now := q.table.now()
	var first *jobRow
	for _, r := range q.table.rows {
		if r.owner != 0 && !now.Before(r.lease) {
			q.table.fail(r, r.lease) // its worker has died
		}
		switch {
		case r.owner != 0 || now.Before(r.due):
		case !now.Before(r.job.Expires):
			delete(q.table.rows, r.number)
		case first == nil || r.job.Priority > first.job.Priority,
			r.job.Priority == first.job.Priority && r.due.Before(first.due):
			first = r
		}
	}
	if first == nil {
		return nil, nil
	}
	q.table.last++
	first.owner, first.lease = q.table.last, now.Add(leaseTime)
	row := *first
	return &row, nil
}

// fail makes a job wait for a time that grows, or ends it.
func (t *jobTable) fail(r *jobRow, now time.Time) {
	r.owner, r.failures = 0, r.failures+1
	r.due = now.Add(time.Second / 4 << r.failures)
	if r.failures >= mostFailures || !r.due.Before(r.job.Expires) {
		delete(t.rows, r.number)
	}
}

// work handles a job, and sends heartbeats until the result is recorded. Its ctx does not end
// with Run's.
func (q *ownQueue) work(ctx context.Context, row *jobRow, handle store.Handler) {
	beating, stop := context.WithCancel(ctx)
	var heart sync.WaitGroup
	heart.Go(func() {
		for wait(beating, beatEvery); beating.Err() == nil; wait(beating, beatEvery) {
			_ = q.own(ctx, row, func(r *jobRow) { r.lease = q.table.now().Add(leaseTime) })
		}
	})
	again, err := safely(ctx, row.job, handle)
	for ended := time.Now(); time.Since(ended) < leaseTime; wait(ctx, pollEvery) {
		if q.report(ctx, row, again, err) == nil {
			break
		}
	}
	stop()
	heart.Wait()
}

// safely calls handle. A panic is an error.
func safely(ctx context.Context, j store.Job, handle store.Handler) (again time.Time, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("own queue: the handler panicked with a %T", v)
		}
	}()
	return handle(ctx, j)
}

// report records the result of a handler.
func (q *ownQueue) report(ctx context.Context, row *jobRow, again time.Time, err error) error {
	return q.own(ctx, row, func(r *jobRow) {
		switch {
		case err != nil:
			q.table.fail(r, q.table.now())
		case again.IsZero() || !again.Before(r.job.Expires):
			delete(q.table.rows, r.number)
		default:
			r.owner, r.failures, r.due = 0, 0, again
		}
	})
}

// own calls f on the row, if the row still has the same owner. A process may have been stopped
// for a while, and another may have got the job meanwhile.
func (q *ownQueue) own(ctx context.Context, row *jobRow, f func(*jobRow)) error {
	commit, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer commit()
	if r := q.table.rows[row.number]; r != nil && r.owner == row.owner {
		f(r)
	}
	return nil
}

func newOwnQueue() *ownQueue { return &ownQueue{table: &jobTable{rows: map[int64]*jobRow{}}} }

// A queue of one's own, to be copied: TestOwnQueue holds it to the suite.
func Example_wholeQueue() {
	q := newOwnQueue()
	ctx, cancel := context.WithCancel(context.Background())
	fmt.Println(q.Enqueue(ctx, store.Job{Challenge: "abc-1", Expires: time.Now().Add(time.Minute)}))
	fmt.Println(q.Run(ctx, 4, func(_ context.Context, j store.Job) (again time.Time, err error) {
		fmt.Println("look at", j.Challenge)
		cancel()
		return time.Time{}, nil
	}))
	// Output:
	// <nil>
	// look at abc-1
	// context canceled
}
