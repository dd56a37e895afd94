package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisClusterGivesBack: what one slot granted is given back when
// another refuses, or its master is down.
func TestRealRedisClusterGivesBack(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, "cluster-require-full-coverage no")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	s := open(t, redisstore.Config{Client: client, Timeout: time.Second})
	ctx, now := t.Context(), time.Now()
	var limits []store.Limit
	for i := range 12 { // on every master some
		limits = append(limits, store.Limit{Key: fmt.Sprint("l", i), Most: 1, Per: time.Hour})
	}
	if d, err := s.Take(ctx, now, limits[0]); err != nil || !d.Allowed {
		t.Fatalf("%+v, error %v", d, err)
	}
	if d, err := s.Take(ctx, now, limits...); err != nil || d.Allowed || fmt.Sprint(d.Over) != "[0]" {
		t.Fatalf("%+v, error %v, want it refused with Over [0]", d, err)
	}
	cluster.Servers[0].Kill()
	if d, err := s.Take(ctx, now, limits[1:]...); err == nil || d.Allowed {
		t.Fatalf("%+v, error %v, want an error", d, err)
	}
	allowed := 0
	for _, l := range limits[1:] {
		d, err := s.Take(ctx, now, l)
		if err == nil && !d.Allowed {
			t.Errorf("%+v, want what was taken in vain given back", d)
		}
		if d.Allowed {
			allowed++
		}
	}
	if allowed == 0 || allowed == len(limits)-1 {
		t.Errorf("%d of %d limits are on masters that live", allowed, len(limits)-1)
	}
}
