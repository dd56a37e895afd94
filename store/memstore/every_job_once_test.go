package memstore_test

import (
	"context"
	"strconv"
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
		handle := func(context.Context, store.Job) (time.Time, error) {
			handled <- time.Since(begin)
			return time.Time{}, nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, 1, handle) }()
		synctest.Wait()
		start(t, s, handle)
		synctest.Wait()
		j := store.Job{Challenge: "j", NotBefore: begin.Add(10 * time.Second), Expires: begin.Add(time.Hour)}
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

// TestExpiredWhileItRuns checks that a job that has expired while it was with a
// worker does not come again, and takes no other job of its challenge along.
func TestExpiredWhileItRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		add := func(p store.Priority, notBefore, life time.Duration) {
			t.Helper()
			now := time.Now()
			err := s.Enqueue(t.Context(), store.Job{Challenge: "c", Priority: p, NotBefore: now.Add(notBefore),
				Expires: now.Add(life)})
			if err != nil {
				t.Fatal(err)
			}
		}
		add(store.Low, 0, time.Second)
		<-time.After(2 * time.Second)
		jobs, release := make(chan store.Priority, 10), make(chan struct{})
		start(t, s, func(_ context.Context, j store.Job) (time.Time, error) {
			if jobs <- j.Priority; j.Priority == store.High {
				<-release
				return time.Now().Add(time.Second), nil
			}
			return time.Time{}, nil
		})
		add(store.High, 0, time.Second)
		if got := <-jobs; got != store.High {
			t.Errorf("a job of priority %v came, want high", got)
		}
		<-time.After(20 * time.Second)
		add(store.Normal, time.Minute, time.Hour)
		close(release)
		select {
		case got := <-jobs:
			if got != store.Normal {
				t.Errorf("a job of priority %v came, want normal", got)
			}
		case <-time.After(2 * time.Hour):
			t.Error("the job added while another of its challenge ran never came")
		}
		if st, err := s.Stats(t.Context()); err != nil || st != (store.Stats{Dead: 1}) {
			t.Errorf("Stats %+v, error %v; want the dead letter of the first job only", st, err)
		}
	})
}

// TestAgainAfterExpiry checks that a job is done if it has expired by the time at which
// it would come again, also if its handler gave an earlier time.
func TestAgainAfterExpiry(t *testing.T) {
	t.Parallel()
	for _, took := range []time.Duration{2 * time.Second, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New(memstore.Config{})
			begin := time.Now()
			var calls atomic.Int32
			start(t, s, func(context.Context, store.Job) (time.Time, error) {
				calls.Add(1)
				<-time.After(took)
				return begin, nil
			})
			j := store.Job{Challenge: "c", Expires: begin.Add(time.Second)}
			if err := s.Enqueue(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Hour)
			st, err := s.Stats(t.Context())
			if err != nil || st != (store.Stats{}) || calls.Load() != 1 || s.Entries() != 0 {
				t.Errorf("after %v with a worker: %+v, error %v, %d calls, %d entries; want it done", took, st, err,
					calls.Load(), s.Entries())
			}
		})
	}
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
	handle := func(_ context.Context, j store.Job) (again time.Time, err error) {
		i, err := strconv.Atoi(j.Challenge)
		if err != nil {
			return again, err
		}
		handled[i].Add(1)
		if left.Add(-1) == 0 {
			close(all)
		}
		return again, nil
	}
	go func() {
		for i := range n {
			_ = s.Enqueue(t.Context(), store.Job{Challenge: strconv.Itoa(i), Expires: time.Now().Add(time.Hour)})
		}
	}()
	for running := true; running; { // Runs come and go
		ctx, cancel := context.WithCancel(t.Context())
		var some atomic.Int32
		_ = s.Run(ctx, 4, func(ctx context.Context, j store.Job) (time.Time, error) {
			again, err := handle(ctx, j)
			if some.Add(1) >= 50 || left.Load() == 0 {
				cancel()
			}
			return again, err
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
