package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

// A script is Lua that Redis runs in one step. All keys that it touches are among
// its KEYS, and in one slot.
type script struct {
	source, hash any
	joined       *script // runs several calls; nil if none does
}

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
	return &script{source: source, hash: hex.EncodeToString(sum[:])}
}

// newJoinedScript is newScript for a script of which one EVALSHA may run several calls,
// see join. Each reply is a string or a number, and a call that is repeated does no harm.
func newJoinedScript(text string) *script {
	s := newScript(text)
	s.joined = newScript(join(text))
	return s
}

// join returns the text of a script that runs several calls of the script of a text, one
// after the other. An EVALSHA costs the server as much as three of its calls of Redis.
//
//	KEYS        those of the calls
//	ARGV[1]     of each call, the number of its KEYS and of its ARGV, a byte each
//	ARGV[2..]   those of the calls
//	returns     their replies
func join(text string) string {
	flags, body, _ := strings.Cut(text, "\n")
	return flags + `
local function one(KEYS, ARGV)
` + body + `
end
local replies, keys, args = {}, 1, 2
for i = 1, #ARGV[1], 2 do
	local k, a = ARGV[1]:byte(i, i + 1)
	replies[(i + 1) / 2] = one({unpack(KEYS, keys, keys + k - 1)}, {unpack(ARGV, args, args + a - 1)})
	keys, args = keys + k, args + a
end
return replies
`
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
	maxPipelined = 128 // calls in a pipeline
	maxPipelines = 2   // at one time
	maxJoined    = 32  // calls in one EVALSHA: no other client of the server waits for more
	maxWords     = 64  // of a call that is joined with others
)

// A call is a script to run.
type call struct {
	script *script
	keys   []string
	args   []any
}

// A sent is a call on its way, and a reply its reply, as go-redis reads it.
type (
	sent  = request[call, reply]
	reply = any
)

// run runs a script and returns its reply, which is not null. If the server is
// out of memory and the script may fill it, the script is not run, and the error is
// store.ErrFull.
//
// If a reply is lost the client may run the script again: a script that changes
// anything must be given a token or a [nonce], by which it knows that it ran before,
// unless it does no harm twice.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) (*redis.Cmd, error) {
	v, err := s.calls.ask(ctx, call{sc, keys, args})
	if err != nil {
		return nil, err
	}
	return redis.NewCmdResult(v, nil), nil
}

// text runs a script whose reply is a string.
func (s *Store) text(ctx context.Context, sc *script, keys []string, args ...any) (string, error) {
	v, err := s.calls.ask(ctx, call{sc, keys, args})
	if err != nil {
		return "", err
	}
	text, ok := v.(string)
	if !ok {
		return "", unreadable("a text", nil)
	}
	return text, nil
}

// calls returns the batcher of scripts that c runs. If there is one server, a batch
// is a pipeline. On a Cluster each script is sent alone: in a batch it would wait
// for the slowest node.
func calls(c Client, timeout time.Duration) *batcher[call, reply] {
	b := &batcher[call, reply]{timeout: timeout, maxBatch: 1, maxInFlight: math.MaxInt}
	one, _ := c.(*redis.Client)
	if one != nil {
		b.maxBatch, b.maxInFlight, b.keepsDeadline = maxPipelined, maxPipelines, one.Options().ContextTimeoutEnabled
	}
	b.send = func(ctx context.Context, batch []*sent) {
		for _, m := range []manner{{joined: true}, {joined: true, eval: true}, {}, {eval: true}} {
			if batch = m.send(ctx, c, batch); len(batch) == 0 {
				return
			}
		}
	}
	return b
}

// unreadable is the error of a reply that is not as its script makes it.
func unreadable(what string, err error) error {
	if err == nil {
		return fmt.Errorf("redisstore: %s: a reply that cannot be read", what)
	}
	return fmt.Errorf("redisstore: %s: %w", what, err)
}
