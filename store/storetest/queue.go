package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func queueCases() []testCase[store.Queue] {
	return []testCase[store.Queue]{
		{"job", "a job arrives as it was added, with Attempt 1, whether added before Run or during it", jobArrives},
		{"one per ID", "the same ID is one job until Expires, done or not", onePerID},
		{"same ID after Expires", "when a job has expired, one of its ID can be added", sameIDAfterExpires},
		{"parallel Enqueue", "of one ID added by many at one time there is one job", parallelEnqueue},
		{"refusals", "a job without ID or Expires, or of a priority that there is not, is an error", refusals},
		{"ended context", "a context that has ended adds nothing and runs nothing", endedContext},
		{"priorities", "of jobs that are due, the higher priority comes first", priorities},
		{"not before", "a job is not handled before NotBefore, nor does it hold up others", notBefore},
		{"expired", "a job that has expired is dropped unhandled", expiredDropped},
		{"retry", "a job whose handler returns an error is due again, after a pause that grows", retry},
		{"panic", "a job whose handler panics is due again", retryPanic},
		{"workers", "handlers run in at most workers goroutines, and in as many", workersBound},
		{"shared", "several Runs share the jobs: each is handled, and once if nothing fails", runsShare},
		{"stop", "Run waits for its handlers, whose context has ctx's values but not its end, and returns ctx.Err()",
			runStops},
		{"failed at the end", "a job that fails while its Run ends is left to another Run", failedAtEnd},
		{"stats", "Stats counts jobs by what they are, and says how long the first has been due", stats},
		{"late", "a job that expires unhandled is a dead letter; one that never could be due is none", late},
		{"failures", "a job that has failed as often as it may is a dead letter, and does not come again", failures},
	}
}

// patience bounds how long a case waits for what has to come.
const patience = 30 * time.Second

// A workshop is a queue under test.
type workshop struct {
	tester
	store.Queue
	ctx context.Context // ends with the case's patience
}

func newWorkshop(t tester, q store.Queue) (*workshop, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	return &workshop{t, q, ctx}, cancel
}

func newJob(edit ...func(*store.Job)) store.Job {
	j := store.Job{ID: unique("job-"), Challenge: "abc-challenge", Step: 2, Expires: start().Add(time.Hour)}
	for _, f := range edit {
		f(&j)
	}
	return j
}

func (w *workshop) enqueue(jobs ...store.Job) {
	w.Helper()
	for _, j := range jobs {
		if err := w.Enqueue(w.ctx, j); err != nil {
			w.Fatalf("Enqueue: %v", err)
		}
	}
}

// run starts a Run; the function it returns ends it, waits and checks.
func (w *workshop) run(workers int, handle func(context.Context, store.Job) error) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, workers, handle) }()
	return func() {
		w.Helper()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) && w.ctx.Err() == nil {
			w.Errorf("Run returned %v, want context.Canceled", err)
		}
	}
}

// collect starts a Run with one worker that hands the jobs to the caller.
func (w *workshop) collect() (jobs <-chan store.Job, stop func()) {
	c := make(chan store.Job, 1000)
	return c, w.run(1, func(_ context.Context, j store.Job) error {
		c <- j
		return nil
	})
}

