package follow_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/follow"
)

func TestShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		w.slow = 5 * time.Second
		w.follow(time.Minute)
		time.Sleep(3 * time.Second) // a poll is under way
		began := time.Now()
		if err := w.Shutdown(t.Context()); err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("Shutdown: %v after %v, want the poll's end", err, time.Since(began))
		}
		if err := w.Report(t.Context(), update(channel.Sent, "")); !errors.Is(err, errClosed) {
			t.Errorf("Report: %v", err)
		}
		w.follow(time.Minute)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		w.wantHeard(t)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, follow.Config{})
		w.slow = 5 * time.Second
		w.follow(time.Minute)
		time.Sleep(3 * time.Second)
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(began))
		}
	})
}
