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
	return slices.Concat(jobCases(), againCases(), processCases(), inspectorCases())
}

func jobCases() []testCase[store.Queue] {
	return []testCase[store.Queue]{
		{"job", "a job arrives as it was added, before Run or during it, also by a handler, and soon if one is idle",
			jobArrives},
		{"jobs of one challenge", "two jobs of one challenge are two, and the second does not wait for the first",
			jobsOfOneChallenge},
		{"parallel Enqueue", "of jobs of one challenge, added by many at one time, each comes", parallelEnqueue},
		{"refusals", "a job without Challenge or Expires, or of a priority that there is not, is an error, and so is " +
			"a Run without workers or handler", refusals},
		{"ended context", "a context that has ended adds nothing and runs nothing", endedContext},
		{"priorities", "of jobs that are due, the higher priority comes first", priorities},
		{"free worker", "a worker that becomes free, in whatever Run, gets the waiting job of the highest priority",
			freeWorker},
		{"not before", "a job is not handled before NotBefore, nor does it hold up others", notBefore},
		{"expired", "a job that has expired is dropped unhandled", expiredDropped},
		{"retry", "a job whose handler returns an error is due again, after a pause that grows", retry},
		{"panic", "a job whose handler panics is due again, after a pause that grows", retryPanic},
		{"expired after a failure", "a job that has failed is not handed out from its Expires on", expiredAfterFailure},
		{"workers", "handlers run in at most workers goroutines, and in as many", workersBound},
		{"held", "a job that is with a worker is not handed out until its handler returns, nor when it is done", held},
		{"shared", "several Runs share the jobs: each is handled, and once if nothing fails", runsShare},
		{"stop", "Run waits for its handlers, whose context has ctx's values but not its end, and returns ctx.Err()",
			runStops},
		{"failed at the end", "a job that fails while its Run ends, and those that wait, are left to another Run",
			failedAtEnd},
	}
}

// done is the result of a handler whose job must not come again.
var done time.Time

// patience bounds how long a case waits for an event that must come.
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
	j := store.Job{Challenge: unique("abc-"), Expires: start().Add(time.Hour).In(elsewhere)}
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
func (w *workshop) run(workers int, handle store.Handler) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	returned := make(chan error, 1)
	go func() { returned <- w.Run(ctx, workers, handle) }()
	return func() {
		w.Helper()
		cancel()
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case err := <-returned:
			if !errors.Is(err, context.Canceled) && w.ctx.Err() == nil {
				w.Errorf("Run returned %v, want context.Canceled", err)
			}
		case <-timer.C:
			w.Errorf("Run has not returned %v after the end of its context", patience)
		}
	}
}

