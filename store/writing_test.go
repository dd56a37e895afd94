package store_test

import (
	"testing"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// open stands for a backend of one's own in WRITING.md.
func open() *memstore.Store { return memstore.New(memstore.Config{}) }

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Store:   func(*testing.T) store.Store { return open() },
		Limiter: func(*testing.T) store.Limiter { return open() },
		Tracker: func(*testing.T) store.Tracker { return open() },
		Queue:   func(*testing.T) store.Queue { return open() },

		Credentials: func(*testing.T) store.Credentials { return open() },

		Virtual: true, // a backend in this process; leave it out for one that is reached over a network
	})
}
