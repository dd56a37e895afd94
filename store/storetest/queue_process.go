package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A Process stands for a process that works on a queue. The case runs its workers by Run,
// and decides how they die. For a backend behind a network, a [Line] has Stop and Resume:
//
//	Process: func(t *testing.T, q store.Queue) storetest.Process {
//		line := &storetest.Line{}
//		return storetest.Process{Queue: openOver(t, q, line.Dial), Stop: line.Stop, Resume: line.Resume}
//	}
type Process struct {
	store.Queue

	// Stop separates the process from the backend: until Resume, none of its calls
	// reaches the backend, and no answer comes. Connections may be held or cut.
	// Without a Resume the process is dead.
	Stop func()

	// Resume ends Stop. The calls that the process held back, and those that it
	// repeats, reach the backend.
	Resume func()
}

// processes is the part of a tester by which a case gets a process; nil: a queue does
// not outlive its process.
type processes struct {
	open     func(q store.Queue) Process
	takeover time.Duration
}

// defaultTakeover is the default of Harness.Takeover.
const defaultTakeover = 5 * time.Second

// processes returns how cases get processes on h's queues.
func (h *Harness) processes(t *testing.T) processes {
	p := processes{takeover: h.Takeover}
	if p.takeover == 0 {
		p.takeover = defaultTakeover
	}
	if h.Process != nil {
		p.open = func(q store.Queue) Process { return h.Process(t, q) }
	}
	return p
}

func processCases() []testCase[store.Queue] {
	return []testCase[store.Queue]{
		{"heartbeat", "each job of a Run stays with its worker for longer than a dead worker's job would", heartbeat},
		{"end of Run", "a job stays with a Run that ends while its handler runs, and does not come again if it is done",
			endOfRun},
		{"goes on", "a Run whose process was stopped, and goes on, gets jobs again", goesOn},
		{"dead worker", "a job whose worker's process has died comes to another, in time, and has failed once",
			deadWorker},
		{"former worker",
			"what a worker reports of a job that was handed out anew neither ends the job nor hands it out",
			formerWorker},
	}
}

// process opens a process on w's queue; false if a queue does not outlive its process.
func (w *workshop) process() (Process, bool) {
	p := w.processes()
	if p.open == nil {
		w.Logf("no Harness.Process: nothing to test")
		return Process{}, false
	}
	return p.open(w.Queue), true
}

// runIn starts a Run in p. The function end ends its context, so that it begins no
// more jobs; stop also resumes p, and waits for the Run.
func (w *workshop) runIn(p Process, workers int, handle store.Handler) (end, stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	var run sync.WaitGroup
	run.Go(func() { _ = p.Run(ctx, workers, handle) })
	return cancel, func() {
		p.Resume()
		cancel()
		run.Wait()
	}
}

func heartbeat(t tester, q store.Queue) {
	takeover := t.processes().takeover
	ctx, cancel := context.WithTimeout(t.Context(), patience+2*takeover)
	defer cancel()
	w := &workshop{t, q, ctx}
	started, release := make(chan struct{}, 100), make(chan struct{})
	handle := func(context.Context, store.Job) (time.Time, error) {
		started <- struct{}{}
		<-release
		return done, nil
	}
	defer w.run(3, handle)()
	defer close(release)
	w.enqueue(newJob(), newJob(), newJob())
	for range 3 {
		receive(w, started, "a job")
	}
	defer w.run(3, handle)()
	w.pause(time.Now().Add(takeover + takeover/2))
	if len(started) > 0 {
		w.Errorf("a job came to another worker though the process of the first lives")
	}
}

func endOfRun(t tester, q store.Queue) {
	takeover := t.processes().takeover
	ctx, cancel := context.WithTimeout(t.Context(), patience+4*takeover)
	defer cancel()
	w := &workshop{t, q, ctx}
	started, release := make(chan struct{}, 100), make(chan struct{})
	end := w.run(3, func(context.Context, store.Job) (time.Time, error) {
		started <- struct{}{}
		<-release
		return done, nil
	})
	w.enqueue(newJob(), newJob(), newJob())
	for range 3 {
		receive(w, started, "a job")
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		end()
	}()
	proceed := sync.OnceFunc(func() { close(release) })
	defer proceed()
	jobs, stop := w.collect()
	defer stop()
	w.pause(time.Now().Add(takeover + takeover/2))
	if len(jobs) > 0 {
		w.Errorf("a job came to another worker though its handler runs, in a Run that ends")
	}
	proceed()
	receive(w, ended, "the end of Run")
	w.pause(time.Now().Add(takeover + time.Second))
	marker := last()
	w.enqueue(marker)
	if n := len(w.until(marker, jobs)); n > 0 {
		w.Errorf("%d jobs came again that were done while their Run ended", n)
	}
}

