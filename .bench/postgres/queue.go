package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

const queueWorkers = 64

// measureQueue prints how many jobs a second come through.
func measureQueue(b *bench) error {
	for _, sync := range []string{"off", "on"} {
		q, pool, _, err := b.open(sync)
		if err != nil {
			return err
		}
		var rates []float64
		n := 5000
		for range b.rounds {
			rate, err := bothWays(b.ctx, q, n)
			if err != nil {
				return err
			}
			rates = append(rates, rate)
			n = max(int(rate*3*b.each.Seconds()), 2000)
		}
		fmt.Printf("RATE postgres queue both-ways sync=%s %.0f\n", sync, median(rates))
		pool.Close()
	}
	return nil
}

// bothWays enqueues n jobs while workers handle them, and returns how many a second there
// were.
func bothWays(ctx context.Context, q store.Queue, n int) (float64, error) {
	working, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	var handled atomic.Int64
	began := time.Now()
	go func() {
		ended <- q.Run(working, queueWorkers, func(context.Context, store.Job) (time.Time, error) {
			if handled.Add(1) == int64(n) {
				cancel()
			}
			return time.Time{}, nil
		})
	}()
	err := inParallel(queueWorkers, n, func(i int) error {
		return q.Enqueue(ctx, store.Job{Challenge: "c-" + strconv.Itoa(i), Expires: time.Now().Add(5 * time.Minute)})
	})
	if ran := <-ended; !errors.Is(ran, context.Canceled) {
		err = errors.Join(err, fmt.Errorf("%d of %d jobs: %w", handled.Load(), n, ran))
	}
	return float64(n) / time.Since(began).Seconds(), err
}
