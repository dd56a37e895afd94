package storetest

import (
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func giveCases() []testCase[store.Limiter] {
	return []testCase[store.Limiter]{
		{"give", "Give returns the taking that was made at its time, and no other", give},
		{"give repeated", "a Give that is repeated returns nothing more, and never raises a limit above Most",
			giveRepeated},
		{"give of nothing", "Give of a time at which nothing was taken changes nothing", giveOfNothing},
		{"give after refusal", "Give after a Take that took nothing, refused or over in shadow, changes nothing",
			giveAfterRefusal},
		{"give of one key twice",
			"of several takings at one time, Give returns one for each time that it names the key",
			giveOfOneKeyTwice},
		{"give a moment behind", "the taking of a caller whose clock is behind is returned like any", giveBehind},
		{"give to many", "a limit of large Most gets as many back as were taken, and none for a time far from all",
			giveToMany},
		{"nothing left",
			"a limit whose takings were all given back leaves no key, and a Take that took nothing neither",
			nothingLeft},
		{"parallel gives", "of parallel Gives of one taking one has an effect", parallelGives},
	}
}

// takeAt takes from limits at times after now, moves g to the last, and returns
// them.
func (g *gauge) takeAt(after []time.Duration, limits ...store.Limit) []time.Time {
	g.Helper()
	begin := g.now
	var taken []time.Time
	for _, d := range after {
		g.now = begin.Add(d)
		if d := g.take(limits...); !d.Allowed {
			g.Fatalf("%+v, want it allowed", d)
		}
		taken = append(taken, g.now)
	}
	return taken
}

func give(t tester, l store.Limiter) {
	// Of takings at 0, 10 and 20 minutes each is returned once. Each remaining taking
	// must count until an hour after it, and no longer.
	for i := range 3 {
		g := &gauge{t, l, start()}
		lim, other := limit(3, time.Hour), limit(3, time.Hour)
		taken := g.takeAt([]time.Duration{0, 10 * time.Minute, 20 * time.Minute}, lim, other)
		g.allowed(0, lim)
		g.now = taken[2].Add(10 * time.Minute)
		g.give(taken[i], lim)
		g.allowed(1, lim) // and so is full again
		g.allowed(0, other)
		for j, at := range taken {
			g.now = at.Add(time.Hour - time.Microsecond)
			g.allowed(0, lim)
			if j != i {
				g.now = at.Add(time.Hour + time.Hour/50) // an approximation has its leave
				g.allowed(1, lim)
			}
		}
	}
}

func giveRepeated(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	a, b := limit(3, time.Hour), limit(4, time.Hour)
	taken := g.takeAt([]time.Duration{0, time.Second, 2 * time.Second}, a, b)
	for range 9 {
		g.now = g.now.Add(time.Second)
		g.give(taken[1], a, b)
	}
	g.allowed(1, a)
	g.allowed(2, b)
	for range 3 {
		for _, at := range taken {
			g.give(at, a)
		}
	}
	g.allowed(2, a)
	g.allowed(0, b)
	g.now = taken[2].Add(2 * time.Hour)
	g.allowed(3, a)
}

func giveOfNothing(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim, never := limit(2, time.Hour), limit(2, time.Hour)
	taken := g.takeAt([]time.Duration{0, 10 * time.Minute}, lim)
	g.now = g.now.Add(time.Minute)
	for _, at := range taken {
		for _, off := range []time.Duration{time.Microsecond, time.Millisecond, 30 * time.Second, time.Hour} {
			g.give(at.Add(off), lim, never)
			g.give(at.Add(-off), lim, never)
		}
	}
	g.allowed(0, lim)
	g.allowed(2, never)
	g.now = taken[0].Add(time.Hour + time.Hour/50)
	g.allowed(1, lim)
	g.give(taken[0], lim) // counts no longer
	g.allowed(0, lim)
}

func giveAfterRefusal(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	room, full, quiet := limit(3, time.Hour), limit(1, time.Hour), limit(1, time.Hour)
	taken := g.takeAt([]time.Duration{0}, room, full, quiet)
	g.now = g.now.Add(time.Second)
	if d := g.take(room, full); d.Allowed {
		g.Fatalf("allowed over a full limit: %+v", d)
	}
	g.give(g.now, room, full)
	g.allowed(0, full)
	g.now = g.now.Add(time.Second)
	shadowed := quiet
	shadowed.Shadow = true
	if d := g.take(room, shadowed); !d.Allowed {
		g.Fatalf("refused by a limit in shadow: %+v", d)
	}
	g.give(g.now, room, shadowed)
	g.allowed(0, quiet)
	g.allowed(2, room)
	g.give(taken[0], shadowed) // took it when it was enforced
	g.allowed(1, quiet)
}

func giveOfOneKeyTwice(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(5, time.Hour)
	for range 2 {
		if d := g.take(lim, lim); !d.Allowed {
			g.Fatalf("%+v, want it allowed", d)
		}
	}
	taken := g.now
	g.now = g.now.Add(time.Second)
	g.give(taken, lim)
	g.allowed(2, lim)
	g.give(taken, lim, lim)
	g.allowed(2, lim)
	g.give(taken, lim, lim) // only one is left
	g.allowed(1, lim)
}

func giveBehind(t tester, l store.Limiter) {
	for _, i := range []int{0, 1} {
		g := &gauge{t, l, start()}
		lim := limit(3, time.Hour)
		taken := g.takeAt([]time.Duration{0, -20 * time.Millisecond}, lim)
		left := taken[1-i]
		g.now = taken[0].Add(10 * time.Minute)
		g.give(taken[i], lim)
		g.allowed(2, lim)
		g.now = left.Add(time.Hour - time.Microsecond)
		g.allowed(0, lim)
		g.now = left.Add(time.Hour + time.Hour/50)
		g.allowed(1, lim)
	}
}

func giveToMany(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(1000, time.Hour)
	begin := g.now
	for range 10 {
		for range 100 {
			g.takeAt([]time.Duration{0}, lim)
		}
		g.now = g.now.Add(time.Minute)
	}
	g.allowed(0, lim)
	g.give(begin.Add(-30*time.Minute), lim)
	g.give(begin.Add(30*time.Minute), lim)
	g.allowed(0, lim)
	for range 7 {
		g.give(begin.Add(3*time.Minute), lim)
	}
	g.allowed(7, lim)
}

// nothingLeft compares how many keys there are, if the harness can tell.
func nothingLeft(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	empty := t.live(g.now)
	if empty < 0 {
		t.Logf("not tested: the harness has no Live")
		return
	}
	keys := func() int { return t.live(g.now) - empty }
	want := func(n int, what string) {
		g.Helper()
		if got := keys(); got != n {
			g.Errorf("%d keys %s, want %d", got, what, n)
		}
	}
	few, many := limit(3, time.Hour), limit(1000, time.Hour)
	taken := g.takeAt([]time.Duration{0, time.Minute, 2 * time.Minute}, few, many)
	for _, i := range []int{1, 0, 2} {
		if keys() == 0 {
			g.Errorf("no keys before all was given back")
		}
		g.give(taken[i], few, many)
	}
	want(0, "when all was given back")
	g.allowed(3, few)
	held := keys()
	fresh := limit(3, time.Hour)
	if d := g.take(fresh, few); d.Allowed {
		g.Fatalf("allowed over a full limit: %+v", d)
	}
	want(held, "after a Take that was refused")
	g.give(g.now.Add(-time.Second), fresh, few, limit(1, time.Minute))
	want(held, "after a Give of nothing")
	for range 3 {
		g.give(g.now, few)
	}
	want(0, "when all was given back again")
}

func parallelGives(t tester, l store.Limiter) {
	for range 4 {
		g := &gauge{t, l, start()}
		lim := limit(5, time.Hour)
		taken := g.takeAt([]time.Duration{0, 1e9, 2e9, 3e9, 4e9}, lim)
		parallel(racers, func(int) {
			if err := g.Give(g.Context(), taken[2], g.now, lim); err != nil {
				g.Errorf("Give: %v", err)
			}
		})
		g.allowed(1, lim)
	}
	g, lim := &gauge{t, l, start()}, limit(3, time.Hour)
	key, taken := lim.Key, g.now
	in := func(round int) store.Limit {
		lim := lim
		lim.Key = fmt.Sprint(key, round)
		return lim
	}
	rounds := duel(t, func(round, i int) {
		if i == 0 {
			g.take(of(1, in(round)))
			g.take(of(2, in(round)))
		}
	})
	duel(t, func(round, _ int) {
		if err := g.Give(g.Context(), taken, g.now, of(2, in(round))); err != nil {
			g.Errorf("Give: %v", err)
		}
	})
	for round := range rounds { // of three takings two were returned, and then the last
		g.allowed(3, in(round))
	}
}
