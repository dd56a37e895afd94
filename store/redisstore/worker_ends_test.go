package redisstore_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/internal/queuetest"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisQueuePool checks that Runs leave room to others in a pool of
// what they say they need.
func TestRealRedisQueuePool(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr, PoolSize: 3,
		PoolTimeout: 200 * time.Millisecond})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	jobs := make(chan store.Job, 100)
	queuetest.Work(t, s, 8, queuetest.Forward(jobs))
	for i := range 50 {
		queuetest.Add(t, s, store.Job{Challenge: strconv.Itoa(i)})
		queuetest.Receive(t, jobs, queuetest.Patience, "a job")
	}
}

// TestRealRedisQueueOutOfOrder checks that, in whatever order jobs end, what is
// done is gone from the stream and what is not is there.
func TestRealRedisQueueOutOfOrder(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	const jobs = 300
	ends, began := map[string]chan struct{}{}, make(chan string, jobs)
	var all []string
	for i := range jobs {
		all = append(all, strconv.Itoa(i))
		ends[all[i]] = make(chan struct{})
	}
	var adding sync.WaitGroup
	for _, id := range all {
		adding.Go(func() { queuetest.Add(t, s, store.Job{Challenge: id}) }) // at one time, so many in one ms
	}
	adding.Wait()
	queuetest.Work(t, s, jobs, func(_ context.Context, j store.Job) (time.Time, error) {
		began <- j.Challenge
		<-ends[j.Challenge]
		return time.Time{}, nil
	})
	left := jobs
	t.Cleanup(func() {
		for _, id := range all[:left] {
			close(ends[id])
		}
	})
	for range jobs {
		queuetest.Receive(t, began, queuetest.Patience, "a job")
	}
	rand.Shuffle(jobs, func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, done := range []int{1, 30, 100, 166, 3} { // the last are anywhere
		for range done {
			left--
			close(ends[all[left]])
		}
		queuetest.AwaitStats(t, s, "those that run", queuetest.Are(store.Stats{Running: left}))
	}
	if left != 0 {
		t.Errorf("%d left", left)
	}
}

func TestRealRedisQueueRefusesRun(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	if err := s.Run(t.Context(), 0, queuetest.Forward(nil)); err == nil {
		t.Error("Run without workers: want an error")
	}
	if err := s.Run(t.Context(), 1, nil); err == nil {
		t.Error("Run without a handler: want an error")
	}
}

// TestRealRedisQueueGoexit checks that neither a job nor its worker is lost
// with the goroutine that a handler ends, and what the log tells of a failure.
func TestRealRedisQueueGoexit(t *testing.T) {
	t.Parallel()
	var log lines
	s := open(t, redisstore.Config{
		Client: dial(t, redistest.Start(t).Addr),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	attempts, n := make(chan int, 10), 0
	stop := queuetest.Work(t, s, 1, func(context.Context, store.Job) (time.Time, error) {
		n++
		attempts <- n
		switch n {
		case 1:
			runtime.Goexit()
		case 2:
			panic("the code is SECRET")
		}
		return time.Time{}, nil
	})
	queuetest.Add(t, s, store.Job{Challenge: "c"})
	for want := 1; want <= 3; want++ {
		queuetest.Receive(t, attempts, queuetest.Patience, "an attempt")
	}
	stop()
	for _, want := range []string{"challenge=c", "attempt=1", "attempt=2", "ended its goroutine",
		"panicked with a string"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "SECRET") {
		t.Errorf("log tells what the panic said:\n%s", log.String())
	}
}
