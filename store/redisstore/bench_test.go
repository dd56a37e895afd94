package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// BenchmarkRealRedis compares what a wrong code costs, and the rest, with the
// least that a command, and a script, cost by the same client: at 64
// goroutines, whatever the processors.
func BenchmarkRealRedis(b *testing.B) {
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(b).Addr, PoolSize: 64})
	b.Cleanup(func() { client.Close() })
	s := open(b, redisstore.Config{Client: client})
	ctx, now := context.Background(), time.Now()
	const many = 4096
	var ids [many]string
	for i := range ids {
		ids[i] = fmt.Sprintf("%03d-benchmark%d", i%1000, i)
		r := challenge(ids[i], now)
		r.MaxAttempts, r.MaxFailures = 1<<31, 1<<31
		if err := s.Create(ctx, r, now); err != nil {
			b.Fatal(err)
		}
		if err := client.Set(ctx, ids[i], "x", time.Hour).Err(); err != nil {
			b.Fatal(err)
		}
	}
	bare := redis.NewScript("#!lua\nlocal n = redis.call('INCR', KEYS[1]) " +
		"if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n")
	limits := []store.Limit{{Key: "a", Most: 1e9, Per: time.Hour}, {Key: "b", Most: 1e9, Per: 24 * time.Hour}}
	for _, c := range []struct {
		name string
		call func(i int) error
	}{
		{"GET", func(i int) error { return client.Get(ctx, ids[i]).Err() }},
		{"EVALSHA", func(i int) error { return bare.Run(ctx, client, []string{"n" + ids[i]}, 60000).Err() }},
		{"Attempt", func(i int) error { _, err := s.Attempt(ctx, ids[i], token(), now); return err }},
		{"Get", func(i int) error { _, err := s.Get(ctx, ids[i], now); return err }},
		{"Create", func(i int) error { return s.Create(ctx, challenge(ids[i]+"-"+time.Now().String(), now), now) }},
		{"Take", func(int) error { _, err := s.Take(ctx, now, limits...); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32) // times GOMAXPROCS, which is 2 where the figures were taken
			var at atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := c.call(int(at.Add(1)) % many); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
