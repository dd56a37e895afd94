package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

// A script is Lua that Redis runs in one step. Its first line begins with
// "#!lua": only then does Redis refuse, on a single server too, what a Cluster
// would. All keys that it touches are among its KEYS, and in one slot.
type script struct{ source, hash string }

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source)) // the name that EVALSHA takes
	return &script{source, hex.EncodeToString(sum[:])}
}

// command returns EVAL or EVALSHA of what.
func command(ctx context.Context, name, what string, keys []string, args []any) *redis.Cmd {
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, name, what, len(keys))
	for _, k := range keys {
		words = append(words, k)
	}
	cmd := redis.NewCmd(ctx, append(words, args...)...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// run runs a script and returns its reply, which is not null. store.ErrFull:
// the server is out of memory, and the script, which has not the flag
// allow-oom, was not run.
//
// The client may run it again when the reply was lost: a script that changes
// anything is given a [nonce], by which it knows that it did.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) (*redis.Cmd, error) {
	ask := func(ctx context.Context) (*redis.Cmd, error) {
		cmd := command(ctx, "evalsha", sc.hash, keys, args)
		_ = s.client.Process(ctx, cmd) // is in cmd, in the end
		err := cmd.Err()
		if err == nil {
			return cmd, nil
		}
		if redis.HasErrorPrefix(err, "NOSCRIPT") { // new server, failover, or SCRIPT FLUSH
			cmd = command(ctx, "eval", sc.source, keys, args)
			_ = s.client.Process(ctx, cmd)
			err = cmd.Err()
		}
		if redis.HasErrorPrefix(err, "OOM") {
			return nil, store.ErrFull
		}
		return cmd, err
	}
	if s.punctual {
		return inTime(ctx, s, ask)
	}
	return bounded(ctx, s, ask)
}

// punctual reports whether a client keeps to the deadlines of contexts.
func punctual(c Client) bool {
	switch c := c.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	}
	return false
}

// nonceLen is the length of a nonce.
const nonceLen = 8

// A nonce names one call: 8 bytes, random so that no other process names one
// of its own the same. It is no secret.
func nonce() string {
	return string(binary.BigEndian.AppendUint64(nil, rand.Uint64()))
}

// inTime calls f, which asks the server and keeps to its context's deadline.
func inTime[T any](ctx context.Context, s *Store, f func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	v, err := f(within)
	if err == nil {
		return v, nil
	}
	return none, s.failure(ctx, within, err)
}

// bounded is inTime for a client that keeps to no deadline while it waits for a
// connection's bytes: then f is left behind, until the client's own timeouts
// end it, and what it returns is dropped.
func bounded[T any](ctx context.Context, s *Store, f func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		v, err := f(within)
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		if a.err == nil {
			return a.value, nil
		}
		return none, s.failure(ctx, within, a.err)
	case <-within.Done():
		return none, s.failure(ctx, within, within.Err())
	}
}

// failure is what a caller is told of err: that its context has ended, or that
// Config.Timeout is over, or what the server or the client said. A connection
// notices a deadline a moment before the context does.
func (s *Store) failure(ctx, within context.Context, err error) error {
	now := time.Now()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if until, ok := ctx.Deadline(); ok && !now.Before(until) {
		return context.DeadlineExceeded
	}
	if until, _ := within.Deadline(); !now.Before(until) {
		return fmt.Errorf("redisstore: no answer within %v: %w", s.timeout, os.ErrDeadlineExceeded)
	}
	return describe(err)
}

// describe says whose error it is, unless it is one of package store.
func describe(err error) error {
	if err == store.ErrFull { //nolint:errorlint // it is passed on as it is, or else wrapped
		return err
	}
	return fmt.Errorf("redisstore: %w", err)
}
