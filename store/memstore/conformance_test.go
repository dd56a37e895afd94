package memstore_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, storetest.Harness{
		Store:   func(*testing.T) store.Store { return memstore.New(memstore.Config{}) },
		Limiter: func(*testing.T) store.Limiter { return memstore.New(memstore.Config{}) },
		Tracker: func(*testing.T) store.Tracker { return memstore.New(memstore.Config{MaxReceipts: 1000}) },
		Queue:   func(*testing.T) store.Queue { return memstore.New(memstore.Config{}) },

		Credentials: func(*testing.T) store.Credentials { return memstore.New(memstore.Config{}) },

		Live: func(backend any, now time.Time) int {
			return backend.(*memstore.Store).Live(now.UnixNano())
		},
		Virtual: true,
	})
}
