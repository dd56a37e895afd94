package memstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// TestWatchHandedOver checks that a job that is to come is not forgotten with
// the worker that watched the clock for it.
func TestWatchHandedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		begin := time.Now()
		handled := make(chan time.Duration, 1)
		handle := func(context.Context, store.Job) error {
			handled <- time.Since(begin)
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, 1, handle) }()
		synctest.Wait()
		start(t, s, handle)
		synctest.Wait()
		j := store.Job{ID: "j", NotBefore: begin.Add(10 * time.Second), Expires: begin.Add(time.Hour)}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		<-ended
		select {
		case at := <-handled:
			if at != 10*time.Second {
				t.Errorf("the job due at 10s came at %v", at)
			}
		case <-time.After(time.Hour):
			t.Error("the job never came")
		}
	})
}

// TestSameIDAnew checks that a job that has expired does not meddle with one
// that was added under its ID, be it waiting or with a worker.
func TestSameIDAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		add := func(id string, step int, notBefore, life time.Duration) {
			t.Helper()
			now := time.Now()
			err := s.Enqueue(t.Context(), store.Job{ID: id, Step: step, NotBefore: now.Add(notBefore),
				Expires: now.Add(life)})
			if err != nil {
				t.Fatal(err)
			}
		}
		add("waiting", 1, 0, time.Second)
		<-time.After(2 * time.Second)
		add("waiting", 2, 0, time.Hour)
		steps, release := make(chan int, 10), make(chan struct{})
		start(t, s, func(_ context.Context, j store.Job) error {
			if steps <- j.Step; j.Step == 3 {
				<-release
			}
			return nil
		})
		if got := <-steps; got != 2 {
			t.Errorf("step %d of the job that waited, want 2", got)
		}
		add("running", 3, 0, time.Second)
		if got := <-steps; got != 3 {
			t.Errorf("step %d of the job that runs, want 3", got)
		}
		<-time.After(2 * time.Second)
		add("running", 4, time.Minute, time.Hour)
		close(release)
		select {
		case got := <-steps:
			if got != 4 {
				t.Errorf("step %d of the job added meanwhile, want 4", got)
			}
		case <-time.After(time.Hour):
			t.Error("the job added while its like ran never came")
		}
	})
}

// TestEveryJobOnce runs many jobs that come while workers go.
func TestEveryJobOnce(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	const n = 2000
	var handled [n]atomic.Int32
	var left atomic.Int32
	left.Store(n)
	all := make(chan struct{})
	handle := func(_ context.Context, j store.Job) error {
		handled[j.Step].Add(1)
		if left.Add(-1) == 0 {
			close(all)
		}
		return nil
	}
	go func() {
		for i := range n {
			_ = s.Enqueue(t.Context(), store.Job{ID: fmt.Sprint(i), Step: i, Expires: time.Now().Add(time.Hour)})
		}
	}()
	for running := true; running; { // Runs come and go
		ctx, cancel := context.WithCancel(t.Context())
		var some atomic.Int32
		_ = s.Run(ctx, 4, func(ctx context.Context, j store.Job) error {
			err := handle(ctx, j)
			if some.Add(1) >= 50 || left.Load() == 0 {
				cancel()
			}
			return err
		})
		cancel()
		select {
		case <-all:
			running = false
		default:
		}
	}
	for i := range handled {
		if got := handled[i].Load(); got != 1 {
			t.Errorf("job %d was handled %d times", i, got)
		}
	}
}
