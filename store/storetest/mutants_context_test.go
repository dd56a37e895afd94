package storetest

import (
	"testing"

	"github.com/otpcourier/otpcourier/store"
)

// TestContextMutants has each method in turn not look at its context.
func TestContextMutants(t *testing.T) {
	deaf := func(op string) *naive {
		s := newNaive()
		s.deaf = op
		return s
	}
	for _, op := range []string{"Create", "Get", "Attempt", "Finish", "Update", "CancelAll", "Forget", "Open"} {
		t.Run(op, func(t *testing.T) {
			name := "ended context"
			if op == "Open" {
				name = "open ended context"
			}
			catches(t, storeCases(), name, func() store.Store { return deaf(op) })
		})
	}
	for _, op := range []string{"Take", "Give"} {
		t.Run(op, func(t *testing.T) {
			catches(t, limiterCases(), "ended context", func() store.Limiter { return deaf(op) })
		})
	}
	for _, op := range []string{"Track", "Match"} {
		t.Run(op, func(t *testing.T) {
			catches(t, trackerCases(), "ended context", func() store.Tracker { return deaf(op) })
		})
	}
	for _, op := range []string{"Enqueue", "Stats", "Dead"} {
		t.Run(op, func(t *testing.T) {
			catches(t, queueCases(), "ended context", func() store.Queue { return deaf(op) })
		})
	}
}
