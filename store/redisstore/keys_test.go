package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

func TestRealRedisPrefix(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	a, b := open(t, redisstore.Config{Client: client, Prefix: "a:"}),
		open(t, redisstore.Config{Client: client, Prefix: "b:"})
	ctx, now := t.Context(), time.Now()
	l := store.Limit{Key: "l", Most: 1, Per: time.Hour}
	for _, s := range []*opened{a, b} {
		r := challenge("aaa-1", now)
		r.MaxFailures = 1
		if err := s.Create(ctx, r, now); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Attempt(ctx, "aaa-1", token(), now); err != nil || r.Attempts != 1 || r.LockedUntil.IsZero() {
			t.Errorf("Attempt: %+v, error %v", r, err)
		}
		if d, err := s.Take(ctx, now, l); err != nil || !d.Allowed {
			t.Errorf("Take: %+v, error %v", d, err)
		}
		if m, err := s.Match(ctx, "r/1", nil, now.Add(time.Hour), now); err != nil || m != "" {
			t.Errorf("Match: %q, error %v", m, err)
		}
		if _, err := s.Track(ctx, "r/1", s.prefix, now.Add(time.Hour), now); err != nil {
			t.Error(err)
		}
	}
	for key, life := range lives(client, "") {
		if !strings.HasPrefix(key, "a:") && !strings.HasPrefix(key, "b:") {
			t.Errorf("key %q", key)
		}
		if life < time.Minute || life > time.Hour+3*time.Minute {
			t.Errorf("key %q lives for %v", key, life)
		}
	}
}

// TestRealRedisSweep: runs of failures that are forgotten make room for others
// of their bucket.
func TestRealRedisSweep(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	const each = 400
	for round := range 5 {
		for i := range each {
			r := challenge(fmt.Sprintf("aaa-%d-%d", round, i), now)
			r.Lock = time.Minute
			if err := s.Create(ctx, r, now); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Attempt(ctx, r.ID, token(), now); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(3 * time.Minute)
	}
	n, err := client.HLen(ctx, s.prefix+"{aaa}f").Result()
	if err != nil || n < each || n > 3*each {
		t.Errorf("%d runs are kept of %d of which %d live, error %v", n, 5*each, each, err)
	}
}

// TestRealRedisOddIDs: whatever a user typed for an ID is not found, or kept as
// well as any.
func TestRealRedisOddIDs(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	for _, id := range []string{"-", "a", "-b", "a-", "a-b-c", "}a{-b", "{}-{}", "a-}b", "\x00-\xff", "ä-ö",
		strings.Repeat("a", 300) + "-" + strings.Repeat("b", 300)} {
		if _, err := s.Get(ctx, id, now); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get of %q: %v", id, err)
		}
		if err := s.Create(ctx, challenge(id, now), now); err != nil {
			t.Errorf("Create of %q: %v", id, err)
			continue
		}
		if r, err := s.Attempt(ctx, id, token(), now); err != nil || r.ID != id || r.Attempts != 1 {
			t.Errorf("Attempt of %q: %+v, error %v", id, r, err)
		}
	}
	if _, err := s.Get(ctx, "", now); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of no ID: %v", err)
	}
}
