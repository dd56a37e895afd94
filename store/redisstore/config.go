package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// Config configures a Store.
type Config struct {
	// Client is required. The caller closes it. If it is a *redis.Client, calls at the
	// same time share pipelines and scripts. With its option ContextTimeoutEnabled, a single call
	// saves a goroutine; if the context of such a call is cancelled before its deadline,
	// the call may wait for the server's answer, for Timeout at most.
	Client Client

	// Prefix begins the name of every key. Stores with different prefixes share no
	// data. It must not contain braces. Default "otp:".
	Prefix string

	// Timeout bounds each call, including the client's retries. Default 3 s.
	Timeout time.Duration

	// MaxParked bounds the parked receipts, which came before their submission. Each
	// has up to 4096 octets. They should take at most half of the server's memory, since
	// an attacker who forges receipts can park them. The receipts are spread over 256
	// shards with equal parts of MaxParked, rounded up. The minimum is 4096, 16 for each
	// shard. Default 1 << 16.
	MaxParked int

	// MaxJobs bounds the unfinished jobs. Default 1 << 20.
	MaxJobs int

	// JobAttempts is the number of times that a failing job is handed out. Default 64,
	// which takes over 30 min: longer than the life of a short code. With fewer, a
	// message that no carrier took may become a dead letter before its last try, and
	// stay counted against the limits.
	JobAttempts int

	// Logger gets the warnings of Check, failed jobs, and failures of Run to reach the
	// server. Default: slog.DiscardHandler.
	Logger *slog.Logger
}

// validate refuses what New cannot use, and fills in the defaults.
func (c *Config) validate() error {
	if c.Client == nil {
		return errors.New("redisstore: Config.Client: is required")
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		return fmt.Errorf("redisstore: Config.Prefix: %q holds braces", c.Prefix)
	}
	if c.Prefix == "" {
		c.Prefix = "otp:"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return cmp.Or(
		notNegative("Timeout", &c.Timeout, 3*time.Second),
		notNegative("MaxParked", &c.MaxParked, 1<<16),
		notNegative("MaxJobs", &c.MaxJobs, 1<<20),
		notNegative("JobAttempts", &c.JobAttempts, worker.Attempts),
	)
}

// notNegative refuses a negative value, and replaces zero by the default.
func notNegative[N int | time.Duration](field string, v *N, byDefault N) error {
	if *v < 0 {
		return fmt.Errorf("redisstore: Config.%s: %v is negative", field, *v)
	}
	if *v == 0 {
		*v = byDefault
	}
	return nil
}
