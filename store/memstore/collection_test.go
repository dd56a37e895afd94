package memstore

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// TestTable holds a table against a map.
func TestTable(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var tab table[run, *run]
	want := map[key]*run{}
	for range 20_000 {
		k := key{0, rnd.Uint64() % 3000 * 0x9e3779b97f4a7c15}
		if got := tab.get(k); got != want[k] {
			t.Fatalf("get: %p, want %p", got, want[k])
		}
		if e := want[k]; e != nil {
			tab.remove(e)
			delete(want, k)
			continue
		}
		e := &run{}
		e.key = k
		tab.insert(e)
		want[k] = e
	}
	if tab.n != len(want) {
		t.Errorf("%d entries, want %d", tab.n, len(want))
	}
	for k, e := range want {
		if tab.get(k) != e {
			t.Fatalf("get: %p, want %p", tab.get(k), e)
		}
	}
}

// TestWheel moves a wheel to and fro in time, and checks that it drops what is
// dead, nothing that lives, and in the end everything.
func TestWheel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var w wheel[run, *run]
		now := int64(rnd.Uint64N(1e18)) - 5e17 // before 1970 too
		alive := map[*run]bool{}
		drop := func(e *run) {
			if e.expires > now || !alive[e] {
				t.Fatalf("seed %d: dropped at %d what dies at %d, there: %t", seed, now, e.expires, alive[e])
			}
			delete(alive, e)
		}
		spans := []int64{second / 2, 5 * second, 300 * second, 20_000 * second, 200_000 * second}
		span := func() int64 { return rnd.Int64N(spans[rnd.IntN(len(spans))]) }
		for range 3000 {
			w.sweep(now, sweepCosts, drop)
			switch rnd.IntN(9) {
			case 0:
				now += span()
			case 1:
				now -= min(span(), 30*second)
			case 2:
				for e := range alive { // a life may grow, or end early
					e.expires += span() - span()/4
					break
				}
			case 3:
				for e := range alive {
					w.remove(e)
					delete(alive, e)
					break
				}
			default:
				e := &run{}
				e.expires = now + span()
				alive[e] = true
				w.put(e)
			}
			if w.n != len(alive) {
				t.Fatalf("seed %d: %d entries, want %d", seed, w.n, len(alive))
			}
		}
		now += 1_000_000 * second
		for steps := 0; w.sweep(now, sweepCosts, drop); steps++ {
			if steps > 10_000 {
				t.Fatalf("seed %d: the sweep does not end", seed)
			}
		}
		if len(alive) != 0 || w.fineN != 0 {
			t.Errorf("seed %d: %d entries were never dropped, %d in fine slots", seed, len(alive), w.fineN)
		}
	}
}

// TestSweepIsPrompt checks that an entry is collected within a second of its
// death, when sweeps come often enough.
func TestSweepIsPrompt(t *testing.T) {
	t.Parallel()
	for _, life := range []int64{1, 3, 29, 31, 255, 256, 257, 511, 512, 4096, 256 * 63, 256 * 64, 256*64 + 1, 100_000} {
		var w wheel[run, *run]
		start := int64(1_000_000_123) * second
		now := start
		w.sweep(now, sweepCosts, nil)
		e := &run{}
		e.expires = start + life*second
		w.put(e)
		dropped := int64(0)
		for ; dropped == 0 && now < start+2*life*second+2*second; now += second {
			w.sweep(now, sweepCosts, func(*run) { dropped = now })
		}
		if late := dropped - e.expires; late < 0 || late > second {
			t.Errorf("a life of %d s was collected %v after its end", life, time.Duration(late))
		}
	}
}

// TestDropOneIsBounded checks that who looks for one that died in the second
// that has begun does not look at all that will die in it.
func TestDropOneIsBounded(t *testing.T) {
	t.Parallel()
	const end = 1_000_000 * fineSlots * second // where a span of the wheel begins
	for _, life := range []int64{100, 1000} {  // in a fine slot, in a coarse one
		var w wheel[run, *run]
		w.sweep(end-life*second, sweepCosts, nil)
		for i := range int64(1000) { // the first dies first, and is looked at last
			e := &run{}
			e.expires = end - second*9/10 + min(i, 1)*second/2
			w.put(e)
		}
		now := end - second/2
		for w.sweep(now, sweepCosts, nil) {
		}
		dropped := 0
		drop := func(*run) { dropped++ }
		looks := reclaimLooks
		if w.dropOne(now, &looks, drop) || looks != 0 {
			t.Errorf("a life of %d s: dropped %d, %d looks left, want 0, 0", life, dropped, looks)
		}
		if looks = 1000; !w.dropOne(now, &looks, drop) || dropped != 1 || looks != 1 {
			t.Errorf("a life of %d s: dropped %d, %d looks left, want 1, 1", life, dropped, looks)
		}
	}
}

// TestLogIsBounded checks that a limit's log stays small, however high the
// limit and however short its span.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most  int
		cells int
	}{{1, 3}, {10, 21}, {exactMost, 2*exactMost + 1}, {exactMost + 1, 300}, {1_000_000, 300}} {
		s := New(Config{})
		l := store.Limit{Key: "k", Most: c.most, Per: time.Second}
		now := time.Unix(1_000_000_000, 0)
		longest := 0
		for range 20_000 {
			now = now.Add(time.Millisecond)
			if _, err := s.Take(t.Context(), now, l); err != nil {
				t.Fatal(err)
			}
			for i := range s.windows.shard {
				for _, w := range s.windows.shard[i].table.buckets {
					if w != nil {
						longest = max(longest, len(w.cells))
					}
				}
			}
		}
		if longest > c.cells {
			t.Errorf("Most %d: a log of %d cells, want at most %d", c.most, longest, c.cells)
		}
	}
}
