package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func limiterCases() []testCase[store.Limiter] {
	return slices.Concat(takeCases(), giveCases(), severalCases(), limiterClockCases(), limiterContextCases())
}

func takeCases() []testCase[store.Limiter] {
	return []testCase[store.Limiter]{
		{"most", "Most takings are allowed at once, the next is refused until RetryAfter", most},
		{"burst over a boundary", "wherever a span begins, no more than Most takings fall into it", burst},
		{"keys apart", "each key has takings of its own; keys are octets, of which each counts", keysApart},
		{"none evicted", "a limit that is used up outlives thousands of others; ErrFull refuses the new ones",
			limitNotEvicted},
		{"all or none", "Take takes from each limit or, if an enforced one is over, from none", allOrNone},
		{"refused over and over", "a refused Take leaves the other limits as they were, times included",
			refusedOverAndOver},
		{"over", "Over names the limits that were over, shadow ones included", over},
		{"shadow", "a shadow limit never refuses, and takes nothing when it is over", shadow},
		{"one key twice", "a key that is named twice is taken from twice", oneKeyTwice},
		{"retry after", "RetryAfter is enough for every enforced limit", retryAfter},
		{"bad limits", "a limit of Most under 1, Per of 0 or negative N is an error", badLimits},
		{"never exceeded", "whatever the bursts, no more than Most takings fall into any Per, and a refusal ends",
			neverExceeded},
		{"parallel takes", "parallel Takes exceed no limit and take from all or none", parallelTakes},
	}
}

// A gauge is a limiter under test at a time that the case moves.
type gauge struct {
	tester
	store.Limiter
	now time.Time
}

// take takes, and checks that the caller's limits are as before.
func (g *gauge) take(limits ...store.Limit) store.Decision {
	g.Helper()
	passed := slices.Clone(limits)
	d, err := g.Take(g.Context(), g.now.In(elsewhere), passed...)
	if err != nil {
		g.Fatalf("Take: %v", err)
	}
	if !slices.Equal(passed, limits) {
		g.Fatalf("Take changed the limits that it was given")
	}
	return d
}

// give refunds the takings of taken.
func (g *gauge) give(taken time.Time, limits ...store.Limit) {
	g.Helper()
	passed := slices.Clone(limits)
	if err := g.Give(g.Context(), taken, g.now, passed...); err != nil {
		g.Fatalf("Give: %v", err)
	}
	if !slices.Equal(passed, limits) {
		g.Fatalf("Give changed the limits that it was given")
	}
}

// allowed checks that n takings of l are allowed now, and no more.
func (g *gauge) allowed(n int, l store.Limit) {
	g.Helper()
	for i := range n {
		if d := g.take(l); !d.Allowed || d.RetryAfter != 0 || len(d.Over) != 0 {
			g.Fatalf("taking %d of %d: %+v, want it allowed", i+1, n, d)
		}
	}
	d := g.take(l)
	if d.Allowed || d.RetryAfter <= 0 || !slices.Equal(d.Over, []int{0}) {
		g.Fatalf("taking %d beyond what is allowed: %+v, want it refused, with a RetryAfter", n+1, d)
	}
}

func limit(most int, per time.Duration) store.Limit {
	return store.Limit{Key: unique("limit-"), Most: most, Per: per}
}

func most(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	for _, per := range []time.Duration{100 * time.Millisecond, 1900 * time.Millisecond, 10 * time.Minute, month} {
		for _, n := range []int{1, 5, 40} {
			lim := limit(n, per)
			g.allowed(n, lim)
			wait := g.take(lim).RetryAfter
			if wait < per || wait > per+per/50 {
				g.Errorf("%d in %v, taken at once: RetryAfter %v", n, per, wait)
			}
			g.now = g.now.Add(wait)
			if d := g.take(lim); !d.Allowed {
				g.Errorf("%d in %v: refused after RetryAfter: %+v", n, per, d)
			}
		}
	}
	if d := g.take(); !d.Allowed || len(d.Over) != 0 {
		g.Errorf("Take from no limit: %+v, want it allowed", d)
	}
}

func burst(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(10, time.Minute)
	g.take(lim)
	g.now = g.now.Add(59 * time.Second)
	g.allowed(9, lim) // late in the span of the first
	g.now = g.now.Add(2 * time.Second)
	g.allowed(1, lim) // where the first was
	g.now = g.now.Add(30 * time.Second)
	g.allowed(0, lim)
}

func keysApart(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	for range 3 {
		g.allowed(2, limit(2, time.Minute))
	}
	for _, key := range alikeKeys("limit-") {
		g.allowed(2, store.Limit{Key: key, Most: 2, Per: time.Minute})
	}
}

// alikeKeys returns keys that a backend might take for one, if it folds or cuts them.
func alikeKeys(prefix string) []string {
	key := unique(prefix)
	long := key + strings.Repeat("x", 300)
	keys := []string{strings.ToLower(key), "x" + key, " " + key, long + "1", long + "2"}
	for _, end := range []string{"", " ", "\x00", "\x00a", "\xff", "\xfe", "é", "e\u0301", "{a}", "{b}", ":1", "1",
		"11", "%"} {
		keys = append(keys, key+end)
	}
	return keys
}

