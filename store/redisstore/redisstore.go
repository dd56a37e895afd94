package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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
	// Client is required, and stays the caller's to close.
	Client Client

	// Prefix begins the name of every key: stores of different prefixes know
	// nothing of each other. It holds no braces. Default "otp:".
	Prefix string

	// Timeout bounds each call, whatever the client's own options and however
	// often it tries again. Default 3 s.
	Timeout time.Duration

	// MaxJobs bounds the jobs that wait or are with a worker. Default 1 << 20.
	MaxJobs int

	// JobAttempts is how often a job whose handler fails is handed out.
	// Default 20.
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
}

// New returns a Store. It does not ask the server anything: see [Store.Check].
func New(cfg Config) (*Store, error) {
	switch {
	case cfg.Client == nil:
		return nil, errors.New("redisstore: Config.Client is required")
	case strings.ContainsAny(cfg.Prefix, "{}"):
		return nil, fmt.Errorf("redisstore: Config.Prefix %q holds braces", cfg.Prefix)
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
	s := &Store{client: cfg.Client, prefix: cfg.Prefix, timeout: cfg.Timeout, logger: cfg.Logger}
	s.queue = newQueue(s, cfg)
	return s, nil
}

// key returns the name of a key. Those of one tag are in one slot of a Cluster.
func (s *Store) key(tag, name string) string {
	return s.prefix + "{" + tag + "}" + name
}
