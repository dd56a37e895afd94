package redisstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// queues runs the conformance suite on queues of client, and on processes whose client
// on returns.
func queues(t *testing.T, client redisstore.Client, on func(*storetest.Line) redis.UniversalClient, nodes ...node) {
	h := harness(nil, nodes...)
	h.Store, h.Limiter, h.Tracker, h.Credentials = nil, nil, nil, nil
	h.Queue = func(t *testing.T) store.Queue {
		return open(t, redisstore.Config{Client: client, JobAttempts: 3})
	}
	h.Process = func(t *testing.T, q store.Queue) storetest.Process {
		line := &storetest.Line{}
		own := on(line)
		t.Cleanup(func() { own.Close() })
		cfg := redisstore.Config{Client: own, Prefix: q.(*opened).prefix, JobAttempts: 3}
		return storetest.Process{Queue: open(t, cfg), Stop: line.Stop, Resume: line.Resume}
	}
	storetest.Run(t, h)
}

// single returns clients of one server, for queues.
func single(addr string) func(*storetest.Line) redis.UniversalClient {
	return func(l *storetest.Line) redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: addr, Dialer: l.Dial})
	}
}

func TestRealRedisQueue(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	queues(t, client, single(addr), client)
}

func TestRealRedisQueueAutoPipeline(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	pipeline, err := client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipeline.Close() })
	queues(t, pipeline, single(addr), client)
}

func TestRealRedisClusterQueue(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	var nodes []node
	for _, addr := range cluster.Addrs {
		nodes = append(nodes, dial(t, addr))
	}
	queues(t, client, func(l *storetest.Line) redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs, Dialer: l.Dial})
	}, nodes...)
}

// patience bounds how long a test waits for what has to come.
const patience = 30 * time.Second

// work runs s until the returned function is called, which waits for Run.
func work(t testing.TB, s store.Queue, workers int, handle store.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, workers, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want context.Canceled", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// forward is a handler that succeeds.
func forward(c chan<- store.Job) store.Handler {
	return func(_ context.Context, j store.Job) (time.Time, error) {
		c <- j
		return time.Time{}, nil
	}
}

func receive[T any](t testing.TB, c <-chan T, within time.Duration, what string) T {
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

func add(t testing.TB, s store.Queue, jobs ...store.Job) {
	t.Helper()
	for _, j := range jobs {
		if j.Expires.IsZero() {
			j.Expires = time.Now().Add(time.Hour)
		}
		if err := s.Enqueue(t.Context(), j); err != nil {
			t.Fatalf("Enqueue: %v", err)
		}
	}
}

// awaitStats waits until ok says that the stats are right.
func awaitStats(t testing.TB, s store.Inspector, what string, ok func(store.Stats) bool) {
	t.Helper()
	var st store.Stats
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if st, err = s.Stats(t.Context()); err == nil && ok(st) {
			return
		}
	}
	t.Fatalf("Stats %+v, error %v; want %s", st, err, what)
}
