package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

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
	bare  func() error                            // the cheapest call to the server
	fill  func(from, to int, now time.Time) error // nil: by Create
	size  func() (int64, error)                   // octets that it holds
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

// What Create of pendingRecord does, for many: call by call it takes minutes.
const (
	fillSubjects = `INSERT INTO otpcourier.subjects (subject, kept)
		SELECT convert_to('subject-of-'||lpad(i::text, 11, '0'), 'UTF8'), otpcourier.hours($3::bigint + 1800000000000)
		FROM generate_series($1::bigint, $2::bigint) AS i`
	fillChallenges = `INSERT INTO otpcourier.challenges (id, created, expires, lock, run_life, max_attempts,
		max_failures, max_run, new_code, subject, grp, key, salt, sealed, delivery)
		SELECT encode(substr(sha256(convert_to('b'||lpad((i % 10000)::text, 4, '0')||'-'||i, 'UTF8')), 1, 16),
		'hex')::uuid,
		$3::bigint, $3::bigint + 1800000000000, 1800000000000, 2592000000000000, 5, 10, 100, false,
		convert_to('subject-of-'||lpad(i::text, 11, '0'), 'UTF8'), 'group of 16 byte', '2026-11',
		substr(s, 1, 16), substr(s||s||s||s, 1, 120), substr(s||s, 1, 60)
		FROM generate_series($1::bigint, $2::bigint) AS i, sha256(convert_to(i::text, 'UTF8')) AS s`
)

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
		fill: func(from, to int, now time.Time) error {
			for _, text := range []string{fillSubjects, fillChallenges} {
				if _, err := pool.Exec(ctx, text, from, to-1, now.UnixNano()); err != nil {
					return err
				}
			}
			return nil
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
