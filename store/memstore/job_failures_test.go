package memstore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// start runs s with one worker until the test ends.
func start(t *testing.T, s *memstore.Store, handle store.Handler) {
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
		j := store.Job{Challenge: "j", Expires: begin.Add(100 * time.Second)}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		start(t, s, func(context.Context, store.Job) (time.Time, error) {
			deliveries <- time.Since(begin)
			return time.Time{}, errors.New("fails")
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
		if err != nil || len(dead) != 1 || dead[0].Attempts != 8 || dead[0].Reason != store.Late ||
			dead[0].At.Sub(begin) != 95*time.Second {
			t.Errorf("dead letters %+v, error %v; want the job, late, ended by attempt 8 at 95s", dead, err)
		}
		if n := s.Live(time.Now().Add(24 * time.Hour).UnixNano()); n != 0 {
			t.Errorf("%d jobs are held when all have expired", n)
		}
	})
}

// TestFailureLog checks that failures are logged, without the text of a panic.
func TestFailureLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := memstore.New(memstore.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		done := make(chan struct{})
		attempt := 0
		start(t, s, func(context.Context, store.Job) (again time.Time, err error) {
			switch attempt++; attempt {
			case 1:
				return again, errors.New("no route")
			case 2:
				panic("the code is SECRET")
			}
			close(done)
			return again, nil
		})
		j := store.Job{Challenge: "c", Expires: time.Now().Add(time.Hour)}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		<-done
		synctest.Wait()
		got := log.String()
		for _, want := range []string{"challenge=c attempt=1", "challenge=c attempt=2", `err="no route"`,
			"panicked with a string", "job_failures_test.go"} {
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
		attempt := 0
		handle := func(context.Context, store.Job) (again time.Time, err error) {
			attempt++
			if attempts <- attempt; attempt == 1 {
				runtime.Goexit()
			}
			return again, nil
		}
		if err := s.Enqueue(t.Context(), store.Job{Challenge: "j", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		start(t, s, handle)
		for want := 1; want <= 2; want++ {
			if got := <-attempts; got != want {
				t.Errorf("attempt %d, want %d", got, want)
			}
		}
	})
}

func TestJobAttempts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ set, want int }{{0, 64}, {2, 2}} {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New(memstore.Config{JobAttempts: c.set})
			start(t, s, func(context.Context, store.Job) (again time.Time, err error) {
				return again, errors.New("fails")
			})
			j := store.Job{Challenge: "j", Expires: time.Now().Add(24 * time.Hour)}
			if err := s.Enqueue(t.Context(), j); err != nil {
				t.Fatal(err)
			}
			<-time.After(23 * time.Hour)
			dead, err := s.Dead(t.Context(), 10)
			if err != nil || len(dead) != 1 || dead[0].Reason != store.Failed || dead[0].Attempts != c.want {
				t.Errorf("dead letters %+v, error %v; want one that failed %d times", dead, err, c.want)
			}
		})
	}
}
