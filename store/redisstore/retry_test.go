package redisstore

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisMatchAgain: a Match whose reply was lost, and that is asked for
// again after Track was told of its receipt, does not match that once more.
func TestRealRedisMatchAgain(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { client.Close() })
	s, err := New(Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	ctx, now := t.Context(), time.Now()
	until := now.Add(time.Hour)
	keys, name := s.threadKeys("route/1")
	match := func(nonce string) []string {
		t.Helper()
		cmd, err := s.run(ctx, scriptMatch, keys, micros(now), micros(until), name, nonce, "delivered", 9, 9)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := cmd.StringSlice()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	first := nonce()
	if a := match(first); len(a) != 0 {
		t.Fatalf("Match: %q, want it parked", a)
	}
	if early, err := s.Track(ctx, "route/1", "m", until, now); err != nil || len(early) != 1 {
		t.Fatalf("Track: %q, error %v", early, err)
	}
	if a := match(first); len(a) != 0 {
		t.Errorf("Match again: %q, want it parked, as at first", a)
	}
	if a := match(nonce()); len(a) != 1 || a[0] != "m" {
		t.Errorf("another Match: %q, want the message", a)
	}
}