// receive waits for the next value of c.
func receive[T any](w *workshop, c <-chan T, what string) T {
	w.Helper()
	select {
	case v := <-c:
		return v
	case <-w.ctx.Done():
		w.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// pause waits for t by the clock that the queue goes by.
func (w *workshop) pause(t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	receive(w, timer.C, "the time")
}

// until collects the IDs that jobs brings, to the one of marker.
func (w *workshop) until(marker store.Job, jobs <-chan store.Job) (ids []string) {
	w.Helper()
	for {
		j := receive(w, jobs, "the marker job")
		ids = append(ids, j.ID)
		if j.ID == marker.ID {
			return ids
		}
	}
}

// last is a job that comes when all others that are due have come.
func last() store.Job {
	return newJob(func(j *store.Job) {
		j.Priority, j.NotBefore = store.Low, time.Now().Add(100*time.Millisecond)
	})
}

func jobArrives(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	check := func(jobs <-chan store.Job, want store.Job) {
		w.Helper()
		got := receive(w, jobs, "the job")
		if got.Attempt != 1 || !got.NotBefore.Equal(want.NotBefore) || !got.Expires.Equal(want.Expires) {
			w.Errorf("job %+v, want %+v with Attempt 1", got, want)
		}
		got.Attempt, got.NotBefore, got.Expires = want.Attempt, want.NotBefore, want.Expires
		if got != want {
			w.Errorf("job %+v, want %+v", got, want)
		}
	}
	before := newJob(func(j *store.Job) { j.Priority, j.Expires = store.High, start().Add(time.Hour) })
	during := newJob(func(j *store.Job) {
		j.Step, j.Priority, j.NotBefore, j.Expires = 0, store.Low, start(), start().Add(time.Minute)
	})
	w.enqueue(before)
	jobs, stop := w.collect()
	defer stop()
	check(jobs, before)
	w.pause(time.Now().Add(20 * time.Millisecond)) // Run is idle by now
	w.enqueue(during)
	check(jobs, during)
}

func onePerID(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	j := newJob()
	other := j
	other.Step, other.Challenge = 7, "another"
	w.enqueue(j, j, other)
	jobs, stop := w.collect()
	defer stop()
	marker := last()
	w.enqueue(marker)
	if ids := w.until(marker, jobs); !slices.Equal(ids, []string{j.ID, marker.ID}) {
		w.Fatalf("jobs %q, want %q once, and the marker", ids, j.ID)
	}
	w.enqueue(j, other) // done by now
	marker = last()
	w.enqueue(marker)
	if ids := w.until(marker, jobs); len(ids) != 1 {
		w.Fatalf("jobs %q, want none but the marker", ids)
	}
}

func sameIDAfterExpires(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	j := newJob(func(j *store.Job) { j.Expires = time.Now().Add(300 * time.Millisecond) })
	jobs, stop := w.collect()
	defer stop()
	w.enqueue(j)
	receive(w, jobs, "the job")
	w.pause(j.Expires.Add(50 * time.Millisecond))
	j.Expires = start().Add(time.Hour)
	w.enqueue(j)
	if got := receive(w, jobs, "the job of the same ID"); got.Attempt != 1 || !got.Expires.Equal(j.Expires) {
		w.Errorf("job %+v, want it new", got)
	}
}

func parallelEnqueue(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	j, marker := newJob(), last()
	parallel(racers, func(int) {
		if err := w.Enqueue(w.ctx, j); err != nil {
			w.Errorf("Enqueue: %v", err)
		}
	})
	w.enqueue(marker)
	jobs, stop := w.collect()
	defer stop()
	if ids := w.until(marker, jobs); !slices.Equal(ids, []string{j.ID, marker.ID}) {
		w.Errorf("jobs %q, want %q once, and the marker", ids, j.ID)
	}
}

func refusals(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	for what, edit := range map[string]func(*store.Job){
		"no ID":                  func(j *store.Job) { j.ID = "" },
		"no Expires":             func(j *store.Job) { j.Expires = time.Time{} },
		"a priority beyond High": func(j *store.Job) { j.Priority = store.High + 1 },
		"a priority below Low":   func(j *store.Job) { j.Priority = store.Low - 1 },
	} {
		if err := w.Enqueue(w.ctx, newJob(edit)); err == nil {
			w.Errorf("Enqueue of a job with %s: want an error", what)
		}
	}
	wantNone(w)
}

// wantNone checks that no job is due.
func wantNone(w *workshop) {
	w.Helper()
	jobs, stop := w.collect()
	defer stop()
	marker := last()
	w.enqueue(marker)
	if ids := w.until(marker, jobs); len(ids) != 1 {
		w.Errorf("%d jobs came, want none", len(ids)-1)
	}
}

func endedContext(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	ctx, end := context.WithCancel(w.ctx)
	end()
	if err := w.Enqueue(ctx, newJob()); !errors.Is(err, context.Canceled) {
		w.Errorf("Enqueue: error %v, want context.Canceled", err)
	}
	wantNone(w)
	w.enqueue(newJob())
	err := w.Run(ctx, 1, func(context.Context, store.Job) error {
		w.Errorf("Run handed out a job")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		w.Errorf("Run returned %v, want context.Canceled", err)
	}
}

func priorities(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	var want [3][]string
	for i := range 30 {
		p := store.Priority(i%3) - 1
		j := newJob(func(j *store.Job) { j.Priority = p })
		want[p+1] = append(want[p+1], j.ID)
		w.enqueue(j)
	}
	jobs, stop := w.collect()
	defer stop()
	for p := store.High; p >= store.Low; p-- {
		for range want[p+1] {
			j := receive(w, jobs, "a job")
			if j.Priority != p || !slices.Contains(want[p+1], j.ID) {
				w.Fatalf("a job of priority %d came while one of %d was due", j.Priority, p)
			}
		}
	}
}

func notBefore(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	begin := time.Now()
	at := func(d time.Duration) func(*store.Job) {
		return func(j *store.Job) { j.Priority, j.NotBefore = store.High, begin.Add(d) }
	}
	late, soon, now := newJob(at(500*time.Millisecond)), newJob(at(200*time.Millisecond)), newJob()
	jobs, stop := w.collect()
	defer stop()
	w.enqueue(late, soon, now)
	for _, want := range []store.Job{now, soon, late} {
		j := receive(w, jobs, "a job")
		if j.ID != want.ID {
			w.Fatalf("job due at %v came in place of that due at %v", j.NotBefore, want.NotBefore)
		}
		if early := time.Until(j.NotBefore); early > 0 {
			w.Errorf("a job came %v before its NotBefore", early)
		}
	}
}

func expiredDropped(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	soon := time.Now().Add(200 * time.Millisecond)
	waiting := newJob(func(j *store.Job) { j.Expires = soon })
	never := newJob(func(j *store.Job) { j.Expires, j.NotBefore = soon, soon.Add(50*time.Millisecond) })
	w.enqueue(waiting, never)
	w.pause(soon.Add(100 * time.Millisecond))
	jobs, stop := w.collect()
	defer stop()
	marker := last()
	w.enqueue(marker)
	if ids := w.until(marker, jobs); len(ids) != 1 {
		w.Errorf("%d expired jobs were handled", len(ids)-1)
	}
}

var errJob = errors.New("storetest: the job fails")

func retry(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	type delivery struct {
		job store.Job
		at  time.Time
	}
	deliveries := make(chan delivery, 100)
	stop := w.run(2, func(_ context.Context, j store.Job) error {
		deliveries <- delivery{j, time.Now()}
		if j.Attempt < 3 {
			return errJob
		}
		return nil
	})
	defer stop()
	j := newJob()
	w.enqueue(j)
	var at [4]time.Time
	for n := 1; n <= 3; n++ {
		d := receive(w, deliveries, fmt.Sprint("delivery ", n))
		if d.job.ID != j.ID || d.job.Attempt != n {
			w.Fatalf("delivery %d: %+v", n, d.job)
		}
		at[n] = d.at
		w.enqueue(j) // is one job while it waits
	}
	first, second := at[2].Sub(at[1]), at[3].Sub(at[2])
	if first <= 0 || second <= first {
		w.Errorf("pauses %v and %v, want them to grow", first, second)
	}
}

func retryPanic(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	jobs := make(chan store.Job, 100)
	stop := w.run(1, func(_ context.Context, j store.Job) error {
		jobs <- j
		if j.Attempt == 1 {
			panic("storetest: the handler panics")
		}
		return nil
	})
	defer stop()
	w.enqueue(newJob())
	for n := 1; n <= 2; n++ {
		if j := receive(w, jobs, fmt.Sprint("delivery ", n)); j.Attempt != n {
			w.Fatalf("delivery %d: Attempt %d", n, j.Attempt)
		}
	}
}

func workersBound(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	const workers = 4
	var running atomic.Int64
	started, release := make(chan struct{}, 100), make(chan struct{})
	stop := w.run(workers, func(context.Context, store.Job) error {
		defer running.Add(-1)
		if n := running.Add(1); n > workers {
			w.Errorf("%d handlers run, want at most %d", n, workers)
		}
		started <- struct{}{}
		<-release
		return nil
	})
	defer stop()
	defer close(release)
	for range 3 * workers {
		w.enqueue(newJob())
	}
	for range workers {
		receive(w, started, "as many handlers as workers")
	}
	w.pause(time.Now().Add(50 * time.Millisecond))
	if n := running.Load(); n != workers {
		w.Errorf("%d handlers run, want %d", n, workers)
	}
}

func runsShare(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	const n = 200
	ids := make(chan string, 2*n)
	handle := func(_ context.Context, j store.Job) error {
		ids <- j.ID
		return nil
	}
	defer w.run(3, handle)()
	defer w.run(3, handle)()
	parallel(8, func(int) {
		for range n / 8 {
			if err := w.Enqueue(w.ctx, newJob()); err != nil {
				w.Errorf("Enqueue: %v", err)
			}
		}
	})
	seen := map[string]bool{}
	for range n {
		id := receive(w, ids, "a job")
		if seen[id] {
			w.Fatalf("job %q was handled twice", id)
		}
		seen[id] = true
	}
}

type contextKey struct{}

func runStops(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	ctx, end := context.WithCancel(context.WithValue(w.ctx, contextKey{}, "value"))
	defer end()
	started, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	var finished atomic.Bool
	go func() {
		done <- w.Run(ctx, 2, func(ctx context.Context, _ store.Job) error {
			close(started)
			<-release
			if err := ctx.Err(); err != nil || ctx.Value(contextKey{}) != "value" {
				w.Errorf("the handler's context: error %v, value %v", err, ctx.Value(contextKey{}))
			}
			finished.Store(true)
			return nil
		})
	}()
	w.enqueue(newJob())
	proceed := sync.OnceFunc(func() { close(release) })
	defer proceed()
	receive(w, started, "the handler")
	end()
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-done:
		w.Fatalf("Run returned while a handler ran")
	case <-timer.C:
	}
	proceed()
	if err := receive(w, done, "the end of Run"); !errors.Is(err, context.Canceled) {
		w.Errorf("Run returned %v, want context.Canceled", err)
	}
	if !finished.Load() {
		w.Errorf("Run returned before its handler")
	}
}

func failedAtEnd(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	started, release := make(chan struct{}), make(chan struct{})
	stop := w.run(1, func(context.Context, store.Job) error {
		close(started)
		<-release
		return errJob
	})
	j := newJob()
	w.enqueue(j)
	receive(w, started, "the handler")
	close(release)
	stop()
	jobs, stop := w.collect()
	defer stop()
	if got := receive(w, jobs, "the failed job"); got.ID != j.ID || got.Attempt != 2 {
		w.Errorf("job %+v, want %q with Attempt 2", got, j.ID)
	}
}
