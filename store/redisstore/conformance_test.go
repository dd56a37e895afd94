package redisstore_test

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

func TestMain(m *testing.M) {
	// The client looks each second for a server that is down, and sees only
	// then that it was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// dial returns a client of addr that ends with the test.
func dial(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

// open returns a Store with a prefix of its own, unless cfg has one.
func open(t testing.TB, cfg redisstore.Config) *opened {
	t.Helper()
	if cfg.Prefix == "" {
		cfg.Prefix = rand.Text() + ":"
	}
	s, err := redisstore.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &opened{s, cfg.Prefix}
}

type opened struct {
	*redisstore.Store
	prefix string
}

// A node is a server that can be looked through.
type node interface {
	Scan(ctx context.Context, cursor uint64, match string, count int64) *redis.ScanCmd
	PTTL(ctx context.Context, key string) *redis.DurationCmd
}

// lives returns the keys with prefix and their lives; -1ns: without end.
func lives(n node, prefix string) map[string]time.Duration {
	all := map[string]time.Duration{}
	for cursor := uint64(0); ; {
		keys, next, err := n.Scan(context.Background(), cursor, prefix+"*", 1000).Result()
		if err != nil {
			panic(err)
		}
		for _, k := range keys {
			d, err := n.PTTL(context.Background(), k).Result()
			if err != nil {
				panic(err)
			}
			if d != -2 { // gone meanwhile
				all[k] = d
			}
		}
		if cursor = next; cursor == 0 {
			return all
		}
	}
}

// harness runs the conformance suites on stores of what client returns.
func harness(client func(t *testing.T) redisstore.Client, nodes ...node) storetest.Harness {
	fresh := func(t *testing.T) *opened {
		return open(t, redisstore.Config{Client: client(t)})
	}
	return storetest.Harness{
		Store:   func(t *testing.T) store.Store { return fresh(t) },
		Limiter: func(t *testing.T) store.Limiter { return fresh(t) },
		Tracker: func(t *testing.T) store.Tracker { return fresh(t) },

		Credentials: func(t *testing.T) store.Credentials { return fresh(t) },

		Live: func(backend any, now time.Time) int {
			n := 0
			for _, node := range nodes {
				for _, d := range lives(node, backend.(*opened).prefix) {
					if d < 0 || d > time.Until(now) {
						n++
					}
				}
			}
			return n
		},
	}
}

func TestRealRedis(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	storetest.Run(t, harness(func(*testing.T) redisstore.Client { return client }, client))
}

func TestRealRedisAutoPipeline(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	blocking, err := client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blocking.Close() })
	deferred, err := client.AsyncAutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deferred.Close() })
	for name, c := range map[string]redisstore.Client{"Blocking": blocking, "Deferred": deferred} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, harness(func(*testing.T) redisstore.Client { return c }, client))
		})
	}
}

func TestRealRedisCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	pipeline, err := client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipeline.Close() })
	var nodes []node
	for _, addr := range cluster.Addrs {
		nodes = append(nodes, dial(t, addr))
	}
	for name, c := range map[string]redisstore.Client{"Client": client, "AutoPipeline": pipeline} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, harness(func(*testing.T) redisstore.Client { return c }, nodes...))
		})
	}
}

// token returns a token that no other call has.
func token() store.Token { return store.Token(mathrand.Uint64()) }

// challenge returns a record with room for many attempts.
func challenge(id string, now time.Time) *store.Record {
	return &store.Record{ID: id, Subject: "subject of " + id, Key: "k1", Salt: []byte("salt"),
		Sealed:  []byte(strings.Repeat("s", 120)),
		Created: now, Expires: now.Add(5 * time.Minute), MaxAttempts: 1000, MaxFailures: 1000, Lock: time.Hour,
		Group: "group of 16 byte", Delivery: []byte("delivery")}
}
