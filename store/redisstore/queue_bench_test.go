package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

const benchWorkers = 64

func newBenchClient(b *testing.B, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 4 * benchWorkers})
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// produce calls add(0) to add(n-1) from many goroutines.
func produce(b *testing.B, n int, add func(i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchWorkers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := add(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRealRedisQueue takes jobs in from 64 goroutines and hands them to
// 64 workers at the same time, and beside that does the least that Streams
// allow: one XADD for each, XREADGROUP of 64 at a time, and XACK of them.
func BenchmarkRealRedisQueue(b *testing.B) {
	server := redistest.Start(b)
	b.Run("jobs", func(b *testing.B) {
		s := open(b, redisstore.Config{Client: newBenchClient(b, server.Addr), MaxJobs: 1 << 30})
		ctx, cancel := context.WithCancel(b.Context())
		var handled atomic.Int64
		stopped := make(chan error, 1)
		expires := time.Now().Add(5 * time.Minute)
		b.ReportAllocs()
		b.ResetTimer()
		n := b.N
		all := make(chan struct{})
		go func() {
			stopped <- s.Run(ctx, benchWorkers, func(context.Context, store.Job) (time.Time, error) {
				if handled.Add(1) == int64(n) {
					close(all)
				}
				return time.Time{}, nil
			})
		}()
		produce(b, n, func(i int) error {
			return s.Enqueue(ctx, store.Job{Challenge: strconv.Itoa(i), Expires: expires})
		})
		<-all
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
		b.StopTimer()
		cancel()
		<-stopped
		if handled.Load() != int64(n) {
			b.Fatalf("%d jobs were handled, want %d", handled.Load(), n)
		}
	})
	b.Run("bare", func(b *testing.B) {
		c := newBenchClient(b, server.Addr)
		ctx, stream := b.Context(), fmt.Sprint(b.Name(), b.N)
		if err := c.XGroupCreateMkStream(ctx, stream, "g", "0").Err(); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.ResetTimer()
		n := b.N
		var wg sync.WaitGroup
		wg.Go(func() {
			for read := 0; read < n; {
				got, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{
					Group: "g", Consumer: "c",
					Streams: []string{stream, ">"}, Count: benchWorkers, Block: time.Second,
				}).Result()
				if err != nil {
					continue
				}
				ids := make([]string, 0, benchWorkers)
				for _, m := range got[0].Messages {
					ids = append(ids, m.ID)
				}
				if err := c.XAck(ctx, stream, "g", ids...).Err(); err != nil {
					b.Error(err)
				}
				read += len(ids)
			}
		})
		produce(b, n, func(i int) error {
			return c.XAdd(ctx, &redis.XAddArgs{Stream: stream,
				Values: []string{"job", strconv.Itoa(i) + "/1/send"}}).Err()
		})
		wg.Wait()
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
	})
}

// BenchmarkRealRedisQueueLatency is the time from the call of Enqueue to that
// of the handler in a queue that has nothing else to do.
func BenchmarkRealRedisQueueLatency(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, redisstore.Config{Client: newBenchClient(b, server.Addr)})
	ctx, cancel := context.WithCancel(b.Context())
	begun := make(chan time.Time)
	stopped := make(chan error, 1)
	go func() {
		stopped <- s.Run(ctx, 8, func(context.Context, store.Job) (time.Time, error) {
			begun <- time.Now()
			return time.Time{}, nil
		})
	}()
	var took []time.Duration
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		at := time.Now()
		j := store.Job{Challenge: strconv.Itoa(n), Expires: at.Add(time.Minute)}
		if err := s.Enqueue(ctx, j); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-begun).Sub(at))
	}
	b.StopTimer()
	cancel()
	<-stopped
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