// collect starts a Run with one worker that hands the jobs to the caller.
func (w *workshop) collect() (jobs <-chan store.Job, stop func()) {
	c := make(chan store.Job, 1000)
	return c, w.run(1, func(_ context.Context, j store.Job) (time.Time, error) {
		c <- j
		return done, nil
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

// until collects the challenges of the jobs that come before marker.
func (w *workshop) until(marker store.Job, jobs <-chan store.Job) (challenges []string) {
	w.Helper()
	for {
		j := receive(w, jobs, "the marker job")
		if j.Challenge == marker.Challenge {
			return challenges
		}
		challenges = append(challenges, j.Challenge)
	}
}

// is checks that got is the job want.
func (w *workshop) is(got, want store.Job) {
	w.Helper()
	if !got.NotBefore.Equal(want.NotBefore) || !got.Expires.Equal(want.Expires) {
		w.Errorf("job %+v, want %+v", got, want)
	}
	got.NotBefore, got.Expires = want.NotBefore, want.Expires
	if got != want {
		w.Errorf("job %+v, want %+v", got, want)
	}
}

// early gives a job a NotBefore that has passed, and a priority, to see if it keeps them.
func early(j *store.Job) { j.Priority, j.NotBefore = store.High, start().Add(-time.Second) }

// last is a job that comes after all other due jobs.
func last() store.Job {
	return newJob(func(j *store.Job) {
		j.Priority, j.NotBefore = store.Low, time.Now().Add(100*time.Millisecond)
	})
}

func jobArrives(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	before := newJob(func(j *store.Job) { j.Priority, j.Expires = store.High, start().Add(time.Hour) })
	during := newJob(func(j *store.Job) {
		j.Priority, j.NotBefore, j.Expires = store.Low, start().In(elsewhere), start().Add(time.Minute)
	})
	within := newJob()
	w.enqueue(before)
	jobs := make(chan store.Job, 10)
	defer w.run(1, func(ctx context.Context, j store.Job) (time.Time, error) {
		if j.Challenge == during.Challenge {
			if err := w.Enqueue(ctx, within); err != nil {
				w.Errorf("Enqueue by a handler: %v", err)
			}
		}
		jobs <- j
		return done, nil
	})()
	w.is(receive(w, jobs, "the job"), before)
	w.pause(time.Now().Add(20 * time.Millisecond)) // Run is idle by now
	due := time.Now()
	w.enqueue(during)
	w.is(receive(w, jobs, "the job"), during)
	w.prompt(due)
	w.is(receive(w, jobs, "the job of a handler"), within)
}

// prompt checks how long after due an idle worker got a job.
func (w *workshop) prompt(due time.Time) {
	w.Helper()
	most := time.Second
	if !w.virtual() {
		most = 5 * time.Second // the machine may be slow
	}
	if late := time.Since(due); late > most {
		w.Errorf("an idle worker got a job %v after it was due, want it within a second", late)
	}
}

func jobsOfOneChallenge(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	started, release := make(chan store.Job, 10), make(chan struct{})
	defer w.run(3, func(_ context.Context, j store.Job) (time.Time, error) {
		started <- j
		<-release
		return done, nil
	})()
	defer close(release)
	j := newJob()
	w.enqueue(j, j)
	w.is(receive(w, started, "the first job"), j)
	w.is(receive(w, started, "the second job, while the first is with a worker,"), j)
	marker := last()
	w.enqueue(marker)
	if got := receive(w, started, "the marker job"); got.Challenge != marker.Challenge {
		w.Errorf("a third job came of two")
	}
}

func parallelEnqueue(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	j := newJob()
	parallel(racers, func(int) {
		if err := w.Enqueue(w.ctx, j); err != nil {
			w.Errorf("Enqueue: %v", err)
		}
	})
	marker := last()
	w.enqueue(marker)
	jobs, stop := w.collect()
	defer stop()
	if n := len(w.until(marker, jobs)); n != racers {
		w.Errorf("%d jobs came, want %d", n, racers)
	}
}

func refusals(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	for what, edit := range map[string]func(*store.Job){
		"no Challenge":           func(j *store.Job) { j.Challenge = "" },
		"no Expires":             func(j *store.Job) { j.Expires = time.Time{} },
		"a priority beyond High": func(j *store.Job) { j.Priority = store.High + 1 },
		"a priority below Low":   func(j *store.Job) { j.Priority = store.Low - 1 },
	} {
		if err := w.Enqueue(w.ctx, newJob(edit)); err == nil {
			w.Errorf("Enqueue of a job with %s: want an error", what)
		}
	}
	never := func(context.Context, store.Job) (time.Time, error) { return done, nil }
	for what, run := range map[string]func(context.Context) error{
		"0 workers":        func(ctx context.Context) error { return w.Run(ctx, 0, never) },
		"-1 workers":       func(ctx context.Context) error { return w.Run(ctx, -1, never) },
		"a handler of nil": func(ctx context.Context) error { return w.Run(ctx, 1, nil) },
	} {
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		if err := run(ctx); err == nil || errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("Run with %s returned %v, want an error at once", what, err)
		}
		cancel()
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
	if n := len(w.until(marker, jobs)); n != 0 {
		w.Errorf("%d jobs came, want none", n)
	}
}

func endedContext(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	ctx := ended(w)
	wantEnded(w, "Enqueue", w.Enqueue(ctx, newJob()))
	if in := inspector(w); in != nil {
		_, err := in.Stats(ctx)
		wantEnded(w, "Stats", err)
		_, err = in.Dead(ctx, 1)
		wantEnded(w, "Dead", err)
	}
	wantNone(w)
	w.enqueue(newJob())
	err := w.Run(ctx, 1, func(context.Context, store.Job) (time.Time, error) {
		w.Errorf("Run handed out a job")
		return done, nil
	})
	wantEnded(w, "Run", err)
}

func priorities(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	var want [3][]string
	for i := range 30 {
		p := store.Priority(i%3) - 1
		j := newJob(func(j *store.Job) { j.Priority = p })
		want[p+1] = append(want[p+1], j.Challenge)
		w.enqueue(j)
	}
	jobs, stop := w.collect()
	defer stop()
	for p := store.High; p >= store.Low; p-- {
		for range want[p+1] {
			j := receive(w, jobs, "a job")
			if j.Priority != p || !slices.Contains(want[p+1], j.Challenge) {
				w.Fatalf("a job of priority %d came while one of %d was due", j.Priority, p)
			}
		}
	}
}

func freeWorker(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	started, release := make(chan store.Job, 10), make(chan struct{})
	defer w.run(1, func(_ context.Context, j store.Job) (time.Time, error) {
		started <- j
		<-release
		return done, nil
	})()
	proceed := sync.OnceFunc(func() { close(release) })
	defer proceed()
	low := func(j *store.Job) { j.Priority = store.Low }
	w.enqueue(newJob(low), newJob(low), newJob(low))
	receive(w, started, "the first job")
	w.pause(time.Now().Add(20 * time.Millisecond)) // until a Run that takes jobs ahead has them
	high := newJob(func(j *store.Job) { j.Priority = store.High })
	w.enqueue(high)
	release <- struct{}{}
	w.is(receive(w, started, "a job"), high)
	jobs, stop := w.collect()
	defer stop()
	for range 2 {
		receive(w, jobs, "a job that waits, and that a Run without a free worker has left to others,")
	}
}

func notBefore(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	begin := time.Now()
	at := func(d time.Duration) func(*store.Job) {
		return func(j *store.Job) { j.Priority, j.NotBefore = store.High, begin.Add(d) }
	}
	late, soon, now := newJob(at(1500*time.Millisecond)), newJob(at(time.Second)), newJob()
	jobs, stop := w.collect()
	defer stop()
	w.enqueue(late, soon, now)
	for _, want := range []store.Job{now, soon, late} {
		j := receive(w, jobs, "a job")
		if j.Challenge != want.Challenge {
			w.Fatalf("job due at %v came in place of that due at %v", j.NotBefore, want.NotBefore)
		}
		if early := time.Until(j.NotBefore); early > 0 {
			w.Errorf("a job came %v before its NotBefore", early)
		}
		if !j.NotBefore.IsZero() {
			w.prompt(j.NotBefore)
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
	if n := len(w.until(marker, jobs)); n != 0 {
		w.Errorf("%d expired jobs were handled", n)
	}
}

var errJob = errors.New("storetest: the job fails")

// A visit is a job's coming to a handler.
type visit struct {
	store.Job
	at time.Time
}

// after returns the pause between an earlier visit and v.
func (v visit) after(earlier visit) time.Duration { return v.at.Sub(earlier.at) }

// visits starts a Run with one worker for jobs of one challenge. It tells of each
// visit, and answers the nth with answer(n), from 1.
func (w *workshop) visits(answer func(n int) (time.Time, error)) (visits <-chan visit, stop func()) {
	c := make(chan visit, 1000)
	var n atomic.Int64
	return c, w.run(1, func(_ context.Context, j store.Job) (time.Time, error) {
		c <- visit{j, time.Now()}
		return answer(int(n.Add(1)))
	})
}

func retry(t tester, q store.Queue) {
	retried(t, q, func() (time.Time, error) { return done, errJob })
}

func retryPanic(t tester, q store.Queue) {
	retried(t, q, func() (time.Time, error) { panic("storetest: the handler panics") })
}

// retried has a job fail twice.
func retried(t tester, q store.Queue, fail func() (time.Time, error)) {
	t.Helper()
	w, cancel := newWorkshop(t, q)
	defer cancel()
	visits, stop := w.visits(func(n int) (time.Time, error) {
		if n < 3 {
			return fail()
		}
		return done, nil
	})
	defer stop()
	j := newJob(early)
	w.enqueue(j)
	var v [4]visit
	for n := 1; n <= 3; n++ {
		v[n] = receive(w, visits, fmt.Sprint("delivery ", n))
		w.is(v[n].Job, j)
	}
	if first, second := v[2].after(v[1]), v[3].after(v[2]); first <= 0 || second <= first {
		w.Errorf("pauses %v and %v, want them to grow", first, second)
	}
}

func expiredAfterFailure(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	visits, stop := w.visits(func(int) (time.Time, error) { return done, errJob })
	defer stop()
	begin := start()
	j := newJob(func(j *store.Job) { j.Expires = begin.Add(2500 * time.Millisecond) })
	w.enqueue(j)
	receive(w, visits, "the job")
	attempts := 1
	w.pause(j.Expires.Add(4 * time.Second))
	for ; len(visits) > 0; attempts++ {
		if v := <-visits; !v.at.Before(j.Expires) {
			w.Errorf("a job that had failed came %v after its Expires", v.at.Sub(j.Expires))
		}
	}
	if in := inspector(w); in != nil {
		wantDead(w, in, begin, store.DeadLetter{Reason: store.Late, Attempts: attempts}, j)
	}
}
