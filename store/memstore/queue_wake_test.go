package memstore

import (
	"log/slog"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// TestWake: a job wakes a worker only if none waits for an earlier one, since each Send
// with Takeover enqueues a job for later.
func TestWake(t *testing.T) {
	t.Parallel()
	q, now := newQueue(10, 1, slog.New(slog.DiscardHandler)), time.Now()
	for _, next := range []struct {
		due   time.Duration
		wakes int
	}{{2 * time.Hour, 1}, {3 * time.Hour, 0}, {2 * time.Hour, 0}, {time.Hour, 1}, {0, 1}} {
		j := store.Job{Challenge: "c", NotBefore: now.Add(next.due), Expires: now.Add(24 * time.Hour)}
		if err := q.add(j, nanos(now)); err != nil {
			t.Fatal(err)
		}
		if len(q.wake) != next.wakes {
			t.Errorf("a job due in %v woke %d workers, want %d", next.due, len(q.wake), next.wakes)
		}
		select {
		case <-q.wake:
		default:
		}
	}
}
