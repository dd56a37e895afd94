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

// A desk answers with what it is asked, after so long, and notes the batches.
type desk struct {
	gatherer[int, int]
	takes time.Duration

	mu      sync.Mutex
	batches [][]int
}

func newDesk(takes time.Duration) *desk {
	d := &desk{takes: takes}
	d.gatherer = gatherer[int, int]{most: 3, ways: 2, timeout: 3 * time.Second, answer: d.reply}
	return d
}

func (d *desk) reply(_ context.Context, batch []*asked[int, int]) {
	var all []int
	for _, a := range batch {
		all = append(all, a.question)
	}
	d.mu.Lock()
	d.batches = append(d.batches, all)
	takes := d.takes
	d.mu.Unlock()
	<-time.After(takes)
	for _, a := range batch {
		a.reply(a.question, nil)
	}
}

// ask asks n questions, one after the other, and returns what waits for the
// answers.
func (d *desk) ask(ctx context.Context, t *testing.T, n int) (wait func() []error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var got int
			if got, errs[i] = d.gatherer.ask(ctx, i); errs[i] == nil && got != i {
				t.Errorf("%d was answered with %d", i, got)
			}
		})
		synctest.Wait()
	}
	return func() []error { wg.Wait(); return errs }
}

// atWork returns how many work once all that can end has ended.
func (d *desk) atWork() int {
	synctest.Wait()
	d.gatherer.mu.Lock()
	defer d.gatherer.mu.Unlock()
	return d.working
}

// What comes while two batches are on their way goes together, three at most.
func TestGather(t *testing.T) {
	t.Parallel()
	for _, punctual := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(900 * time.Millisecond)
			d.punctual = punctual
			began := time.Now()
			for i, err := range d.ask(t.Context(), t, 9)() {
				if err != nil {
					t.Errorf("punctual=%v: %d: %v", punctual, i, err)
				}
			}
			sizes := map[int]int{}
			for _, b := range d.batches {
				sizes[len(b)]++
			}
			if fmt.Sprint(sizes) != "map[1:3 3:2]" || d.atWork() != 0 || time.Since(began) != 2700*time.Millisecond {
				t.Errorf("punctual=%v: batches %v after %v, %d at work", punctual, d.batches, time.Since(began), d.atWork())
			}
		})
	}
}

// Who gives up is not waited for, nor asked for when its turn comes.
func TestGatherGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(900 * time.Millisecond)
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
		if _, err := d.gatherer.ask(ctx, 9); !errors.Is(err, context.Canceled) || len(d.batches) != 2 || d.atWork() != 0 {
			t.Errorf("batches %v, %d at work, then %v", d.batches, d.atWork(), err)
		}
	})
}

// A batch that does not come back holds up nobody for longer than the timeout,
// and what comes later goes its way beside it.
func TestGatherStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(20 * time.Second)
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
		if n := d.atWork(); n != 0 || len(d.batches) != 3 {
			t.Errorf("batches %v, %d at work", d.batches, n)
		}
	})
}
