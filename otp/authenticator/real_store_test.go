package authenticator_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// newRedisRig is a rig over a client.
func newRedisRig(t *testing.T, client redisstore.Client) *rig {
	t.Helper()
	s, err := redisstore.New(redisstore.Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, func(c *authenticator.Config) { c.Store = s })
}

func TestRealRedisParallel(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { client.Close() })
	parallelTrials(t, newRedisRig(t, client), func(string) {})
}

func TestRealRedisClusterParallel(t *testing.T) {
	t.Parallel()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: redistest.StartCluster(t).Addrs})
	t.Cleanup(func() { client.Close() })
	parallelTrials(t, newRedisRig(t, client), func(string) {})
}

// TestRealRedisLostReplies: whatever reply is lost, a right code is accepted once and a
// wrong one charged once.
func TestRealRedisLostReplies(t *testing.T) {
	t.Parallel()
	proxy := redistest.NewProxy(t, redistest.Start(t).Addr)
	client := redis.NewClient(&redis.Options{Addr: proxy.Addr})
	t.Cleanup(func() { client.Close() })
	r := newRedisRig(t, client)
	d := r.app("ann")
	proxy.LoseEvery(2, "evalsha")
	for i := range 5 {
		_, err := r.Verify(t.Context(), "ann", d.wrong())
		if left(err) != 9-i {
			t.Errorf("wrong code %d: %v, %d left", i+1, err, left(err))
		}
	}
	code := d.off(1)
	r.verify("ann", "right", code, "ok")
	r.verify("ann", "again", code, "closed")
	if proxy.Lost() < 5 {
		t.Errorf("%d replies were lost", proxy.Lost())
	}
}

// TestRealRedisRoundTrips: a Verify is two scripts on the server, right or wrong, and
// nothing else.
func TestRealRedisRoundTrips(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { client.Close() })
	r := newRedisRig(t, client)
	d := r.app("ann") // the scripts are loaded, and the server's policy is known
	r.verify("ann", "a wrong code", d.wrong(), "wrong")
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r.verify("ann", "a wrong code", d.wrong(), "wrong")
	}
	r.verify("ann", "a right code", d.off(1), "ok")
	stats, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stats, "cmdstat_evalsha:calls=12,") || strings.Contains(stats, "cmdstat_eval:") ||
		strings.Contains(stats, "cmdstat_info") {
		t.Errorf("six Verify are not twelve scripts:\n%s", stats)
	}
}
