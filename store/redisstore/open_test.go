package redisstore_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisLostOpens: of an Open whose reply was lost the limits count once, and the
// record is the one that was created.
func TestRealRedisLostOpens(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	a, b := store.Limit{Key: "a", Most: 2, Per: time.Hour}, store.Limit{Key: "b", Most: 1000, Per: time.Hour}
	s, direct, proxy := lossy(t, func(s store.Store) {
		_, _ = s.(*opened).Open(ctx, challenge("aaa-warm", now), now, store.Limit{Key: "warm", Most: 1, Per: time.Hour})
	})
	for _, id := range []string{"aaa-1", "aaa-2"} {
		once(t, proxy, func() error {
			d, err := s.Open(ctx, challenge(id, now), now, a, b)
			if err == nil && !d.Allowed {
				t.Errorf("%+v, want it allowed", d)
			}
			return err
		})
		if r, err := direct.Get(ctx, id, now); err != nil || string(r.Delivery) != "delivery" {
			t.Errorf("%+v, error %v", r, err)
		}
	}
	once(t, proxy, func() error { // refused twice
		d, err := s.Open(ctx, challenge("aaa-3", now), now, a, b)
		if err == nil && d.Allowed {
			t.Errorf("%+v, want it refused", d)
		}
		return err
	})
	b.Most = 3
	if d, err := direct.Take(ctx, now, b); err != nil || !d.Allowed {
		t.Errorf("%+v, error %v; want 2 of 3 taken", d, err)
	}
}

// TestRealRedisOpensTogether: of a pipeline some replies of which are lost each Open gets
// its own answer.
func TestRealRedisOpensTogether(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	patient := redis.NewClient(&redis.Options{Addr: proxy.Addr, MaxRetries: 30})
	t.Cleanup(func() { patient.Close() })
	s := open(t, redisstore.Config{Client: patient})
	const keys, most, each = 40, 3, 6
	proxy.LoseEvery(7, "evalsha")
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for i := range keys * each {
		wg.Go(func() {
			id := string(rune('a'+i%26)) + "-" + time.Duration(i).String()
			limits := []store.Limit{{Key: time.Duration(i % keys).String(), Most: most, Per: time.Hour},
				{Key: "all", Most: 1000, Per: time.Hour}}
			d, err := s.Open(ctx, challenge(id, now), now, limits...)
			_, missing := s.Get(ctx, id, now)
			if err != nil || d.Allowed != (missing == nil) || !d.Allowed && (len(d.Over) != 1 || d.Over[0] != 0) {
				t.Errorf("%+v, error %v, and its record %v", d, err, missing)
			}
			if d.Allowed {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != keys*most {
		t.Errorf("%d were allowed, want %d", n, keys*most)
	}
	if proxy.Lost() == 0 {
		t.Error("no reply was lost")
	}
}

// TestRealRedisOpenOnCluster: on a Cluster there is no Open, also if the client does not
// tell that the server is one of a Cluster.
func TestRealRedisOpenOnCluster(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	cluster := redistest.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs})
	t.Cleanup(func() { client.Close() })
	pipeline, err := client.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pipeline.Close() })
	for name, c := range map[string]redisstore.Client{"Client": client, "AutoPipeline": pipeline} {
		s := open(t, redisstore.Config{Client: c})
		l := store.Limit{Key: "a", Most: 1, Per: time.Hour}
		for range 2 {
			if d, err := s.Open(ctx, challenge("aaa-1", now), now, l); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %+v, error %v, want ErrUnsupported", name, d, err)
			}
		}
		if d, err := s.Take(ctx, now, l); err != nil || !d.Allowed {
			t.Errorf("%s: %+v, error %v, want that nothing was taken", name, d, err)
		}
	}
}
