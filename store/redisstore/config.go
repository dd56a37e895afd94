package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config configures a Store.
type Config struct {
	// Client is required, and stays the caller's to close. If it is a
	// *redis.Client, calls that come at one time share pipelines. With its option
	// ContextTimeoutEnabled, a call that is alone saves a goroutine; if the
	// context of such a call is cancelled before its deadline, the call may wait
	// for the server's answer, for Timeout at most.
	Client Client

	// Prefix begins the name of every key. Stores of different prefixes share
	// nothing. It must not contain braces. Default "otp:".
	Prefix string

	// Timeout bounds each call, whatever the client's own options and however
	// often the client tries again. Default 3 s.
	Timeout time.Duration

	// MaxParked bounds the receipts that are kept because they came before their
	// submission. Each has up to 4096 bytes. Choose it so that they take at most
	// half of the server's memory: anyone who can make receipts up can park them.
	//
	// The receipts are spread over 256 shards. Each shard has room for an equal
	// part of MaxParked, rounded up, and for the 16 receipts of one message at
	// least, so the minimum is 4096. Default 1 << 16.
	MaxParked int

	// MaxJobs bounds the jobs that wait or are with a worker. Default 1 << 20.
	MaxJobs int

	// JobAttempts is how often a job whose handler fails is handed out. Default
	// 64, which last over 30 min: longer than otp lets a code live. With fewer, a
	// message that no carrier took may become a dead letter before its last try,
	// and stay counted against the limits.
	JobAttempts int

	// Logger gets the warnings of Check, the jobs that fail, and that Run does not
	// reach the server. Default: discards.
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
		notNegative("JobAttempts", &c.JobAttempts, jobAttempts),
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
