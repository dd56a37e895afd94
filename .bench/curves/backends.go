package main

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	name    string
	address string // for connect in another process; empty: of this process alone
	store   whole
	bare    func() error                            // the cheapest call to the server
	fill    func(from, to int, now time.Time) error // nil: by Create
	size    func() (int64, error)                   // octets that it holds
	close   func()
}

var backends = []struct {
	name string
	open func(ctx context.Context, pending int) (*backend, error)
}{{"memory", openMemory}, {"Redis", openRedis}, {"Redis Cluster", openCluster}, {"PostgreSQL", openPostgres}}

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
	return overRedis(ctx, "Redis", dir, []string{server.Addr}, server.Kill)
}

// openCluster opens a Redis Cluster of three masters.
func openCluster(ctx context.Context, _ int) (*backend, error) {
	dir, err := os.MkdirTemp("", "bench-curves")
	if err != nil {
		return nil, err
	}
	cluster, err := redistest.NewCluster(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return overRedis(ctx, "Redis Cluster", dir, cluster.Addrs, cluster.Kill)
}

func overRedis(ctx context.Context, name, dir string, addrs []string, kill func()) (*backend, error) {
	client := redisClient(addrs)
	s, err := redisstore.New(redisstore.Config{Client: client})
	return &backend{
		name: name, address: "redis " + strings.Join(addrs, " "), store: s,
		bare: func() error {
			if err := client.Get(ctx, "bare").Err(); !errors.Is(err, redis.Nil) {
				return err
			}
			return nil
		},
		size: func() (int64, error) { return usedMemory(ctx, addrs) },
		close: func() {
			_ = client.Close()
			kill()
			_ = os.RemoveAll(dir)
		},
	}, err
}

// redisClient returns a client of one server, or of a Cluster if there are several addresses.
func redisClient(addrs []string) redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: addrs, PoolSize: 100, ContextTimeoutEnabled: true})
}

// keyOctets are what a key with an expiry takes in Redis's two hash tables on average: entries of 24
// octets, an object of 16, and one to two slots of 8 in each.
const keyOctets = 24 + 16 + 12 + 24 + 12

// usedMemory returns the octets that the servers hold. It takes keyOctets for the hash tables, since
// a table doubles in one moment: within a measurement that would count as octets of a few codes.
func usedMemory(ctx context.Context, addrs []string) (sum int64, err error) {
	for _, addr := range addrs {
		client := redis.NewClient(&redis.Options{Addr: addr})
		answer, err := client.Do(ctx, "MEMORY", "STATS").Result()
		if err := errors.Join(err, client.Close()); err != nil {
			return 0, err
		}
		stats, _ := answer.(map[any]any)
		tables, _ := stats["db.0"].(map[any]any)
		used, ok := stats["total.allocated"].(int64)
		if !ok {
			return 0, fmt.Errorf("MEMORY STATS of %s is a %T", addr, answer)
		}
		for _, table := range []string{"overhead.hashtable.main", "overhead.hashtable.expires"} {
			octets, _ := tables[table].(int64)
			used -= octets
		}
		keys, _ := stats["keys.count"].(int64)
		sum += used + keys*keyOctets
	}
	return sum, nil
}

// connect opens the Store of a backend's server in another process. The caller closes it.
func connect(ctx context.Context, address string) (s whole, closes func(), err error) {
	kind, at, _ := strings.Cut(address, " ")
	if kind == "redis" {
		client := redisClient(strings.Fields(at))
		s, err = redisstore.New(redisstore.Config{Client: client})
		return s, func() { _ = client.Close() }, err
	}
	pool, err := pgxpool.New(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	s, err = pgstore.New(pgstore.Config{DB: pool})
	return s, pool.Close, err
}

// What Create of pendingRecord does, for many: call by call it takes minutes.
const (
	fillSubjects = `INSERT INTO otpcourier.subjects (subject, kept)
		SELECT convert_to('subject-of-'||lpad(i::text, 11, '0'), 'UTF8'), otpcourier.hours($3::bigint + 1800000000000)
		FROM generate_series($1::bigint, $2::bigint) AS i`
	fillChallenges = `INSERT INTO otpcourier.challenges (id, created, expires, lock, run_life, max_attempts,
		max_failures, max_run, subject, grp, salt, fixed, delivery)
		SELECT encode(substr(sha256(convert_to('b'||lpad((i % 10000)::text, 4, '0')||'-'||i, 'UTF8')), 1, 16),
		'hex')::uuid,
		$3::bigint, $3::bigint + 1800000000000, 1800000000000, 2592000000000000, 5, 10, 100, subject, grp,
		substr(s, 1, 16),
		'\x01'||int8send($3)||int8send($3 + 1800000000000)||int8send(1800000000000)||int8send(2592000000000000)||
		int4send(5)||int4send(10)||int4send(100)||'\x0016'||subject||'\x10'||grp||'\x07'||'2026-11'::bytea||'\x10'||
		substr(s, 1, 16)||substr(s||s||s||s, 1, 120), substr(s||s, 1, 60)
		FROM generate_series($1::bigint, $2::bigint) AS i, sha256(convert_to(i::text, 'UTF8')) AS s,
		convert_to('subject-of-'||lpad(i::text, 11, '0'), 'UTF8') AS subject,
		convert_to('group of 16 byte', 'UTF8') AS grp`
)

func openPostgres(ctx context.Context, _ int) (*backend, error) {
	server, err := pgtest.New("fsync = on", "full_page_writes = on", "shared_buffers = 256MB", "max_wal_size = 4GB")
	if err != nil {
		return nil, err
	}
	url := server.URL() + "&synchronous_commit=off&pool_max_conns="
	pool, err := pgxpool.New(ctx, url+"40")
	if err != nil {
		server.Close()
		return nil, err
	}
	s, err := pgstore.New(pgstore.Config{DB: pool})
	if err == nil {
		err = s.Migrate(ctx)
	}
	return &backend{
		name: "PostgreSQL", address: "postgres " + url + "10", store: s,
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