func goesOn(t tester, q store.Queue) {
	takeover := t.processes().takeover
	ctx, cancel := context.WithTimeout(t.Context(), patience+2*takeover)
	defer cancel()
	w := &workshop{t, q, ctx}
	p, ok := w.process()
	if !ok {
		return
	}
	taken := make(chan store.Job, 10)
	_, stop := w.runIn(p, 1, func(_ context.Context, j store.Job) (time.Time, error) {
		taken <- j
		return done, nil
	})
	defer stop()
	w.enqueue(newJob())
	receive(w, taken, "the job before the process is stopped")
	p.Stop()
	j := newJob()
	w.enqueue(j)
	w.pause(time.Now().Add(takeover))
	p.Resume()
	w.is(receive(w, taken, "the job for a process that goes on"), j)
}

func deadWorker(t tester, q store.Queue) {
	takeover := t.processes().takeover
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	w := &workshop{t, q, ctx}
	p, ok := w.process()
	if !ok {
		return
	}
	taken, release := make(chan store.Job, 10), make(chan struct{})
	_, end := w.runIn(p, 1, func(_ context.Context, j store.Job) (time.Time, error) {
		taken <- j
		<-release
		return done, nil
	})
	defer end()
	defer close(release)
	j := newJob(early)
	w.enqueue(j)
	receive(w, taken, "the job, in the process that is to die,")
	p.Stop()
	died := time.Now()
	visits, stop := w.visits(func(int) (time.Time, error) { return done, errJob })
	defer stop()
	v := receive(w, visits, "the job of a worker that died")
	w.is(v.Job, j)
	most := takeover
	if !w.virtual() {
		most = 3 * takeover // the machine may be slow
	}
	if took := v.at.Sub(died); took > most {
		w.Errorf("a dead worker's job came after %v, want it within %v", took, takeover)
	}
	in := inspector(w)
	if in == nil {
		return
	}
	wantStats(w, in, store.Stats{Dead: 1})
	dead, err := in.Dead(w.ctx, 1)
	if err != nil || len(dead) != 1 {
		w.Fatalf("dead letters %+v, error %v; want one", dead, err)
	}
	if came := len(visits) + 1; dead[0].Attempts != came+1 {
		w.Errorf("a job failed %d times, after its first worker had died; its letter says %d attempts, want %d",
			came, dead[0].Attempts, came+1)
	}
}

// formerWorker stops a process with three jobs. When they are with other
// workers it goes on, and reports their ends: one is done, one failed, one is to come
// again.
func formerWorker(t tester, q store.Queue) {
	takeover := t.processes().takeover
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience+5*takeover)
	defer cancel()
	w := &workshop{t, q, ctx}
	p, ok := w.process()
	if !ok {
		return
	}
	ends := map[string]func() (time.Time, error){}
	for _, end := range []func() (time.Time, error){
		func() (time.Time, error) { return done, nil },
		func() (time.Time, error) { return done, errJob },
		func() (time.Time, error) { return time.Now(), nil },
	} {
		ends[newJob().Challenge] = end
	}
	taken, proceed := make(chan store.Job, 10), make(chan struct{})
	former := sync.OnceFunc(func() { close(proceed) })
	end, stop := w.runIn(p, len(ends), func(_ context.Context, j store.Job) (time.Time, error) {
		taken <- j
		<-proceed
		return ends[j.Challenge]()
	})
	defer stop()
	defer former()
	for c := range ends {
		w.enqueue(newJob(func(j *store.Job) { j.Challenge = c }))
	}
	for range ends {
		receive(w, taken, "a job, in the process that is to stop,")
	}
	p.Stop()
	end() // it begins no more jobs, and does not get those that the heirs fail
	heirs := w.heirs(len(ends))
	defer heirs.stop()
	p.Resume()
	w.pause(time.Now().Add(takeover / 2)) // it sends heartbeats for what it takes for its jobs
	former()
	w.pause(time.Now().Add(takeover/2 + time.Second)) // until it has reported
	if n := len(heirs.visits); n > 0 {
		w.Errorf("%d jobs were handed out while they were with their new workers", n)
	}
	heirs.fail()
	for range ends {
		receive(w, heirs.visits, "a job that its new worker has failed, and not its former,")
	}
}

// heirs are the workers that get the jobs of a stopped process.
type heirs struct {
	visits <-chan visit // after the first of each job
	fail   func()       // ends the first visits
	stop   func()
}

// heirs starts workers, and waits until they have n jobs.
func (w *workshop) heirs(n int) heirs {
	w.Helper()
	visits, release := make(chan visit, 100), make(chan struct{})
	fail := sync.OnceFunc(func() { close(release) })
	var mu sync.Mutex
	seen := map[string]bool{}
	stop := w.run(3*n, func(_ context.Context, j store.Job) (time.Time, error) {
		mu.Lock()
		again := seen[j.Challenge]
		seen[j.Challenge] = true
		mu.Unlock()
		visits <- visit{j, time.Now()}
		if again {
			return done, nil
		}
		<-release
		return done, errJob
	})
	for range n {
		receive(w, visits, "a job of a worker that has stopped")
	}
	return heirs{visits, fail, func() { fail(); stop() }}
}
