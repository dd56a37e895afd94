package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
)

// A test gets a schema of its own on a server that all tests of the process share.
func ExampleShared() {
	TestLogin := func(t *testing.T) {
		pool, err := pgxpool.New(t.Context(), pgtest.Shared(t).URL())
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		shared, err := pgstore.New(pgstore.Config{DB: pool, Schema: pgtest.Schema()})
		if err != nil {
			t.Fatal(err)
		}
		if err := shared.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		// shared is otp.Config.Store
	}
	TestMain := func(m *testing.M) {
		m.Run()
		pgtest.StopShared()
	}
	_, _ = TestLogin, TestMain
}
