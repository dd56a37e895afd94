package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/pgstore"
	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// A whole is all that a Service needs.
type whole interface {
	store.Store
	store.Limiter
	store.Tracker
	store.Queue
}

// A backend is a Store with its server.
type backend struct {
	name  string
	store whole
	bare  func() error          // the cheapest call to the server
	size  func() (int64, error) // octets that it holds
	close func()
}

var backends = []struct {
	name string
	open func(ctx context.Context, pending int) (*backend, error)
}{{"memory", openMemory}, {"Redis", openRedis}, {"PostgreSQL", openPostgres}}

func openMemory(_ context.Context, pending int) (*backend, error) {
	room := 2*pending + 1<<22
	return &backend{
		name:  "memory",
		store: memstore.New(memstore.Config{MaxChallenges: room, MaxSubjects: room}),
		size:  func() (int64, error) { return int64(heap()), nil },
		close: func() {},
	}, nil
}

func openRedis(ctx context.Context, _ int) (*backend, error) {
	dir, err := os.MkdirTemp("", "bench-curves")
	if err != nil {
		return nil, err
	}
	server, err := redistest.New(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr, PoolSize: 100, ContextTimeoutEnabled: true})
	s, err := redisstore.New(redisstore.Config{Client: client})
	return &backend{
		name: "Redis", store: s,
		bare: func() error {
			if err := client.Get(ctx, "bare").Err(); !errors.Is(err, redis.Nil) {
				return err
			}
			return nil
		},
		size: func() (int64, error) {
			info, err := client.Info(ctx, "memory").Result()
			_, rest, _ := strings.Cut(info, "used_memory:")
			used, _, _ := strings.Cut(rest, "\r")
			n, bad := strconv.ParseInt(used, 10, 64)
			return n, errors.Join(err, bad)
		},
		close: func() {
			_ = client.Close()
			server.Kill()
			_ = os.RemoveAll(dir)
		},
	}, err
}

func openPostgres(ctx context.Context, _ int) (*backend, error) {
	server, err := pgtest.New("fsync = on", "full_page_writes = on", "shared_buffers = 256MB", "max_wal_size = 4GB")
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, server.URL()+"&pool_max_conns=40&synchronous_commit=off")
	if err != nil {
		server.Close()
		return nil, err
	}
	s, err := pgstore.New(pgstore.Config{DB: pool})
	if err == nil {
		err = s.Migrate(ctx)
	}
	return &backend{
		name: "PostgreSQL", store: s,
		bare: func() error {
			var one int
			return pool.QueryRow(ctx, "SELECT 1").Scan(&one)
		},
		size: func() (n int64, err error) {
			err = pool.QueryRow(ctx, `SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_stat_user_tables
				WHERE schemaname = 'otpcourier'`).Scan(&n)
			return n, err
		},
		close: func() {
			pool.Close()
			server.Close()
		},
	}, err
}
