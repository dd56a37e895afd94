package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

// A script is Lua that Redis runs in one step. All keys that it touches are among
// its KEYS, and in one slot.
type script struct{ source, hash any }

// The first line of a script. If it begins with "#!lua", a single server refuses the same
// scripts as a Cluster. If the server is out of memory, a script that may fill it fails;
// other scripts still run, so that a right code is accepted on a full server.
const (
	mayFill = "#!lua\n"
	anyhow  = "#!lua flags=allow-oom\n"
	reads   = "#!lua flags=no-writes\n"
)

// newScript returns a script of a text with placeholders, see expand.
func newScript(text string) *script {
	source := expand(text)
	sum := sha1.Sum([]byte(source)) // the name that EVALSHA takes
	return &script{source, hex.EncodeToString(sum[:])}
}

// The statuses of the scripts of challenges.
const (
	done byte = iota
	exists
	expired
	closed
	exhausted
	locked
	conflict
)

// refusals are the errors that the statuses mean.
var refusals = [...]error{
	done: nil, exists: store.ErrExists, expired: store.ErrExpired, closed: store.ErrClosed,
	exhausted: store.ErrExhausted, locked: store.ErrLocked, conflict: store.ErrConflict,
}

// The byte before a record in a reply: a status, and these.
const (
	headStatus    byte = 1<<3 - 1 // the bits of the status
	headLocked    byte = 1 << 3   // the end of the subject's lock follows, 8 bytes
	headAgain     byte = 1 << 4   // the call had its effect before
	headCancelled byte = 1 << 5   // CancelAll has cancelled the challenge
	headEnd       byte = 1 << 6   // no head is as great
)

// luaConstants are placeholders of the scripts: names, and their values in Go.
var luaConstants = map[string]any{
	"status.done": done, "status.exists": exists, "status.expired": expired, "status.closed": closed,
	"status.exhausted": exhausted, "status.locked": locked, "status.conflict": conflict,
	"head.locked": headLocked, "head.again": headAgain, "head.cancelled": headCancelled,

	"end.again": endAgain, "end.back": endBack, "end.late": endLate, "end.failed": endFailed,
	"promotes": promotes, "dead_letters": deadLetters,

	"token": tokenLen, "nonce": nonceLen, "nonces": mostNonces * nonceLen, "limit_peek": limitPeek,
	"beginning": beginning, "most_windows": mostWindows,
	"slack.millis": slack.Milliseconds(), "slack.micros": slack.Microseconds(),
}

// The names of calls: a caller's store.Token, or a nonce.
const (
	tokenLen = 8
	nonceLen = 8
)

// A nonce names a call without a token. It is random, so that no other process gives the
// same name to another call. It is no secret.
func nonce() uint64 { return rand.Uint64() }

// nonceBytes is a nonce as it is kept.
func nonceBytes() string { return stamp(0, nonce())[stampLayout.Name.at:] }

// stamp returns the time of a call, in microseconds, and its name, a token or a
// nonce, as one argument.
func stamp(micros int64, name uint64) string {
	return string(appendStamp(make([]byte, 0, 8+nonceLen), micros, name))
}

func appendStamp(to []byte, micros int64, name uint64) []byte {
	to = binary.BigEndian.AppendUint64(to, uint64(micros))
	return binary.BigEndian.AppendUint64(to, name)
}

// timeOnly is the stamp of a call that needs no name.
func timeOnly(micros int64) string { return stamp(micros, 0)[:stampLayout.Name.at] }

// How scripts go to a single server.
const (
	maxPipelined = 128 // scripts in a pipeline
	maxPipelines = 2   // at one time
)

// A call is a script to run: EVALSHA, or EVAL, which brings the script.
type call struct {
	script *script
	words  []any
}

func (c *call) command(ctx context.Context, eval bool) *redis.Cmd {
	if eval {
		c.words[0], c.words[1] = "eval", c.script.source
	}
	cmd := redis.NewCmd(ctx, c.words...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// run runs a script and returns its reply, which is not null. If the server is
// out of memory and the script may fill it, the script is not run, and the error is
// store.ErrFull.
//
// If a reply is lost the client may run the script again: a script that changes
// anything must be given a token or a [nonce], by which it knows that it ran before,
// unless it does no harm twice.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) (*redis.Cmd, error) {
	words := append(make([]any, 0, 3+len(keys)+len(args)), "evalsha", sc.hash, len(keys))
	for _, k := range keys {
		words = append(words, k)
	}
	return s.calls.ask(ctx, call{sc, append(words, args...)})
}

// text runs a script whose reply is a string.
func (s *Store) text(ctx context.Context, sc *script, keys []string, args ...any) (string, error) {
	cmd, err := s.run(ctx, sc, keys, args...)
	if err != nil {
		return "", err
	}
	text, err := cmd.Text()
	if err != nil {
		return "", fmt.Errorf("redisstore: %w", err)
	}
	return text, nil
}

// calls returns the batcher of scripts that c runs. If there is one server, a batch
// is a pipeline. On a Cluster each script is sent alone: in a batch it would wait
// for the slowest node.
func calls(c Client, timeout time.Duration) *batcher[call, *redis.Cmd] {
	b := &batcher[call, *redis.Cmd]{timeout: timeout, maxBatch: 1, maxInFlight: math.MaxInt}
	one, _ := c.(*redis.Client)
	if one != nil {
		b.maxBatch, b.maxInFlight, b.keepsDeadline = maxPipelined, maxPipelines, one.Options().ContextTimeoutEnabled
	}
	b.send = func(ctx context.Context, batch []*request[call, *redis.Cmd]) {
		for _, eval := range []bool{false, true} {
			if batch = sendCalls(ctx, c, batch, eval); len(batch) == 0 {
				return
			}
		}
	}
	return b
}

// sendCalls replies to a batch of calls, and returns those whose script the server does
// not have: after a start, a failover, or SCRIPT FLUSH.
func sendCalls(
	ctx context.Context, c Client, batch []*request[call, *redis.Cmd], eval bool,
) (unknown []*request[call, *redis.Cmd]) {
	cmds := make([]redis.Cmder, len(batch))
	for i, r := range batch {
		cmds[i] = r.query.command(ctx, eval)
	}
	if one, ok := c.(*redis.Client); ok && len(cmds) > 1 {
		p := one.Pipeline()
		_ = p.BatchProcess(ctx, cmds...)
		_, _ = p.Exec(ctx)
	} else {
		_ = c.Process(ctx, cmds[0]) // the commands hold the error
	}
	for i, r := range batch {
		cmd, _ := cmds[i].(*redis.Cmd)
		switch err := cmd.Err(); {
		case err == nil:
			r.reply(cmd, nil)
		case !eval && redis.HasErrorPrefix(err, "NOSCRIPT"):
			unknown = append(unknown, r)
		case redis.HasErrorPrefix(err, "OOM"):
			r.reply(nil, store.ErrFull)
		default:
			r.reply(nil, fmt.Errorf("redisstore: %w", err))
		}
	}
	return unknown
}

// unreadable is the error of a reply that is not as its script makes it.
func unreadable(what string, err error) error {
	if err == nil {
		return fmt.Errorf("redisstore: %s: a reply that cannot be read", what)
	}
	return fmt.Errorf("redisstore: %s: %w", what, err)
}