func limitNotEvicted(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	used := limit(1, time.Hour)
	g.allowed(1, used)
	parallel(racers, func(int) {
		for range crowd / racers {
			if _, err := g.Take(g.Context(), g.now, limit(1, time.Hour)); err != nil && !errors.Is(err, store.ErrFull) {
				g.Errorf("Take: %v, want success or ErrFull", err)
			}
		}
	})
	g.allowed(0, used)
}

func allOrNone(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	wide, full, wide2 := limit(3, time.Hour), limit(1, time.Hour), limit(3, time.Hour)
	g.allowed(1, full)
	for _, shadow := range []bool{false, true, false, true, true} {
		quiet := wide2
		quiet.Shadow = shadow
		if d := g.take(wide, full, quiet); d.Allowed {
			g.Fatalf("allowed over a full limit: %+v", d)
		}
	}
	g.allowed(3, wide)
	g.allowed(3, wide2)
}

// refusedOverAndOver has a person ask on while refused by another limit.
func refusedOverAndOver(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	for _, n := range []int{2, 100} {
		busy, full := limit(n, time.Hour), limit(1, 24*time.Hour)
		g.allowed(1, full)
		began := g.now
		for range n - 1 {
			g.take(busy)
		}
		for range 11 {
			g.now = g.now.Add(5 * time.Minute)
			if d := g.take(busy, full); d.Allowed {
				g.Fatalf("allowed over a full limit: %+v", d)
			}
		}
		g.now = began.Add(time.Hour + time.Minute)
		g.allowed(n, busy)
	}
}

func over(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	room, full, shadowed := limit(9, time.Hour), limit(1, time.Minute), limit(1, time.Hour)
	g.allowed(1, full)
	g.allowed(1, shadowed)
	shadowed.Shadow = true
	d := g.take(shadowed, room, full, shadowed)
	if d.Allowed || !slices.Equal(d.Over, []int{0, 2, 3}) {
		g.Errorf("%+v, want it refused with Over [0 2 3]", d)
	}
	if d.RetryAfter <= 0 || d.RetryAfter > 2*time.Minute {
		g.Errorf("RetryAfter %v, want that of the enforced limit, 1m", d.RetryAfter)
	}
}

func shadow(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	enforced, shadowed := limit(4, time.Hour), limit(2, time.Minute)
	quiet := shadowed
	quiet.Shadow = true
	for i := range 4 {
		d := g.take(quiet, enforced)
		if !d.Allowed || d.RetryAfter != 0 || (len(d.Over) == 1) != (i >= 2) {
			g.Fatalf("taking %d with a shadow limit of 2: %+v", i+1, d)
		}
		g.now = g.now.Add(time.Second)
	}
	g.now = g.now.Add(56 * time.Second) // the first two, at 0 s and 1 s, are over; 2 s and 3 s took nothing
	g.now = g.now.Add(time.Minute / 50) // and an approximation has its leave
	g.now = g.now.Add(time.Second)
	g.allowed(2, shadowed)
	if d := g.take(quiet, enforced); d.Allowed || !slices.Equal(d.Over, []int{0, 1}) {
		g.Errorf("with both over: %+v, want it refused with Over [0 1]", d)
	}
}

func oneKeyTwice(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	lim := limit(3, time.Hour)
	if d := g.take(lim, lim); !d.Allowed {
		g.Fatalf("2 of 3: %+v, want it allowed", d)
	}
	if d := g.take(lim, lim); d.Allowed || !slices.Equal(d.Over, []int{1}) {
		g.Fatalf("2 more of 3: %+v, want it refused with Over [1]", d)
	}
	g.allowed(1, lim)
}

func retryAfter(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	short, long := limit(2, time.Minute), limit(3, time.Hour)
	for range 50 {
		d := g.take(short, long)
		if d.Allowed {
			g.now = g.now.Add(time.Second)
			continue
		}
		if d.RetryAfter <= 0 {
			g.Fatalf("refused with RetryAfter %v", d.RetryAfter)
		}
		g.now = g.now.Add(d.RetryAfter)
		if d := g.take(short, long); !d.Allowed {
			g.Fatalf("refused after RetryAfter: %+v", d)
		}
	}
}

func badLimits(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	good := limit(1, time.Minute)
	negative := limit(1, time.Minute)
	negative.N = -1
	for _, bad := range []store.Limit{limit(0, time.Minute), limit(-1, time.Minute), limit(1, 0), limit(1, -1),
		negative} {
		if d, err := g.Take(g.Context(), g.now, good, bad); err == nil || d.Allowed {
			g.Errorf("Take of most %d in %v: %+v, error %v, want an error", bad.Most, bad.Per, d, err)
		}
		if err := g.Give(g.Context(), g.now, g.now, bad); err == nil {
			g.Errorf("Give to most %d in %v: want an error", bad.Most, bad.Per)
		}
	}
	g.allowed(1, good)
	if err := g.Give(g.Context(), g.now, g.now, good, negative); err == nil {
		g.Errorf("Give to a good and to a bad limit: want an error")
	}
	g.allowed(0, good)
}

