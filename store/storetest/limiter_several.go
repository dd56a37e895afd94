package storetest

import (
	"math"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func severalCases() []testCase[store.Limiter] {
	return []testCase[store.Limiter]{
		{"several at once", "Take takes N from each limit, all or none, and RetryAfter is until N fit", severalAtOnce},
		{"more than most", "an N over Most is never allowed", moreThanMost},
		{"one key several times", "the N of each limit that names a key add up", oneKeySeveral},
		{"counts of a thing", "limits of one thing are counted apart", countsOfThing},
		{"peek", "a limit to peek at refuses, or reports in shadow, and keeps no taking", peek},
		{"waits", "Waits has, for each limit of Over, how long until it would allow", waits},
		{"give several", "Give returns N of the takings of one time, and no more than there are", giveSeveral},
		{"give latest", "Give at the zero time returns the latest N takings, and no more than there are", giveLatest},
		{"give latest to many", "Give at the zero time returns N takings to a limit of large Most", giveLatestToMany},
	}
}

// of returns l with N.
func of(n int, l store.Limit) store.Limit {
	l.N = n
	return l
}

// peekAt returns l in Shadow, to be looked at.
func peekAt(l store.Limit) store.Limit {
	l.Peek, l.Shadow = true, true
	return l
}

// few and many: backends may count large limits in another way.
var fewAndMany = []int{10, 1000}

func severalAtOnce(t tester, l store.Limiter) {
	for _, most := range fewAndMany {
		g := &gauge{t, l, start()}
		lim, other := limit(most, time.Hour), limit(most, time.Hour)
		n := most * 3 / 10
		for range 3 {
			if d := g.take(of(n, lim), other); !d.Allowed {
				g.Fatalf("%d of %d: %+v, want it allowed", n, most, d)
			}
			g.now = g.now.Add(time.Minute)
		}
		d := g.take(of(n, lim), other)
		if d.Allowed || !slices.Equal(d.Over, []int{0}) || d.RetryAfter > 58*time.Minute {
			g.Fatalf("%d more than %d: %+v, want it refused until the first have passed", n, most, d)
		}
		g.allowed(most-3*n, lim)
		g.allowed(most-3, other)
		g.now = g.now.Add(d.RetryAfter)
		if d := g.take(of(n, lim)); !d.Allowed {
			g.Fatalf("%d of %d after RetryAfter: %+v", n, most, d)
		}
	}
}

func moreThanMost(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(3, time.Hour)
	if d := g.take(of(4, lim)); d.Allowed || d.RetryAfter != lim.Per {
		g.Errorf("4 of 3: %+v, want it refused, with a RetryAfter of Per, since no wait helps", d)
	}
	g.take(lim)
	for _, n := range []int{4, math.MaxInt32, math.MaxInt - 1, math.MaxInt} {
		if d := g.take(of(n, lim)); d.Allowed {
			g.Errorf("%d more of 3: %+v, want it refused", n, d)
		}
		if d := g.take(lim, of(n, lim)); d.Allowed {
			g.Errorf("1 and %d more of 3: %+v, want it refused", n, d)
		}
	}
	g.allowed(2, lim)
}

func oneKeySeveral(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(10, time.Hour)
	if d := g.take(of(6, lim), of(5, lim)); d.Allowed || !slices.Equal(d.Over, []int{1}) {
		g.Fatalf("6 and 5 of 10: %+v, want it refused with Over [1]", d)
	}
	if d := g.take(of(6, lim), of(3, lim)); !d.Allowed {
		g.Fatalf("6 and 3 of 10: %+v, want it allowed", d)
	}
	g.allowed(1, lim)
	lim = limit(10, time.Hour)
	quiet := of(11, lim)
	quiet.Shadow = true
	if d := g.take(quiet, of(10, peekAt(lim)), of(10, lim)); !d.Allowed || !slices.Equal(d.Over, []int{0}) {
		g.Fatalf("10 of 10, after a shadow limit that is over and a peek: %+v, want it allowed with Over [0]", d)
	}
}

// countsOfThing names the limits of a thing together, one alone, and in another order.
func countsOfThing(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	thing := unique("limit-")
	of := func(name string, most int, per time.Duration) store.Limit {
		return store.Limit{Key: thing + store.Of + name, Most: most, Per: per}
	}
	a, b, c := of("a", 5, time.Hour), of("b", 4, time.Hour), of("a", 100, 24*time.Hour)
	for _, limits := range [][]store.Limit{{a, b, c}, {a}, {c, b}, {b, a, c}} {
		if d := g.take(limits...); !d.Allowed {
			g.Fatalf("%+v, want it allowed", d)
		}
		g.now = g.now.Add(time.Minute)
	}
	g.give(g.now.Add(-3*time.Minute), a)
	if d := g.take(a, b, c); !d.Allowed {
		g.Errorf("%+v, want it allowed: two of 5 and three of 4 are taken", d)
	}
	if d := g.take(a, b, c); d.Allowed || !slices.Equal(d.Over, []int{1}) {
		g.Errorf("%+v, want it refused with Over [1]", d)
	}
	g.allowed(2, a)
	g.allowed(0, b)
	g.allowed(96, c)
}

func peek(t tester, l store.Limiter) {
	for _, most := range fewAndMany {
		g := &gauge{t, l, start()}
		lim, low := limit(most, time.Hour), limit(most, time.Hour)
		low.Key, low.Most = lim.Key, most/2
		for i := range most {
			d := g.take(peekAt(low), lim)
			if over := i >= most/2; !d.Allowed || slices.Equal(d.Over, []int{0}) != over {
				g.Fatalf("taking %d of %d, peeking at %d: %+v", i+1, most, most/2, d)
			}
		}
		several := of(most/4, peekAt(low))
		if d := g.take(several, of(2, peekAt(limit(1, time.Hour)))); !slices.Equal(d.Over, []int{0, 1}) {
			g.Errorf("peeks at several of a used and of a small limit: %+v, want Over [0 1]", d)
		}
		enforced, fresh := low, limit(2, time.Hour)
		enforced.Peek = true
		if d := g.take(fresh, enforced); d.Allowed || !slices.Equal(d.Over, []int{1}) || d.RetryAfter <= 0 {
			g.Errorf("enforced, over: %+v, want it refused with Over [1], and a RetryAfter", d)
		}
		g.give(g.now, peekAt(lim)) // returns nothing
		g.allowed(0, lim)
		for range 3 {
			if d := g.take(peekAt(fresh)); !d.Allowed || len(d.Over) != 0 {
				g.Errorf("a peek at an empty limit: %+v", d)
			}
		}
		g.allowed(2, fresh)
	}
}

func waits(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	short, long, room := limit(1, time.Minute), limit(1, time.Hour), limit(9, time.Hour)
	g.take(short, long)
	g.now = g.now.Add(time.Second)
	d := g.take(peekAt(long), short, room, long)
	want := []time.Duration{time.Hour - time.Second, time.Minute - time.Second, time.Hour - time.Second}
	if !slices.Equal(d.Over, []int{0, 1, 3}) || !slices.Equal(d.Waits, want) || d.RetryAfter != want[0] {
		g.Errorf("%+v, want Over [0 1 3], Waits %v", d, want)
	}
	g.take(limit(1, time.Hour), short, long)
	if !slices.Equal(d.Over, []int{0, 1, 3}) || !slices.Equal(d.Waits, want) {
		g.Errorf("a later Take has changed the Decision of an earlier: %+v", d)
	}
}

func giveSeveral(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(10, time.Hour)
	g.takeAt([]time.Duration{0}, of(2, lim))
	g.now = g.now.Add(time.Minute)
	taken := g.takeAt([]time.Duration{0}, of(5, lim))[0]
	g.now = g.now.Add(time.Minute)
	g.give(taken, of(3, lim))
	g.allowed(6, lim)
	g.now = g.now.Add(time.Second)
	g.give(taken, of(9, lim)) // two are left
	g.allowed(2, lim)
	g.give(taken, of(9, lim))
	g.allowed(0, lim)
}

func giveLatest(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim, other := limit(6, time.Hour), limit(6, time.Hour)
	taken := g.takeAt([]time.Duration{0, time.Minute, 2 * time.Minute}, of(2, lim), other)
	g.now = g.now.Add(time.Minute)
	g.give(time.Time{}, of(3, lim), limit(6, time.Hour))
	g.allowed(3, other)
	g.allowed(3, lim)
	g.give(time.Time{}, of(3, lim)) // those just taken
	g.now = taken[0].Add(time.Hour - time.Microsecond)
	g.allowed(3, lim)
	g.give(time.Time{}, of(3, lim))
	g.now = taken[0].Add(time.Hour)
	g.allowed(5, lim) // the one at a minute is left
	g.give(time.Time{}, of(99, lim))
	g.allowed(6, lim)
}

func giveLatestToMany(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(1000, time.Hour)
	g.takeAt([]time.Duration{0, 10 * time.Minute}, of(500, lim))
	g.give(time.Time{}, of(700, lim))
	g.allowed(700, lim)
	g.give(time.Time{}, of(2000, lim))
	g.allowed(1000, lim)
}
