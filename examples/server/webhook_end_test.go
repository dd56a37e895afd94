package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// An event that comes after the end is counted as dropped, and does not panic.
func TestEventAfterTheEnd(t *testing.T) {
	t.Parallel()
	s, _ := newTestSender(t, &standIn{})
	s.close(t.Context())
	s.events("shop")(t.Context(), verifiedEvent)
	if n := s.dropped.Load(); n != 1 {
		t.Errorf("%d were dropped", n)
	}
}

// A stuckCabinet is a store that does not answer.
type stuckCabinet struct{ cabinet }

func (stuckCabinet) put(ctx context.Context, _ string, _ []byte, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// While the store is down the end does not wait for each of the events.
func TestEndWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newTestSender(t, &standIn{})
		s.vault.cabinet = stuckCabinet{s.vault.cabinet}
		for range 100 {
			s.events("shop")(t.Context(), verifiedEvent)
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		s.close(ctx)
		if took := time.Since(begun); took != 12*time.Second || s.dropped.Load() != 100 {
			t.Errorf("it took %v, %d were dropped", took, s.dropped.Load())
		}
	})
}
