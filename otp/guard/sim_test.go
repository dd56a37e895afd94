package guard_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// index is a key of tests.
var index = []byte("0123456789abcdefghijklmnopqrstuv")

// newGuard applies change to the Config that the scenarios are bounded for.
func newGuard(t testing.TB, l store.Limiter, s guardtest.Scenario, change func(*guard.Config)) *guard.Guard {
	t.Helper()
	c := guard.Config{Limiter: l, Index: index, Countries: guard.Everywhere(), Budget: s.Budget(),
		Price: guardtest.Price, StepUp: true}
	if change != nil {
		change(&c)
	}
	g, err := guard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type report = map[string]*guardtest.Tally

// replay replays a trace against a guard with the default limits, in memory.
func replay(t testing.TB, s guardtest.Scenario, trace []guardtest.Attempt, without ...string) report {
	t.Helper()
	l := memstore.New(memstore.Config{})
	g := newGuard(t, l, s, nil)
	guard.Without(g, without...)
	u := &guardtest.Under{Guard: g, Limiter: l}
	r := guardtest.Replay(trace, u)
	if u.Err != nil {
		t.Fatal(u.Err)
	}
	return r
}

// An attacked is a scenario with an attack, its trace, and its report.
type attacked struct {
	guardtest.Scenario
	trace []guardtest.Attempt
	once  sync.Once
	rep   report
}

// attacks are all of them, by name. Each is replayed once, whichever test needs it first.
var attacks = sync.OnceValue(func() map[string]*attacked {
	all := map[string]*attacked{}
	for _, s := range guardtest.UnderAttack() {
		all[s.Name] = &attacked{Scenario: s, trace: during(s.Make(0))}
	}
	return all
})

func (a *attacked) report(t testing.TB) report {
	t.Helper()
	a.once.Do(func() { a.rep = replay(t, a.Scenario, a.trace) })
	return a.rep
}

// during returns the part of a trace that counts during its attack: the attack, the
// people meanwhile, and those of the day before. No rule counts for longer.
func during(trace []guardtest.Attempt) []guardtest.Attempt {
	var from, to time.Duration
	for _, a := range trace {
		if a.Label != guardtest.Legit {
			if to == 0 {
				from = a.At - 25*time.Hour
			}
			to = a.At
		}
	}
	return slices.DeleteFunc(trace, func(a guardtest.Attempt) bool { return a.At < from || a.At > to })
}

func share(n int, of *guardtest.Tally) float64 { return float64(n) / float64(of.Attempts) }

// Each attack loses no more messages than promised, and people get through: of
// the numbers that were verified before none is refused in the attacks on one
// country. `go -C .bench run ./guard` runs more seeds.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for _, s := range guardtest.UnderAttack() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			report := attacks()[s.Name].report(t)
			people := report["legit/attack"]
			t.Logf("%d of %d messages sent; people: %.2f %% refused, %.2f %% stepped up", report[s.Name].Sent,
				report[s.Name].Attempts, 100*share(people.Refused, people), 100*share(people.SteppedUp, people))
			if report[s.Name].Sent > s.Lost {
				t.Errorf("%d messages lost, promised are %d", report[s.Name].Sent, s.Lost)
			}
			asStudied(t, s.Name, report[s.Name].Sent, false)
			if share(people.Refused, people) > 0.02 {
				t.Errorf("%.2f %% of people refused", 100*share(people.Refused, people))
			}
		})
	}
}

// Without an attack next to nobody is refused or asked for a proof.
func TestPeace(t *testing.T) {
	t.Parallel()
	for _, s := range guardtest.Peaceful() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && s.PerDay > 10_000 {
				t.Skip("large")
			}
			people := replay(t, s, s.Make(0))[guardtest.Legit]
			refused, stepped := share(people.Refused, people), share(people.SteppedUp, people)
			t.Logf("%d messages: %.3f %% refused, %.3f %% stepped up", people.Attempts, 100*refused, 100*stepped)
			if refused > s.Refused || stepped > s.SteppedUp {
				t.Errorf("refused %.3f %%, stepped up %.3f %%", 100*refused, 100*stepped)
			}
		})
	}
}

// Each rule is needed: without it some attack gets more than twice as much, or
// more than the budget of a day.
func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	for rule, attack := range map[string]string{guard.RuleNetwork: "server", guard.RuleBlock: "hidden",
		guard.RuleVolume: "converts50", guard.RuleUnverified: "expensive", guard.RuleTotal: "spray"} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s := attacks()[attack]
			with := s.report(t)[attack].Sent
			without := replay(t, s.Scenario, s.trace, rule)[attack].Sent
			t.Logf("%s: %d messages lost, %d without the rule", attack, with, without)
			if without < with*3/2 || without <= s.Lost {
				t.Errorf("%s: %d messages lost with rule %s, %d without", attack, with, rule, without)
			}
		})
	}
}

// prefixed is a Limiter whose keys begin with a prefix.
type prefixed struct {
	store.Limiter
	prefix string
}

func (p prefixed) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	limits = slices.Clone(limits)
	for i := range limits {
		limits[i].Key = p.prefix + limits[i].Key
	}
	return p.Limiter.Take(ctx, now, limits...)
}
