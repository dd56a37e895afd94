package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Tracker = (*Store)(nil)

// What is parked: so many receipts for one key, of so many bytes at most.
const (
	maxParked  = 16
	maxReceipt = 4 << 10
)

// shards is how many slots the Tracker spreads its keys over. Each has a part of
// Config.MaxParked.
const shards = 256

// entryKeys returns the keys of what is known of a Tracker's key and of what
// is parked at its shard, and the name of the former there.
func (s *Store) entryKeys(key string) (keys []string, name string) {
	sum := sha256.Sum256([]byte(key))
	shard := "t" + hex.EncodeToString(sum[:1])
	name = base64.RawURLEncoding.EncodeToString(sum[1:17])
	return []string{s.key(shard, "r"+name), s.key(shard, "p")}, name
}

// Track implements store.Tracker.
func (s *Store) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if message == "" {
		return nil, errors.New("redisstore: Track of an empty message")
	}
	keys, name := s.entryKeys(key)
	cmd, err := s.run(ctx, scriptTrack, keys, micros(now), micros(expires), name, message)
	if err != nil {
		return nil, err
	}
	parked, err := cmd.StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	var early [][]byte
	for _, receipt := range parked {
		if len(receipt) < nonceLen {
			return nil, errors.New("redisstore: a receipt that cannot be read")
		}
		early = append(early, []byte(receipt[nonceLen:]))
	}
	return early, nil
}

// Match implements store.Tracker. It parks 16 receipts per key.
func (s *Store) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(receipt) > maxReceipt {
		return "", fmt.Errorf("redisstore: receipt of %d bytes, over %d", len(receipt), maxReceipt)
	}
	keys, name := s.entryKeys(key)
	given := string(receipt) // the client may look at it after the call has returned
	cmd, err := s.run(ctx, scriptMatch, keys, micros(now), micros(expires), name, nonce(), given, s.parked, maxParked)
	if err != nil {
		return "", err
	}
	answer, err := cmd.StringSlice()
	switch {
	case err != nil:
		return "", fmt.Errorf("redisstore: %w", err)
	case len(answer) == 0: // parked
		return "", nil
	case len(answer) == 1:
		return answer[0], nil
	}
	return "", store.ErrFull
}

// The scripts' KEYS are a entry and its shard. A entry is a hash: the message,
// m; when it expires, x; the number of parked receipts, n; and these, by
// number, after the nonce of the call that parked them. A shard is a sorted set
// of the parked receipts by when they expire. ARGV begins with now, expires and
// the entry's name at its shard.

// trackerPreamble begins the scripts. keep keeps a entry until the later expires.
const trackerPreamble = `
local now, expires, name = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local m, x, n = unpack(redis.call('HMGET', KEYS[1], 'm', 'x', 'n'))
if x and tonumber(x) <= now then
	redis.call('DEL', KEYS[1])
	m, x, n = false, false, false
end
x, n = tonumber(x or -1), tonumber(n or 0)
local function parked()
	if n == 0 then return {} end
	local fields = {}
	for i = 1, n do fields[i] = i end
	return redis.call('HMGET', KEYS[1], unpack(fields))
end
local function keep(from)
	if expires > x then
		x, from = expires, 1
		redis.call('HSET', KEYS[1], 'x', x)
		redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(x - now, 0) / 1000) + @slack.millis)
	end
	for i = from, n do redis.call('ZADD', KEYS[2], x, name .. i) end
	local life = math.ceil(math.max(x - now, 0) / 1000) + @slack.millis
	if n >= from and redis.call('PTTL', KEYS[2]) < life then redis.call('PEXPIRE', KEYS[2], life) end
end
`

// ARGV: now, expires, name, message.
var scriptTrack = newScript(mayFill + trackerPreamble + `
if not m then redis.call('HSET', KEYS[1], 'm', ARGV[4]) end
keep(n + 1)
if m and m ~= ARGV[4] then return {} end
return parked()
`)

// ARGV: now, expires, name, nonce, receipt, room at the shard, room per entry.
// The answer is nothing if the receipt was parked, the message, or two words
// if there is no room.
var scriptMatch = newScript(mayFill + trackerPreamble + `
for _, p in ipairs(parked()) do
	if p:sub(1, @nonce) == ARGV[4] or (not m and p:sub(@(nonce + 1)) == ARGV[5]) then
		keep(n + 1)
		return {}
	end
end
if m then
	keep(n + 1)
	return {m}
end
if n >= tonumber(ARGV[7]) then return {'', ''} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then return {'', ''} end
n = n + 1
redis.call('HSET', KEYS[1], n, ARGV[4] .. ARGV[5], 'n', n)
keep(n)
return {}
`)
