package redisstore_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

func TestRealRedisCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		directives string
		want       []string
	}{
		"good":       {redistest.AOF, nil},
		"evicts":     {redistest.AOF + "\nmaxmemory-policy allkeys-lru", []string{"maxmemory-policy is allkeys-lru"}},
		"forgetful":  {"", []string{"no append-only file and no replica"}},
		"everything": {"maxmemory-policy volatile-ttl", []string{"maxmemory-policy is volatile-ttl", "append-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t, c.directives).Addr),
				Logger: slog.New(slog.NewTextHandler(&log, nil))})
			warnings, err := s.Check(t.Context())
			if err != nil || len(warnings) != len(c.want) {
				t.Fatalf("%q, error %v, want %q", warnings, err, c.want)
			}
			for i, w := range c.want {
				if !strings.Contains(warnings[i], w) || !strings.Contains(log.String(), w) {
					t.Errorf("%q, log %q, want %q", warnings[i], &log, w)
				}
			}
		})
	}
}

// TestRealRedisCheckRefused: who may not see the configuration is not warned.
func TestRealRedisCheckRefused(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t, "maxmemory-policy allkeys-lru").Addr
	command := []any{"ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-@dangerous"}
	if err := dial(t, addr).Do(t.Context(), command...).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, Username: "app", Password: "any"})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	if warnings, err := s.Check(t.Context()); err != nil || len(warnings) != 0 {
		t.Errorf("%q, error %v", warnings, err)
	}
	now := time.Now()
	if err := s.Create(t.Context(), challenge("aaa-1", now), now); err != nil {
		t.Error(err)
	}
}

// TestRealRedisClusterCheck: a warning that several masters earn is given once.
func TestRealRedisClusterCheck(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, "maxmemory-policy allkeys-lru")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client})
	if warnings, err := s.Check(t.Context()); err != nil || len(warnings) != 2 {
		t.Errorf("%q, error %v, want 2 warnings", warnings, err)
	}
	cluster.Servers[1].Kill()
	if _, err := s.Check(t.Context()); err == nil {
		t.Error("no error with a master down")
	}
}
