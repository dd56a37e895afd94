package redisstore

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Client talks to Redis: a *redis.Client, also as NewFailoverClient makes it for
// Sentinel, a *redis.ClusterClient, or a *redis.AutoPipeliner of either.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

var (
	_ Client = (*redis.Client)(nil)
	_ Client = (*redis.ClusterClient)(nil)
	_ Client = (*redis.AutoPipeliner)(nil)
)

// A Store keeps challenges, limits, receipts, jobs and credentials in Redis. Make one with New.
type Store struct {
	client    Client
	prefix    string
	timeout   time.Duration
	logger    *slog.Logger
	queue     queue
	parked    int         // receipts per shard
	clustered atomic.Bool // on a Cluster, keys of different slots need scripts of their own
	calls     *batcher[call, reply]
	keeping   keeping
}

// New returns a Store. It does not talk to the server: see [Store.Check].
func New(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Store{
		client: cfg.Client, prefix: cfg.Prefix, timeout: cfg.Timeout, logger: cfg.Logger,
		parked: max((cfg.MaxParked+shards-1)/shards, maxParked), calls: calls(cfg.Client, cfg.Timeout),
	}
	s.queue = newQueue(s, cfg)
	switch cfg.Client.(type) {
	case *redis.ClusterClient, *redis.Ring:
		s.clustered.Store(true)
	}
	return s, nil
}

// key returns the name of a key. Keys of one tag are in one slot of a Cluster.
func (s *Store) key(tag, name string) string {
	return s.prefix + "{" + tag + "}" + name
}
