package redisstore_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisNothingLeft: a limit whose last taking is given back leaves no key, and
// neither does a Take that is refused, on one server or on a Cluster.
func TestRealRedisNothingLeft(t *testing.T) {
	t.Parallel()
	t.Run("Server", func(t *testing.T) {
		t.Parallel()
		client := dial(t, redistest.Start(t).Addr)
		testNothingLeft(t, client, client)
	})
	t.Run("Cluster", func(t *testing.T) {
		t.Parallel()
		cluster := redistest.StartCluster(t)
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
		t.Cleanup(func() { client.Close() })
		var nodes []node
		for _, addr := range cluster.Addrs {
			nodes = append(nodes, dial(t, addr))
		}
		testNothingLeft(t, client, nodes...)
	})
}

func testNothingLeft(t *testing.T, client redisstore.Client, nodes ...node) {
	s := open(t, redisstore.Config{Client: client})
	ctx, now := t.Context(), time.Now()
	keys := func() (n int) {
		for _, node := range nodes {
			n += len(lives(node, s.prefix))
		}
		return n
	}
	for _, most := range []int{3, 1000} {
		one := store.Limit{Key: "one", Most: most, Per: time.Hour}
		limits := []store.Limit{one, {Key: "two", Most: most, Per: time.Hour}, one,
			{Key: "three", Most: most, Per: time.Minute, Shadow: true}}
		at := now
		for range 3 { // the takings of the last turn are over
			at = at.Add(3 * time.Hour)
			if d, err := s.Take(ctx, at, limits...); err != nil || !d.Allowed || len(d.Over) != 0 {
				t.Fatalf("%+v, error %v", d, err)
			}
			if n := keys(); n != 3 {
				t.Errorf("%d keys of 3 limits", n)
			}
			if err := s.Give(ctx, at.Add(-time.Minute), at, limits...); err != nil || keys() != 3 {
				t.Errorf("Give of takings that there are not: %d keys, error %v", keys(), err)
			}
			if err := s.Give(ctx, at, at.Add(time.Second), limits...); err != nil || keys() != 0 {
				t.Errorf("%d keys are left, error %v", keys(), err)
			}
			if err := s.Give(ctx, at, at.Add(time.Second), limits...); err != nil || keys() != 0 {
				t.Errorf("a repeated Give left %d keys, error %v", keys(), err)
			}
		}
	}
	full := store.Limit{Key: "full", Most: 1, Per: time.Hour}
	if d, err := s.Take(ctx, now, full); err != nil || !d.Allowed {
		t.Fatalf("%+v, error %v", d, err)
	}
	d, err := s.Take(ctx, now.Add(time.Second), full, store.Limit{Key: "a", Most: 1, Per: time.Hour},
		store.Limit{Key: "b", Most: 100, Per: time.Hour})
	if err != nil || d.Allowed || keys() != 1 {
		t.Errorf("%+v, error %v, then %d keys; want it refused, and the key of the full limit", d, err, keys())
	}
}

// TestRealRedisGivesTheTaking: whatever the order in which takings come, Give returns
// the one of its time, and no other.
func TestRealRedisGivesTheTaking(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	s := open(t, redisstore.Config{Client: client})
	ctx, start := t.Context(), time.Now().Truncate(time.Microsecond)
	seed := mathrand.Uint64()
	t.Log("seed", seed)
	rnd := mathrand.New(mathrand.NewPCG(seed, 0))
	const per = time.Second
	for range 20 {
		l := store.Limit{Key: rand.Text(), Most: 1 + rnd.IntN(8), Per: per}
		var taken []time.Time // in order
		counts := func(now time.Time) (n int) {
			for _, at := range taken {
				if at.After(now.Add(-per)) {
					n++
				}
			}
			return n
		}
		now := start
		for range 150 {
			now = now.Add(time.Duration(rnd.IntN(300)) * time.Millisecond)
			at := now.Add(-time.Duration(rnd.IntN(400)) * time.Millisecond)
			if len(taken) > 0 && rnd.IntN(3) == 0 {
				i := rnd.IntN(len(taken))
				given := taken[i]
				if rnd.IntN(4) == 0 {
					given = given.Add(time.Microsecond) // there is none
				} else {
					taken = slices.Delete(taken, i, i+1)
				}
				if err := s.Give(ctx, given, now, l); err != nil {
					t.Fatal(err)
				}
			}
			d, err := s.Take(ctx, at, l)
			if err != nil || d.Allowed != (counts(at) < l.Most) {
				t.Fatalf("%+v, error %v, with %d takings of %d", d, err, counts(at), l.Most)
			}
			if d.Allowed {
				taken = append(taken, at)
			}
			taken = slices.DeleteFunc(taken, func(at time.Time) bool { return !at.After(now.Add(-2 * per)) })
		}
	}
}
