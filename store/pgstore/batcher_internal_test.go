package pgstore

import (
	"context"
	"errors"
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
		b := &batcher{timeout: 3 * time.Second, send: func(ctx context.Context, batch []newJob) error {
			for _, j := range batch {
				sent = append(sent, j.Challenge)
			}
			if first {
				first = false
				<-ctx.Done()
			}
			return ctx.Err()
		}}
		add := func(ctx context.Context, challenge string, want error) {
			go func() {
				err := b.add(ctx, newJob{Job: store.Job{Challenge: challenge}})
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
		if b.sending || len(b.waiting) > 0 {
			t.Errorf("sending %v with %d waiting, want neither", b.sending, len(b.waiting))
		}
	})
}
