package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// queues runs the conformance suite on queues of client.
func queues(t *testing.T, client redisstore.Client, nodes ...node) {
	h := harness(nil, nodes...)
	h.Store, h.Limiter, h.Tracker = nil, nil, nil
	h.Queue = func(t *testing.T) store.Queue {
		return open(t, redisstore.Config{Client: client, JobAttempts: 3})
	}
	storetest.Run(t, h)
}

func TestRealRedisQueue(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	queues(t, client, client)
}
