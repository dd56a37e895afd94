package redisstore_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
	"github.com/otpcourier/otpcourier/store/storetest"
)

// queues runs the conformance suite on queues of client, and on processes whose client
// on returns.
func queues(t *testing.T, client redisstore.Client, on func(*storetest.Line) redis.UniversalClient, nodes ...node) {
	h := harness(nil, nodes...)
	h.Store, h.Limiter, h.Tracker, h.Credentials = nil, nil, nil, nil
	h.Queue = func(t *testing.T) store.Queue {
		return open(t, redisstore.Config{Client: client, JobAttempts: 3})
	}
	h.Process = func(t *testing.T, q store.Queue) storetest.Process {
		line := &storetest.Line{}
		own := on(line)
		t.Cleanup(func() { own.Close() })
		cfg := redisstore.Config{Client: own, Prefix: q.(*opened).prefix, JobAttempts: 3}
		return storetest.Process{Queue: open(t, cfg), Stop: line.Stop, Resume: line.Resume}
	}
	storetest.Run(t, h)
}

// single returns clients of one server, for queues.
func single(addr string) func(*storetest.Line) redis.UniversalClient {
	return func(l *storetest.Line) redis.UniversalClient {
		return redis.NewClient(&redis.Options{Addr: addr, Dialer: l.Dial})
	}
}

func TestRealRedisQueue(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	queues(t, client, single(addr), client)
}

func TestRealRedisQueueAutoPipeline(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr
	client := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	pipeline, err := client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipeline.Close() })
	queues(t, pipeline, single(addr), client)
}

func TestRealRedisClusterQueue(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs, PoolSize: 100})
	t.Cleanup(func() { client.Close() })
	var nodes []node
	for _, addr := range cluster.Addrs {
		nodes = append(nodes, dial(t, addr))
	}
	queues(t, client, func(l *storetest.Line) redis.UniversalClient {
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs, Dialer: l.Dial})
	}, nodes...)
}
