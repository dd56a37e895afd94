package guardtest

import "time"

// The least seeds of people, and of the attacks.
const (
	peopleSeed = 50
	attackSeed = 150
)

// A Scenario is a trace with the bounds that package guard keeps to with its
// default limits, a budget of four usual days, and step-ups that a fifth of the
// bots and 97 % of people pass.
type Scenario struct {
	Name   string
	PerDay float64            // sessions on a usual day
	Mix    map[string]float64 // of countries

	// Make returns the trace. Traces of two seeds have nothing in common.
	Make func(seed uint64) []Attempt

	Lost      int     // messages that the attack gets at most; 0: there is none
	Refused   float64 // largest share of people refused, without an attack
	SteppedUp float64 // largest share of people asked to step up, without an attack
}

// Budget returns four times what a usual day costs, in tenths of US cents.
func (s Scenario) Budget() int {
	cents := 0.0
	for _, code := range sorted(s.Mix) {
		cents += s.Mix[code] * Countries[code].Price
	}
	const perSession = 1.147 // messages
	return int(4 * s.PerDay * perSession * cents * 10)
}

// Price is the price of a message, in tenths of US cents.
func Price(country string) int { return int(Countries[country].Price*10 + 0.5) }

// UnderAttack returns the scenarios with each of [Attacks].
func UnderAttack() []Scenario {
	lost := map[string]int{"server": 60, "subnet": 60, "range": 15, "proxies": 15, "rotating": 60, "slow": 200,
		"spray": 2200, "expensive": 125, "hidden": 50, "wide": 1250, "victim": 10, "converts30": 300, "converts50": 550,
		"probe": 660}
	all := make([]Scenario, len(Attacks))
	for i, k := range Attacks {
		k.Solves = 0.2
		all[i] = Scenario{Name: k.Name, PerDay: 5000, Mix: Medium, Lost: lost[k.Name]}
		all[i].Make = func(seed uint64) []Attempt {
			return Merge(Traffic{PerDay: 5000, Days: 2, Mix: Medium}.Make(peopleSeed+seed*1000),
				k.Make(attackSeed+uint64(i)+seed*1000))
		}
	}
	return all
}

// Peaceful returns scenarios without an attack: usual days of a small, a medium
// and a large site, a campaign, a sale of tickets, an office, a firm, an outage.
func Peaceful() []Scenario {
	day, noon := 24*time.Hour, 36*time.Hour
	burst := func(b Burst) Traffic { return Traffic{PerDay: 5000, Days: 2, Mix: Medium, Bursts: []Burst{b}} }
	const none = 1e-9 // verified
	all := []Scenario{
		peaceful("small", Traffic{PerDay: 200, Days: 5, Mix: Medium}),
		peaceful("medium", Traffic{PerDay: 5000, Days: 3, Mix: Medium}),
		peaceful("large", Traffic{PerDay: 20_000, Days: 1, Mix: Large}),
		peaceful("campaign", burst(Burst{At: noon, For: time.Hour, Times: 10})),
		peaceful("tickets", burst(Burst{At: noon, For: 10 * time.Minute, Times: 60})),
		peaceful("outage", burst(Burst{At: day + 18*time.Hour, For: 40 * time.Minute, Times: 1, Country: "GB",
			Conv: none})),
	}
	office, firm := peaceful("office", burst(Burst{})), peaceful("firm", burst(Burst{}))
	usual := office.Make
	office.Make = func(seed uint64) []Attempt {
		return Merge(usual(seed), Office(peopleSeed+7+seed*1000, 300, day+10*time.Hour, 20*time.Minute, "GB"))
	}
	firm.Make = func(seed uint64) []Attempt {
		return Merge(usual(seed), Company(peopleSeed+7+seed*1000, 200, day+9*time.Hour, 2*time.Hour, "GB"))
	}
	return append(all, office, firm)
}

func peaceful(name string, t Traffic) Scenario {
	return Scenario{Name: name, PerDay: t.PerDay, Mix: t.Mix, Refused: 0.0005, SteppedUp: 0.011,
		Make: func(seed uint64) []Attempt { return t.Make(peopleSeed + seed*1000) }}
}
