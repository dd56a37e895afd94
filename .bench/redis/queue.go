package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
)

const (
	queueWorkers = 64
	idleJobs     = 300
	idlePause    = 3 * time.Millisecond
)

func measureQueue(ctx context.Context, client *redis.Client, rounds int, each time.Duration) error {
	var rates, idles, halves []float64
	n := 20_000
	for range rounds {
		rate, err := bothWays(ctx, client, n)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
		n = max(int(rate*each.Seconds()), 2000)
		idle, err := delays(ctx, client, idleJobs, idlePause)
		if err != nil {
			return err
		}
		idles = append(idles, idle)
		half, err := delays(ctx, client, n/2, time.Duration(2e9/rate))
		if err != nil {
			return err
		}
		halves = append(halves, half)
	}
	fmt.Printf("RATE redis queue both-ways %.0f\n", median(rates))
	fmt.Printf("P99 redis queue idle %.0f\n", median(idles))
	fmt.Printf("P99 redis queue half-load %.0f\n", median(halves))
	return nil
}

// open returns an empty queue.
func open(ctx context.Context, client *redis.Client) (store.Queue, error) {
	if err := client.FlushAll(ctx).Err(); err != nil {
		return nil, err
	}
	return redisstore.New(redisstore.Config{Client: client})
}

func job(i int) store.Job {
	return store.Job{Challenge: "c-" + strconv.Itoa(i), Expires: time.Now().Add(5 * time.Minute)}
}

// consume handles n jobs of q in the background. The function it returns waits
// for them.
func consume(ctx context.Context, q store.Queue, n int, handle func(store.Job)) func() error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	ended := make(chan error, 1)
	var handled atomic.Int64
	go func() {
		ended <- q.Run(ctx, queueWorkers, func(_ context.Context, j store.Job) (time.Time, error) {
			handle(j)
			if handled.Add(1) == int64(n) {
				cancel()
			}
			return time.Time{}, nil
		})
	}()
	return func() error {
		defer cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%d of %d jobs: %w", handled.Load(), n, err)
		}
		return nil
	}
}

func bothWays(ctx context.Context, client *redis.Client, n int) (float64, error) {
	q, err := open(ctx, client)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	wait := consume(ctx, q, n, func(store.Job) {})
	err = inParallel(queueWorkers, n, func(i int) error { return q.Enqueue(ctx, job(i)) })
	err = errors.Join(err, wait())
	return float64(n) / time.Since(began).Seconds(), err
}

// delays returns the 99th percentile of the time from Enqueue to the handler, in
// µs, of n jobs that come so far apart.
func delays(ctx context.Context, client *redis.Client, n int, apart time.Duration) (float64, error) {
	q, err := open(ctx, client)
	if err != nil {
		return 0, err
	}
	came := make([]time.Time, n)
	var mu sync.Mutex
	var took []time.Duration
	wait := consume(ctx, q, n, func(j store.Job) {
		i, _ := strconv.Atoi(j.Challenge[len("c-"):])
		mu.Lock()
		took = append(took, time.Since(came[i]))
		mu.Unlock()
	})
	began := time.Now()
	err = inParallel(queueWorkers, n, func(i int) error {
		due := began.Add(time.Duration(i) * apart)
		time.Sleep(time.Until(due))
		came[i] = time.Now()
		return q.Enqueue(ctx, job(i))
	})
	if err = errors.Join(err, wait()); err != nil {
		return 0, err
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100].Microseconds()), nil
}
