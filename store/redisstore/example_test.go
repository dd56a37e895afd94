package redisstore_test

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
)

// Processes that share a Redis share challenges, limits and receipts.
func Example() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	shared, err := redisstore.New(redisstore.Config{Client: client, Prefix: "shop:otp:", Logger: slog.Default()})
	if err != nil {
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

// Behind Sentinel, the client follows the master.
func ExampleNew_sentinel() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:    "otp",
		SentinelAddrs: []string{"10.0.0.1:26379", "10.0.0.2:26379"},
	})
	defer client.Close()
	_, _ = redisstore.New(redisstore.Config{Client: client})
}

// On a Cluster, a challenge and its subject's run of failures are on one master.
func ExampleNew_cluster() {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"10.0.0.1:6379", "10.0.0.2:6379"}})
	defer client.Close()
	_, _ = redisstore.New(redisstore.Config{Client: client})
}
