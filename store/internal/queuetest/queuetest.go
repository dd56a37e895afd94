// Package queuetest has the steps of tests of queues.
package queuetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Patience bounds how long a test waits for an event.
const Patience = 60 * time.Second

// Work runs q until the returned function is called, which waits for Run, or the test ends.
func Work(t testing.TB, q store.Queue, workers int, handle store.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx, workers, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want context.Canceled", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Forward is a handler that succeeds.
func Forward(c chan<- store.Job) store.Handler {
	return func(_ context.Context, j store.Job) (time.Time, error) {
		c <- j
		return time.Time{}, nil
	}
}

// Receive returns the next value of c, which has to come within a time.
func Receive[T any](t testing.TB, c <-chan T, within time.Duration, what string) T {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("%s did not come within %v", what, within)
		panic("unreachable")
	}
}

// Add enqueues jobs. One without Expires lives for an hour.
func Add(t testing.TB, q store.Queue, jobs ...store.Job) {
	t.Helper()
	for _, j := range jobs {
		if j.Expires.IsZero() {
			j.Expires = time.Now().Add(time.Hour)
		}
		if err := q.Enqueue(t.Context(), j); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

// AwaitStats waits until ok says that the stats are right.
func AwaitStats(t testing.TB, q store.Inspector, what string, ok func(store.Stats) bool) {
	t.Helper()
	var st store.Stats
	var err error
	for end := time.Now().Add(Patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if st, err = q.Stats(t.Context()); err == nil && ok(st) {
			return
		}
	}
	t.Fatalf("Stats %+v, error %v; want %s", st, err, what)
}

// Are is for AwaitStats: the stats are as wanted.
func Are(want store.Stats) func(store.Stats) bool {
	return func(st store.Stats) bool { return st == want }
}

// Nothing is for AwaitStats: there is no job, and no dead letter.
var Nothing = Are(store.Stats{})
