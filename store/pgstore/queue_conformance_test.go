package pgstore_test

import (
	"testing"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/storetest"
)

func TestRealPostgresQueue(t *testing.T) {
	t.Parallel()
	h := harness(nil)
	h.Store, h.Limiter, h.Tracker, h.Credentials = nil, nil, nil, nil
	h.Queue = func(t *testing.T) store.Queue { return open(t, pgstore.Config{JobAttempts: 3}) }
	storetest.Run(t, h)
}
