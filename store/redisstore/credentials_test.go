package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisCredentialsKept: a value has no life, and its key does not show the
// subject.
func TestRealRedisCredentialsKept(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	if err := s.Swap(t.Context(), "ann@example.com", nil, []byte("otp1:k1:value")); err != nil {
		t.Fatal(err)
	}
	keys := lives(client, "")
	if len(keys) != 1 {
		t.Errorf("%d keys, want 1", len(keys))
	}
	for key, life := range keys {
		if !strings.HasPrefix(key, s.prefix+"{s") || strings.Contains(key, "ann") || life != -1 {
			t.Errorf("key %q lives for %v, want no end", key, life)
		}
	}
}

// TestRealRedisCredentialsEvicted: a server that may drop a value is not trusted with
// one, nor with the answer that there is none.
func TestRealRedisCredentialsEvicted(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	clustered := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { clustered.Close() })
	single := dial(t, redistest.Start(t).Addr)
	for name, c := range map[string]struct {
		client redisstore.Client
		server redis.Cmdable // whose policy is set
	}{
		"single":     {single, single},
		"one master": {clustered, dial(t, cluster.Addrs[2])},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := func() *opened { return open(t, redisstore.Config{Client: c.client}) }
			for _, policy := range []string{"allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl"} {
				if err := c.server.ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
					t.Fatal(err)
				}
				s := fresh()
				_, load := s.Load(t.Context(), "a")
				for _, err := range []error{load, s.Swap(t.Context(), "a", nil, []byte("v"))} {
					if err == nil || !strings.Contains(err.Error(), policy) || errors.Is(err, store.ErrConflict) {
						t.Errorf("%s: %v, want an error that names the policy", policy, err)
					}
				}
				if err := c.server.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err(); err != nil {
					t.Fatal(err)
				}
				if v, err := s.Load(t.Context(), "a"); err != nil || v != nil {
					t.Errorf("with noeviction: %q, error %v", v, err)
				}
				if err := s.Swap(t.Context(), "a", nil, []byte("v")); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A policed client answers INFO with a policy, and scripts with 1, and counts both.
type policed struct {
	policy         string
	infos, scripts int
}

func (p *policed) Process(_ context.Context, cmd redis.Cmder) error {
	switch cmd := cmd.(type) {
	case *redis.StringCmd:
		p.infos++
		cmd.SetVal("# Memory\r\nmaxmemory_policy:" + p.policy + "\r\n")
	case *redis.Cmd:
		p.scripts++
		cmd.SetVal(int64(1))
	}
	return nil
}

// The policy is looked at once a minute: a Swap is one round trip.
func TestCredentialsPolicyOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &policed{policy: "noeviction"}
		s := open(t, redisstore.Config{Client: client})
		swap := func() error { return s.Swap(t.Context(), "a", nil, []byte("v")) }
		for range 100 {
			if err := swap(); err != nil {
				t.Fatal(err)
			}
		}
		if client.infos != 1 || client.scripts != 100 {
			t.Errorf("%d INFO and %d scripts for 100 Swaps, want 1 and 100", client.infos, client.scripts)
		}
		client.policy = "allkeys-lru"
		time.Sleep(time.Minute)
		if err := swap(); err == nil {
			t.Error("the policy changed, and Swap goes on after a minute")
		}
		if err := swap(); err == nil {
			t.Error("the second Swap after the policy changed goes on")
		}
		client.policy = "noeviction"
		if err := swap(); err != nil {
			t.Errorf("the policy is right again: %v", err)
		}
	})
}

// TestRealRedisCredentialsFull: a full server takes no new subject, and replaces the
// value of one that it has: a right code is accepted.
func TestRealRedisCredentialsFull(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx := t.Context()
	if err := s.Swap(ctx, "a", nil, []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Swap(ctx, "b", nil, []byte("1")); !errors.Is(err, store.ErrFull) {
		t.Errorf("a new subject: %v, want ErrFull", err)
	}
	if err := s.Swap(ctx, "a", []byte("1"), []byte("2")); err != nil {
		t.Errorf("a new value: %v", err)
	}
	if err := s.Swap(ctx, "a", []byte("2"), nil); err != nil {
		t.Errorf("no value: %v", err)
	}
}

// TestRealRedisCredentialsLostReply: a Swap whose reply was lost has its effect once;
// its caller finds its own value.
func TestRealRedisCredentialsLostReply(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, direct, proxy := lossy(t, func(store.Store) {})
	for i, from := range []string{"", "1", "2"} {
		to := string(rune('1' + i))
		proxy.LoseReplies(1, "evalsha")
		err := s.Swap(ctx, "a", []byte(from), []byte(to))
		if proxy.Lost() != 1 || err != nil && !errors.Is(err, store.ErrConflict) {
			t.Errorf("Swap: %v, %d replies lost", err, proxy.Lost())
		}
		if v, err := direct.Load(ctx, "a"); err != nil || string(v) != to {
			t.Errorf("Load: %q, error %v, want %q", v, err, to)
		}
	}
}

func TestCredentialsTooLong(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: &policed{policy: "noeviction"}})
	if err := s.Swap(t.Context(), "a", nil, make([]byte, store.MaxCredentials+1)); err == nil {
		t.Error("a value that is too long is taken")
	}
}
