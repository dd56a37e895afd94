package otp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisHistories plays random histories on a real Redis, in virtual time: the store, the
// limiter and the tracker are Redis's, and the queue keeps to the bubble's clock.
//
//	OTPCOURIER_HISTORIES=500 go test -run TestRealRedisHistories -v -timeout 1h ./otp
func TestRealRedisHistories(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	defer client.Close()
	playOnRedis(t, client, setting("OTPCOURIER_HISTORIES", 30))
}

// TestRealRedisClusterHistories does so on a Redis Cluster.
func TestRealRedisClusterHistories(t *testing.T) {
	t.Parallel()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: redistest.StartCluster(t).Addrs})
	defer client.Close()
	playOnRedis(t, client, setting("OTPCOURIER_HISTORIES", 60)/2)
}

func playOnRedis(t *testing.T, client redisstore.Client, n int) {
	t.Helper()
	o, stop := newOutside(nil)
	defer stop()
	run, began := 0, time.Now()
	playHistories(t, setting("OTPCOURIER_SEED", 1), n, func() newBackend {
		run++ // each history has keys of its own
		var err error
		if o.keeper, err = redisstore.New(redisstore.Config{Client: client, Prefix: fmt.Sprintf("history%d:",
			run)}); err != nil {
			t.Fatal(err)
		}
		return o.inside
	})
	t.Logf("in %v", time.Since(began).Round(time.Second))
}
