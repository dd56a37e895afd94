package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Credentials = (*Store)(nil)

// scriptLoad returns the value of a subject, "" if there is none.
//
//	KEYS[1]  the value
var scriptLoad = newScript(reads + `return redis.call('GET', KEYS[1]) or ''`)

// swapText replaces a value. Values have no time to live.
//
//	KEYS[1]     the value
//	ARGV[1..2]  old, new; "" is none
//	returns     1, or 0 if the value differs from old
const swapText = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
	redis.call('DEL', KEYS[1])
else
	redis.call('SET', KEYS[1], ARGV[2])
end
return 1
`

// scriptFirst stores a subject's first value. On a full server it does not run;
// scriptSwap does, so that a right code is accepted there.
var (
	scriptFirst = newScript(mayFill + swapText)
	scriptSwap  = newScript(anyhow + swapText)
)

// credentialsKey returns the key of a subject's value. A subject may be an address: the
// name has its digest, of 256 bits.
func (s *Store) credentialsKey(subject string) []string {
	sum := sha256.Sum256([]byte(subject))
	return []string{s.key("s"+base64.RawURLEncoding.EncodeToString(sum[:]), "v")}
}

// Load implements store.Credentials. If the server may evict keys, Load returns an
// error, since an evicted value would look like no value.
func (s *Store) Load(ctx context.Context, subject string) ([]byte, error) {
	if err := s.keepsValues(ctx); err != nil {
		return nil, err
	}
	cmd, err := s.run(ctx, scriptLoad, s.credentialsKey(subject))
	if err != nil {
		return nil, err
	}
	value, err := cmd.Text()
	switch {
	case err != nil:
		return nil, fmt.Errorf("redisstore: %w", err)
	case value == "":
		return nil, nil
	}
	return []byte(value), nil
}

// Swap implements store.Credentials. If the server may evict keys, Swap returns an
// error and changes nothing.
func (s *Store) Swap(ctx context.Context, subject string, old, new []byte) error {
	if err := s.keepsValues(ctx); err != nil {
		return err
	}
	if len(new) > store.MaxCredentials {
		return fmt.Errorf("redisstore: credentials of %d bytes, over %d", len(new), store.MaxCredentials)
	}
	script := scriptSwap
	if len(old) == 0 && len(new) > 0 {
		script = scriptFirst
	}
	cmd, err := s.run(ctx, script, s.credentialsKey(subject), string(old), string(new))
	if err != nil {
		return err
	}
	swapped, err := cmd.Int()
	switch {
	case err != nil:
		return fmt.Errorf("redisstore: %w", err)
	case swapped == 0:
		return store.ErrConflict
	}
	return nil
}

// keepingTime is the time for which the answer of keepsValues counts.
const keepingTime = time.Minute

// keeping is the end of the time for which no server is known to evict keys, in
// nanoseconds since 1970; 0: unknown.
type keeping struct{ until atomic.Int64 }

// keepsValues returns an error if the server, or a master of the Cluster, may evict
// keys. It asks once in keepingTime; calls that come meanwhile rely on the last answer.
func (s *Store) keepsValues(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	until := s.keeping.until.Load()
	soon := now.Add(time.Second).UnixNano() // until then one call asks for all
	if now.UnixNano() < until || until != 0 && !s.keeping.until.CompareAndSwap(until, soon) {
		return nil
	}
	err := s.evicts(ctx)
	if err != nil {
		s.keeping.until.Store(0)
		return err
	}
	s.keeping.until.Store(now.Add(keepingTime).UnixNano())
	return nil
}

// evicts returns an error if a server may evict keys. A hosted server that hides its
// configuration counts as a server that does not.
func (s *Store) evicts(ctx context.Context) error {
	_, err := bounded(ctx, s, func(ctx context.Context) (struct{}, error) {
		if cluster, ok := s.client.(*redis.ClusterClient); ok {
			return struct{}{}, cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
				return policyOf(ctx, master)
			})
		}
		return struct{}{}, policyOf(ctx, s.client)
	})
	return err
}

// policyOf returns an error if the server's policy evicts keys.
func policyOf(ctx context.Context, client Client) error {
	cmd := redis.NewStringCmd(ctx, "info", "memory")
	_ = client.Process(ctx, cmd)
	info, err := cmd.Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return nil
	}
	if err != nil {
		return err
	}
	if p := fields(info)["maxmemory_policy"]; p != "" && p != "noeviction" {
		return fmt.Errorf("credentials are refused: maxmemory-policy is %s, so the server may drop them "+
			"when memory is short, and with them a second factor; set it to noeviction", p)
	}
	return nil
}
