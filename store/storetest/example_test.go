package storetest_test

import (
	"testing"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// The test of a backend, here of memstore, runs the suite of each contract that the
// backend implements.
func ExampleRun() {
	TestConformance := func(t *testing.T) {
		open := func() *memstore.Store { return memstore.New(memstore.Config{}) }
		storetest.Run(t, storetest.Harness{
			Store:   func(*testing.T) store.Store { return open() },
			Limiter: func(*testing.T) store.Limiter { return open() },
			Tracker: func(*testing.T) store.Tracker { return open() },
			Queue:   func(*testing.T) store.Queue { return open() },
		})
	}
	_ = TestConformance
}
