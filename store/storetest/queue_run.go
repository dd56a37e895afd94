package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func workersBound(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	const workers = 4
	var running atomic.Int64
	started, release := make(chan struct{}, 100), make(chan struct{})
	stop := w.run(workers, func(context.Context, store.Job) (time.Time, error) {
		defer running.Add(-1)
		if n := running.Add(1); n > workers {
			w.Errorf("%d handlers run, want at most %d", n, workers)
		}
		started <- struct{}{}
		<-release
		return done, nil
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
	n := 200
	if w.virtual() {
		n = 3000
	}
	challenges := make(chan string, 2*n)
	handle := func(_ context.Context, j store.Job) (time.Time, error) {
		challenges <- j.Challenge
		return done, nil
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
		c := receive(w, challenges, "a job")
		if seen[c] {
			w.Fatalf("the job of %q was handled twice", c)
		}
		seen[c] = true
	}
}

type contextKey struct{}

func runStops(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	ctx, end := context.WithCancel(context.WithValue(w.ctx, contextKey{}, "value"))
	defer end()
	started, release := make(chan struct{}), make(chan struct{})
	returned := make(chan error, 1)
	var finished atomic.Bool
	go func() {
		returned <- w.Run(ctx, 2, func(ctx context.Context, _ store.Job) (time.Time, error) {
			close(started)
			<-release
			if err := ctx.Err(); err != nil || ctx.Value(contextKey{}) != "value" {
				w.Errorf("the handler's context: error %v, value %v", err, ctx.Value(contextKey{}))
			}
			finished.Store(true)
			return done, nil
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
	case <-returned:
		w.Fatalf("Run returned while a handler ran")
	case <-timer.C:
	}
	proceed()
	if err := receive(w, returned, "the end of Run"); !errors.Is(err, context.Canceled) {
		w.Errorf("Run returned %v, want context.Canceled", err)
	}
	if !finished.Load() {
		w.Errorf("Run returned before its handler")
	}
}

func failedAtEnd(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	w.leftToAnother(func() (time.Time, error) { return done, errJob })
}

// leftToAnother has a Run of one worker end while its handler runs, and checks that another
// Run gets the job after its handler has returned answer, and those that have waited.
func (w *workshop) leftToAnother(answer func() (time.Time, error)) {
	w.Helper()
	started, release := make(chan struct{}), make(chan struct{})
	stop := w.run(1, func(context.Context, store.Job) (time.Time, error) {
		close(started)
		<-release
		return answer()
	})
	j := newJob()
	w.enqueue(j)
	receive(w, started, "the handler")
	left := map[string]store.Job{j.Challenge: j}
	for range 3 {
		j := newJob()
		left[j.Challenge] = j
		w.enqueue(j)
	}
	w.pause(time.Now().Add(20 * time.Millisecond))                 // until a Run that takes jobs ahead has them
	time.AfterFunc(20*time.Millisecond, func() { close(release) }) // when stop has ended the context
	stop()
	jobs, stop := w.collect()
	defer stop()
	for len(left) > 0 {
		j := receive(w, jobs, "a job that the ended Run had not handled")
		w.is(j, left[j.Challenge])
		delete(left, j.Challenge)
	}
}

func held(t tester, q store.Queue) {
	w, cancel := newWorkshop(t, q)
	defer cancel()
	started, release := make(chan struct{}, 100), make(chan struct{})
	handle := func(context.Context, store.Job) (time.Time, error) {
		started <- struct{}{}
		<-release
		return done, nil
	}
	defer w.run(2, handle)()
	defer w.run(2, handle)()
	proceed := sync.OnceFunc(func() { close(release) })
	defer proceed()
	w.enqueue(newJob())
	receive(w, started, "the job")
	w.pause(time.Now().Add(time.Second))
	if len(started) > 0 {
		w.Errorf("a job was handed out while it was with a worker")
	}
	proceed()
	w.pause(time.Now().Add(200 * time.Millisecond))
	if len(started) > 0 {
		w.Errorf("a job was handed out after it was done")
	}
}
