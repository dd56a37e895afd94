package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Client talks to Redis. *redis.Client is one, also as NewFailoverClient
// makes it for Sentinel; so are *redis.ClusterClient, and a
// *redis.AutoPipeliner of either.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

var (
	_ Client = (*redis.Client)(nil)
	_ Client = (*redis.ClusterClient)(nil)
	_ Client = (*redis.AutoPipeliner)(nil)
)

// Config configures a Store.
type Config struct {
	// Client is required, and stays the caller's to close. A *redis.Client is
	// given pipelines when there is much to do; see the package's doc. With its
	// option ContextTimeoutEnabled a call with nothing else to do costs a
	// goroutine less; if its context is cancelled before its deadline it may then
	// wait for the server's answer, for Timeout at most.
	Client Client

	// Prefix begins the name of every key: stores of different prefixes know
	// nothing of each other. It holds no braces. Default "otp:".
	Prefix string

	// Timeout bounds each call, whatever the client's own options and however
	// often it tries again. Default 3 s.
	Timeout time.Duration

	// MaxParked bounds how many receipts are kept that came before their
	// submission, of 4096 bytes each at most: to half the server's memory, as
	// anyone can park them who can make receipts up. They are spread over 256
	// slots, each with room for an equal part of MaxParked, rounded up, and for
	// the 16 of one message at least: what is under 4096 counts as 4096. Default
	// 1 << 16.
	MaxParked int

	// MaxJobs bounds the jobs that wait or are with a worker. Default 1 << 20.
	MaxJobs int

	// JobAttempts is how often a job whose handler fails is handed out. Default
	// 64, for which it takes over 30 min: longer than otp lets a code live.
	// With fewer, a message that no carrier took may be a dead letter before its
	// last try, and stay counted against the limits.
	JobAttempts int

	// Logger is told what Check warns of, which jobs fail, and when Run does
	// not reach the server. Default: discards.
	Logger *slog.Logger
}

// A Store keeps all in Redis. Make one with New.
type Store struct {
	client  Client
	prefix  string
	timeout time.Duration
	logger  *slog.Logger
	queue   queue
	parked  int         // receipts per shard
	perSlot atomic.Bool // keys of different slots are in scripts of their own
	calls   *batcher[call, *redis.Cmd]
}

// New returns a Store. It does not ask the server anything: see [Store.Check].
func New(cfg Config) (*Store, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("redisstore: Config.Client is required")
	case strings.ContainsAny(cfg.Prefix, "{}"):
		return nil, fmt.Errorf("redisstore: Config.Prefix %q holds braces", cfg.Prefix)
	case cfg.MaxParked < 0:
		return nil, fmt.Errorf("redisstore: Config.MaxParked %d is negative", cfg.MaxParked)
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("redisstore: Config.Timeout %v is negative", cfg.Timeout)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "otp:"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxParked == 0 {
		cfg.MaxParked = 1 << 16
	}
	s := &Store{client: cfg.Client, prefix: cfg.Prefix, timeout: cfg.Timeout, logger: cfg.Logger,
		parked: max((cfg.MaxParked+shards-1)/shards, maxParked), calls: calls(cfg.Client, cfg.Timeout)}
	s.queue = newQueue(s, cfg)
	switch cfg.Client.(type) {
	case *redis.ClusterClient, *redis.Ring:
		s.perSlot.Store(true)
	}
	return s, nil
}

// key returns the name of a key. Those of one tag are in one slot of a Cluster.
func (s *Store) key(tag, name string) string {
	return s.prefix + "{" + tag + "}" + name
}
