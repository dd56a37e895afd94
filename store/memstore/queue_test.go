package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// start runs s with one worker until the test ends.
func start(t *testing.T, s *memstore.Store, handle func(context.Context, store.Job) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx, 1, handle)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		begin := time.Now()
		deliveries := make(chan time.Duration, 100)
		j := store.Job{ID: "j", Expires: begin.Add(100 * time.Second)}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		start(t, s, func(context.Context, store.Job) error {
			deliveries <- time.Since(begin)
			return errors.New("fails")
		})
		for _, seconds := range []int{0, 1, 3, 7, 15, 31, 63, 95} {
			want := time.Duration(seconds) * time.Second
			if got := <-deliveries; got != want {
				t.Errorf("delivery at %v, want %v", got, want)
			}
		}
		select {
		case at := <-deliveries:
			t.Errorf("delivery at %v, after Expires", at)
		case <-time.After(time.Hour):
		}
		dead, err := s.Dead(t.Context(), 10)
		if err != nil || len(dead) != 1 || dead[0].Job.Attempt != 8 || dead[0].Reason != store.Late ||
			dead[0].At.Sub(begin) != 95*time.Second {
			t.Errorf("dead letters %+v, error %v; want the job, late, ended by attempt 8 at 95s", dead, err)
		}
		if n := s.Live(time.Now().Add(24 * time.Hour).UnixNano()); n != 0 {
			t.Errorf("%d jobs are held when all have expired", n)
		}
	})
}

// TestFailureLog checks what is logged of failures: not what a panic says.
func TestFailureLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := memstore.New(memstore.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		done := make(chan struct{})
		start(t, s, func(_ context.Context, j store.Job) error {
			switch j.Attempt {
			case 1:
				return errors.New("no route")
			case 2:
				panic("the code is SECRET")
			}
			close(done)
			return nil
		})
		j := store.Job{ID: "c/1/silence", Challenge: "c", Step: 1, Expires: time.Now().Add(time.Hour)}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		<-done
		synctest.Wait()
		got := log.String()
		for _, want := range []string{"job=c/1/silence", "challenge=c", "step=1", `err="no route"`,
			"panicked with a string", "queue_test.go"} {
			if !strings.Contains(got, want) {
				t.Errorf("log lacks %q:\n%s", want, got)
			}
		}
		if strings.Contains(got, "SECRET") {
			t.Errorf("log tells what the panic said:\n%s", got)
		}
	})
}

// TestGoexit checks that neither a job nor its worker is lost with the
// goroutine it ends, and that Run ends with ctx all the same.
func TestGoexit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{})
		attempts := make(chan int, 10)
		handle := func(_ context.Context, j store.Job) error {
			if attempts <- j.Attempt; j.Attempt == 1 {
				runtime.Goexit()
			}
			return nil
		}
		if err := s.Enqueue(t.Context(), store.Job{ID: "j", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		start(t, s, handle)
		for want := 1; want <= 2; want++ {
			if got := <-attempts; got != want {
				t.Errorf("Attempt %d, want %d", got, want)
			}
		}
	})
}

func TestQueueFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New(memstore.Config{MaxJobs: 2})
		add := func(id string, life time.Duration) error {
			return s.Enqueue(t.Context(), store.Job{ID: id, Expires: time.Now().Add(life)})
		}
		if err := errors.Join(add("long", time.Hour), add("short", 1500*time.Millisecond), add("long", time.Hour),
			add("past", 0)); err != nil {
			t.Fatal(err)
		}
		if err := add("more", time.Hour); !errors.Is(err, store.ErrFull) {
			t.Fatalf("Enqueue in a full queue: error %v, want ErrFull", err)
		}
		<-time.After(1500 * time.Millisecond)
		if err := add("more", time.Hour); err != nil {
			t.Fatalf("Enqueue when one of a full queue has expired: %v", err)
		}
		ids := make(chan string, 10)
		start(t, s, func(_ context.Context, j store.Job) error { ids <- j.ID; return nil })
		if got := <-ids + " " + <-ids; got != "long more" {
			t.Errorf("jobs %s, want long more", got)
		}
	})
}

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

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	s := memstore.New(memstore.Config{})
	if err := s.Run(t.Context(), 0, func(context.Context, store.Job) error { return nil }); err == nil {
		t.Error("Run without workers: want an error")
	}
	if err := s.Run(t.Context(), 1, nil); err == nil {
		t.Error("Run without a handler: want an error")
	}
}
