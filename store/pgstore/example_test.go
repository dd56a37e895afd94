package pgstore_test

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/pgstore"
)

// Processes that share a database share challenges, limits, receipts and jobs.
func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app@localhost/app")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	shared, err := pgstore.New(pgstore.Config{DB: pool, Schema: "shop_otp", Logger: slog.Default()})
	if err != nil {
		panic(err)
	}
	if err := shared.Migrate(ctx); err != nil {
		panic(err)
	}
	if _, err := shared.Check(ctx); err != nil { // warnings are in the log
		panic(err)
	}
	d, err := shared.Take(ctx, time.Now(), store.Limit{Key: "ip/hash", Most: 10, Per: time.Hour})
	if err != nil || !d.Allowed {
		return // fail closed: without an answer nothing is sent
	}
}

// Behind a PgBouncer in transaction mode, workers hear of jobs on a connection of their own.
func ExampleNew_pgBouncer() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app@bouncer:6432/app?default_query_exec_mode=exec")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	_, _ = pgstore.New(pgstore.Config{
		DB: pool,
		Listen: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.Connect(ctx, "postgres://app@postgres:5432/app")
		},
	})
}

// A program's own change and the Store's are committed together.
func ExampleNew_transaction() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, "postgres://app@localhost/app")
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "UPDATE users SET phone = $2 WHERE id = $1", "u1", "+447912345678"); err != nil {
			return err
		}
		within, err := pgstore.New(pgstore.Config{DB: tx})
		if err != nil {
			return err
		}
		now := time.Now()
		return within.CancelAll(ctx, "abc", "hash of u1", "", now.Add(time.Hour), now)
	})
	if err != nil {
		panic(err)
	}
}
