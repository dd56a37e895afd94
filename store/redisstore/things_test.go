package redisstore_test

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
	"github.com/otpcourier/otpcourier/store/redisstore"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// TestRealRedisThings: limits of one thing are in one key, and count as those in memstore
// do, whichever of them a call names, in whatever order.
func TestRealRedisThings(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).Addr)
	seed := mathrand.Uint64()
	t.Log("seed", seed)
	rnd := mathrand.New(mathrand.NewPCG(seed, 0))
	for range 30 {
		s, mem := open(t, redisstore.Config{Client: client}), memstore.New(memstore.Config{})
		thing, now := rand.Text()+store.Of, time.Now().Truncate(time.Second)
		all := []store.Limit{
			{Key: thing + "a", Most: 6, Per: time.Minute}, {Key: thing + "b", Most: 40, Per: time.Hour},
			{Key: thing + "b", Most: 300, Per: 2 * time.Hour}, {Key: thing + "c", Most: 90, Per: time.Hour, N: 2},
		}
		usual := all[:1+rnd.IntN(len(all))]
		var taken []time.Time
		for step := range 300 {
			now = now.Add(time.Duration(rnd.ExpFloat64()*20_000) * time.Millisecond)
			limits := usual
			if rnd.IntN(8) == 0 {
				limits = nil
				for _, i := range rnd.Perm(len(all))[:1+rnd.IntN(len(all))] {
					l := all[i]
					l.Shadow, l.Peek, l.N = rnd.IntN(4) == 0, rnd.IntN(4) == 0, rnd.IntN(4)
					limits = append(limits, l)
				}
			}
			if rnd.IntN(4) == 0 {
				at := time.Time{}
				if len(taken) > 0 && rnd.IntN(2) == 0 { // which of about that time is returned to many, is not said
					at, limits = taken[rnd.IntN(len(taken))], all[:2]
				}
				if err := s.Give(t.Context(), at, now, limits...); err != nil {
					t.Fatal(err)
				}
				_ = mem.Give(t.Context(), at, now, limits...)
				continue
			}
			got, err := s.Take(t.Context(), now, limits...)
			want, _ := mem.Take(t.Context(), now, limits...)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Fatalf("step %d, %+v: %v (-memstore +redisstore)\n%s", step, limits, err, diff)
			}
			taken = append(taken, now)
		}
		if n := len(lives(client, s.prefix)); n > 1 {
			t.Errorf("%d keys of one thing", n)
		}
	}
}

// TestRealRedisManyWindows: more limits of one thing than a script reads at first.
func TestRealRedisManyWindows(t *testing.T) {
	t.Parallel()
	s := open(t, redisstore.Config{Client: dial(t, redistest.Start(t).Addr)})
	now := time.Now()
	var limits []store.Limit
	for i := range 40 {
		limits = append(limits, store.Limit{Key: "thing" + store.Of, Most: 3, Per: time.Hour + time.Duration(i)})
	}
	for i := range 4 {
		d, err := s.Take(t.Context(), now.Add(time.Duration(i)*time.Second), limits...)
		if err != nil || d.Allowed != (i < 3) {
			t.Fatalf("taking %d: %+v, error %v", i+1, d, err)
		}
	}
}
