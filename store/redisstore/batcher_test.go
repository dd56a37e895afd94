package redisstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// An echo answers each query with itself, after takes, and notes the batches.
type echo struct {
	batcher[int, int]
	takes time.Duration

	mu      sync.Mutex
	batches [][]int
}

func newEcho(takes time.Duration) *echo {
	d := &echo{takes: takes}
	d.batcher = batcher[int, int]{maxBatch: 3, maxInFlight: 2, timeout: 3 * time.Second, send: d.reply}
	return d
}

func (d *echo) reply(_ context.Context, batch []*request[int, int]) {
	var all []int
	for _, r := range batch {
		all = append(all, r.query)
	}
	d.mu.Lock()
	d.batches = append(d.batches, all)
	takes := d.takes
	d.mu.Unlock()
	<-time.After(takes)
	for _, r := range batch {
		r.reply(r.query, nil)
	}
}

// ask sends n queries, one after the other, and returns a function that waits for
// the answers.
func (d *echo) ask(ctx context.Context, t *testing.T, n int) (wait func() []error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var got int
			if got, errs[i] = d.batcher.ask(ctx, i); errs[i] == nil && got != i {
				t.Errorf("%d was answered with %d", i, got)
			}
		})
		synctest.Wait()
	}
	return func() []error { wg.Wait(); return errs }
}

// inFlightNow returns how many batches are in flight once all that can end has ended.
func (d *echo) inFlightNow() int {
	synctest.Wait()
	d.batcher.mu.Lock()
	defer d.batcher.mu.Unlock()
	return d.inFlight
}

// TestRequestsGoInBatches: requests that come while two batches are in flight go
// together, three at most.
func TestRequestsGoInBatches(t *testing.T) {
	t.Parallel()
	for _, keepsDeadline := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newEcho(900 * time.Millisecond)
			d.keepsDeadline = keepsDeadline
			began := time.Now()
			for i, err := range d.ask(t.Context(), t, 9)() {
				if err != nil {
					t.Errorf("keepsDeadline=%v: %d: %v", keepsDeadline, i, err)
				}
			}
			sizes := map[int]int{}
			for _, b := range d.batches {
				sizes[len(b)]++
			}
			if fmt.Sprint(sizes) != "map[1:3 3:2]" || d.inFlightNow() != 0 || len(d.sent) != 0 ||
				time.Since(began) != 2700*time.Millisecond {
				t.Errorf("keepsDeadline=%v: batches %v after %v, %d in flight", keepsDeadline, d.batches,
					time.Since(began), d.inFlightNow())
			}
		})
	}
}

// TestAbandonedRequestIsSkipped: a caller that gives up returns at once, and its
// request is not sent.
func TestAbandonedRequestIsSkipped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newEcho(900 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		stay := d.ask(t.Context(), t, 2)
		leave := d.ask(ctx, t, 2)
		cancel()
		for _, err := range leave() {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		for _, err := range stay() {
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := d.batcher.ask(ctx, 9); !errors.Is(err, context.Canceled) || len(d.batches) != 2 ||
			d.inFlightNow() != 0 {
			t.Errorf("batches %v, %d in flight, then %v", d.batches, d.inFlightNow(), err)
		}
	})
}

// TestStuckBatchHoldsUpNoRequest: if a batch does not come back, its callers return
// at the timeout, and later requests are sent meanwhile.
func TestStuckBatchHoldsUpNoRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newEcho(20 * time.Second)
		began := time.Now()
		stuck := d.ask(t.Context(), t, 2)
		<-time.After(2 * time.Second)
		d.mu.Lock()
		d.takes = 0
		d.mu.Unlock()
		later := d.ask(t.Context(), t, 2)
		for _, err := range stuck() {
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		for _, err := range later() {
			if err != nil || time.Since(began) != 3*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		<-time.After(20 * time.Second)
		if n := d.inFlightNow(); n != 0 || len(d.batches) != 3 {
			t.Errorf("batches %v, %d in flight", d.batches, n)
		}
	})
}

// TestEachRequestHasItsTime: a request returns when its own time is over, whether it was
// sent or still waits. Nothing of it is left.
func TestEachRequestHasItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newEcho(20 * time.Second)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 16 { // two are sent, and after 3 s six more
			wg.Go(func() {
				if _, err := d.batcher.ask(t.Context(), i); !errors.Is(err, os.ErrDeadlineExceeded) ||
					time.Since(began) != time.Duration(i)*time.Second/4+3*time.Second {
					t.Errorf("%d: %v after %v", i, err, time.Since(began))
				}
			})
			<-time.After(time.Second / 4)
		}
		wg.Wait()
		<-time.After(time.Minute)
		if n := d.inFlightNow(); n != 0 || len(d.sent) != 0 || len(d.waiting) != 0 || d.alarmed {
			t.Errorf("%d in flight, %d sent, %d waiting, alarmed %v", n, len(d.sent), len(d.waiting), d.alarmed)
		}
	})
}