// An oracle knows every taking of a limit, and holds them against the rule
// that a Limiter is bound by.
type oracle struct {
	limit store.Limit
	taken []time.Time
}

// exceeded describes a Per into which more than Most takings fall; "": there is none.
func (o *oracle) exceeded() string {
	taken := slices.SortedFunc(slices.Values(o.taken), time.Time.Compare)
	for i, last := range taken[min(o.limit.Most, len(taken)):] {
		if first := taken[i]; last.Sub(first) < o.limit.Per {
			return fmt.Sprintf("%d takings within %v, from %v to %v; want at most %d within %v", o.limit.Most+1,
				last.Sub(first), first.Format(time.StampMicro), last.Format(time.StampMicro), o.limit.Most, o.limit.Per)
		}
	}
	return ""
}

func neverExceeded(t tester, l store.Limiter) {
	rnd := random(t)
	for range 12 {
		g := &gauge{t, l, wholeStart()}
		var limits []store.Limit
		var oracles []*oracle
		for range 1 + rnd.IntN(3) {
			per := []time.Duration{time.Second, time.Minute, 10 * time.Minute}[rnd.IntN(3)]
			lim := limit([]int{1, 2, 5, 10, 300}[rnd.IntN(5)], per)
			limits = append(limits, lim)
			oracles = append(oracles, &oracle{limit: lim})
		}
		for range 400 {
			randomStep(g, rnd, limits, oracles)
		}
		for _, o := range oracles {
			if what := o.exceeded(); what != "" {
				g.Fatalf("%s. Some of the calls come with a time up to 4ms before that of the call before them: "+
					"takings that have passed must still be kept for these", what)
			}
		}
	}
}

// randomStep moves g's time and takes from limits. Now and then it gives back these takings
// or earlier ones.
func randomStep(g *gauge, rnd *rand.Rand, limits []store.Limit, oracles []*oracle) {
	g.Helper()
	per := limits[rnd.IntN(len(limits))].Per
	switch rnd.IntN(8) {
	case 0: // to just before, at or just after a boundary
		g.now = g.now.Add(per + time.Duration(rnd.IntN(3)-1)*time.Millisecond)
	case 1:
		g.now = g.now.Add(time.Duration(rnd.Int64N(int64(per))).Truncate(time.Millisecond))
	case 2:
		g.now = g.now.Add(time.Duration(rnd.IntN(5)) * time.Millisecond)
	case 3: // processes differ a little
		g.now = g.now.Add(-time.Duration(rnd.IntN(5)) * time.Millisecond)
	}
	d := g.take(limits...)
	if !d.Allowed {
		if rnd.IntN(4) > 0 {
			return
		}
		g.now = g.now.Add(d.RetryAfter)
		if d = g.take(limits...); !d.Allowed {
			g.Fatalf("refused after RetryAfter: %+v", d)
		}
	}
	for _, o := range oracles {
		o.taken = append(o.taken, g.now)
	}
	if rnd.IntN(10) == 0 {
		giveOne(g, rnd, limits, oracles)
	}
}

// giveOne gives back one of the latest takings. All limits have the same.
func giveOne(g *gauge, rnd *rand.Rand, limits []store.Limit, oracles []*oracle) {
	g.Helper()
	n := len(oracles[0].taken)
	i := n - 1 - rnd.IntN(min(n, 4))
	g.give(oracles[0].taken[i], limits...)
	for _, o := range oracles {
		o.taken = slices.Delete(o.taken, i, i+1)
	}
}

func parallelTakes(t tester, l store.Limiter) {
	g := &gauge{t, l, start()}
	wide, tight := limit(100, time.Hour), limit(10, time.Hour)
	var allowed atomic.Int64
	parallel(racers, func(i int) {
		limits := []store.Limit{wide, tight}
		if i%2 == 0 {
			slices.Reverse(limits)
		}
		d, err := g.Take(g.Context(), g.now, limits...)
		if err != nil {
			g.Errorf("Take, at the same time as others that name the limits in another order: %v", err)
		}
		if d.Allowed {
			allowed.Add(1)
		}
	})
	if n := allowed.Load(); n != 10 {
		g.Fatalf("%d of %d parallel Takes were allowed, want 10", n, racers)
	}
	g.allowed(90, wide)
	lim := limit(1, time.Hour)
	key := lim.Key
	oneWins(g, "Take of the last taking", func(round, _ int) (bool, bool) {
		lim := lim
		lim.Key = fmt.Sprint(key, round)
		d, err := g.Take(g.Context(), g.now, lim)
		return d.Allowed, err == nil
	})
}
