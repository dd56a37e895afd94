package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// TestBatcherDropsAbandonedJobs: a job whose caller got an error while it waited is not sent
// when the server answers again.
func TestBatcherDropsAbandonedJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []string
		first := true
		b := &batcher[newJob, struct{}]{timeout: 3 * time.Second, patience: 3 * time.Second, maxBatch: 9, parallel: 1}
		b.send = func(ctx context.Context, batch []newJob) ([]struct{}, error) {
			for _, j := range batch {
				sent = append(sent, j.Challenge)
			}
			if first {
				first = false
				<-ctx.Done()
			}
			return make([]struct{}, len(batch)), ctx.Err()
		}
		add := func(ctx context.Context, challenge string, want error) {
			go func() {
				_, err := b.ask(ctx, newJob{Job: store.Job{Challenge: challenge}})
				if !errors.Is(err, want) {
					t.Errorf("add of %s: %v, want %v", challenge, err, want)
				}
			}()
			synctest.Wait()
		}
		add(t.Context(), "hangs", context.DeadlineExceeded)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		add(impatient, "abandoned", context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
		add(t.Context(), "waits", nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if want := []string{"hangs", "waits"}; !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
		if b.sending != 0 || len(b.waiting) > 0 {
			t.Errorf("%d batches under way with %d waiting, want neither", b.sending, len(b.waiting))
		}
	})
}

// TestBatcherTakesOver: a batch that hangs holds the next ones up for the patience only.
func TestBatcherTakesOver(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			hang := make(chan struct{})
			b := &batcher[string, string]{timeout: 3 * time.Second, patience: time.Second, maxBatch: 9, parallel: 1}
			b.send = func(_ context.Context, batch []string) ([]string, error) {
				if batch[0] == "first" && !alone {
					time.Sleep(time.Millisecond) // until the second waits
				}
				if slices.Contains(batch, "hangs") {
					<-hang
				}
				return batch, nil
			}
			answers := make(chan string, 9)
			ask := func(query string) {
				go func() {
					answer, err := b.ask(t.Context(), query)
					answers <- fmt.Sprint(answer, err)
				}()
				synctest.Wait()
			}
			if !alone {
				ask("first")
			}
			ask("hangs")
			if !alone {
				if got := <-answers; got != "first<nil>" {
					t.Errorf("answer %q, want that to the first", got)
				}
				synctest.Wait()
			}
			began := time.Now()
			ask("waits")
			if got := <-answers; got != "waits<nil>" || time.Since(began) != time.Second {
				t.Errorf("answer %q after %v, want that to the call that waits, after 1s", got, time.Since(began))
			}
			close(hang)
			if got := <-answers; got != "hangs<nil>" {
				t.Errorf("answer %q, want that to the call that hung", got)
			}
			synctest.Wait()
			if b.sending != 0 {
				t.Errorf("%d batches are under way, want none", b.sending)
			}
		})
	}
}

// TestBatcherInParallel: as many batches as the batcher may have are under way at one time.
func TestBatcherInParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		underWay, most := 0, 0
		release := make(chan struct{})
		b := &batcher[int, int]{timeout: time.Second, patience: time.Second, maxBatch: 3, parallel: 2}
		b.send = func(_ context.Context, batch []int) ([]int, error) {
			b.mu.Lock()
			underWay++
			most = max(most, underWay)
			b.mu.Unlock()
			<-release
			b.mu.Lock()
			underWay--
			b.mu.Unlock()
			return batch, nil
		}
		answers := make(chan error, 20)
		for i := range 20 {
			go func() {
				answer, err := b.ask(t.Context(), i)
				if err == nil && answer != i {
					err = fmt.Errorf("answer %d to %d", answer, i)
				}
				answers <- err
			}()
		}
		synctest.Wait()
		close(release)
		for range 20 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if most != 2 || b.sending != 0 {
			t.Errorf("up to %d batches at one time, want 2; %d at the end, want none", most, b.sending)
		}
	})
}
