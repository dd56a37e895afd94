package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// takes is how long a handler waits: for a carrier that answers after it.
const takes = 20 * time.Millisecond

// stored is how many jobs tell what one takes.
const stored = 10_000

// measureWorkers: one Run with several workers, for each backend.
func measureWorkers(b *bench) ([]table, error) {
	t := table{
		title: fmt.Sprintf("**Workers** of one queue. A job waits %v for its carrier; the bound is that of the "+
			"workers. The delay is from Enqueue to the handler, at half of the bound. The last rows are of jobs "+
			"that wait for nothing.", takes),
		heads: []string{"store", "workers", "jobs/s", "of the bound", "p99 of the delay, ms", "CPU of a job, µs",
			"octets of a job", "SHA-256, million/s"},
	}
	for _, kind := range backends {
		back, err := kind.open(b.ctx, 0)
		if err == nil {
			err = b.workersOf(&t, back)
		}
		if back != nil {
			back.close()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
	}
	return []table{t}, nil
}

func (b *bench) workersOf(t *table, back *backend) error {
	for _, workers := range []int{1, 2, 4, 8, 16, 32} {
		machine := speed()
		bound := float64(workers) / takes.Seconds()
		n := max(int(bound*b.each.Seconds()), workers)
		if err := enqueue(b.ctx, back.store, n); err != nil {
			return err
		}
		rate, cpu, err := work(b.ctx, back.store, workers, n, func() { <-time.After(takes) })
		if err != nil {
			return err
		}
		delay, err := b.delay(back.store, workers, max(n/2, 20))
		if err != nil {
			return err
		}
		t.add(back.name, workers, thousands(rate), fmt.Sprintf("%.2f", rate/bound), millis(delay), micros(cpu.all()),
			"", machine)
	}
	empty, err := back.size()
	if err != nil {
		return err
	}
	if err := enqueue(b.ctx, back.store, stored); err != nil {
		return err
	}
	size, err := back.size()
	if err != nil {
		return err
	}
	machine := speed()
	rate, cpu, err := work(b.ctx, back.store, 64, stored, func() {})
	if err != nil {
		return err
	}
	t.add(back.name, "64, no wait", thousands(rate), "–", "–", micros(cpu.all()), thousands((size-empty)/stored),
		machine)
	return nil
}

func enqueue(ctx context.Context, q store.Queue, n int) error {
	return inAll(64, n, func(i int) error {
		return q.Enqueue(ctx, store.Job{Challenge: "challenge-" + strconv.Itoa(i), Expires: time.Now().Add(time.Hour)})
	})
}

// work handles the n jobs that the queue has. It returns how many it did in a second, and the time
// on processors for each.
func work(ctx context.Context, q store.Queue, workers, n int, wait func()) (rate float64, cpu usage, err error) {
	working, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var handled atomic.Int64
	before, began := cpuTime(), time.Now()
	err = q.Run(working, workers, func(context.Context, store.Job) (time.Time, error) {
		wait()
		if handled.Add(1) == int64(n) {
			cancel()
		}
		return time.Time{}, nil
	})
	if got := handled.Load(); !errors.Is(err, context.Canceled) || got != int64(n) {
		return 0, usage{}, fmt.Errorf("%d of %d jobs: %w", got, n, err)
	}
	return float64(n) / time.Since(began).Seconds(), cpuTime().since(before).each(n), nil
}

// delay returns the 99th percentile of the delay of n jobs that come evenly, as often as half of the
// workers can take.
func (b *bench) delay(q store.Queue, workers, n int) (time.Duration, error) {
	working, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	var mu sync.Mutex
	var delays []time.Duration
	added := make([]time.Time, n)
	ended := make(chan error, 1)
	go func() {
		ended <- q.Run(working, workers, func(_ context.Context, j store.Job) (time.Time, error) {
			now := time.Now()
			i, err := strconv.Atoi(j.Challenge)
			mu.Lock()
			delays = append(delays, now.Sub(added[i]))
			last := len(delays) == n
			mu.Unlock()
			<-time.After(takes)
			if last {
				cancel()
			}
			return time.Time{}, err
		})
	}()
	ticker := time.NewTicker(2 * takes / time.Duration(workers))
	defer ticker.Stop()
	_, err := measure(1, n, math.MaxInt64, func(i int) error {
		<-ticker.C
		mu.Lock()
		added[i] = time.Now()
		mu.Unlock()
		return q.Enqueue(b.ctx, store.Job{Challenge: strconv.Itoa(i), Expires: time.Now().Add(time.Hour)})
	})
	if err != nil {
		cancel()
	}
	if ran := <-ended; !errors.Is(ran, context.Canceled) || len(delays) != n {
		err = errors.Join(err, fmt.Errorf("%d of %d jobs: %w", len(delays), n, ran))
	}
	if err != nil {
		return 0, err
	}
	return p99(delays), nil
}
