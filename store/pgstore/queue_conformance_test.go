package pgstore_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

func TestRealPostgresQueue(t *testing.T) {
	t.Parallel()
	h := harness(nil)
	h.Store, h.Limiter, h.Tracker, h.Credentials = nil, nil, nil, nil
	h.Queue = func(t *testing.T) store.Queue { return open(t, pgstore.Config{JobAttempts: 3}) }
	h.Process = func(t *testing.T, q store.Queue) storetest.Process {
		line := &storetest.Line{}
		cfg, err := pgxpool.ParseConfig(pgtest.Shared(t).URL())
		if err != nil {
			t.Fatal(err)
		}
		cfg.ConnConfig.DialFunc = line.Dial
		own, err := pgxpool.NewWithConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(own.Close)
		process := open(t, pgstore.Config{DB: own, Schema: q.(*opened).schema, JobAttempts: 3})
		return storetest.Process{Queue: process, Stop: line.Stop, Resume: line.Resume}
	}
	storetest.Run(t, h)
}
