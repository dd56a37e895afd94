package guard

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// The names of the rules, in Verdict.Rule and Alert.Rule. The package page has a
// table of them.
const (
	RuleCountry    = "country"
	RuleType       = "type"
	RuleDeny       = "deny"
	RuleNetwork    = "network"
	RuleBlock      = "block"
	RuleVolume     = "volume"
	RuleUnverified = "unverified"
	RuleTotal      = "total"
	RuleBudget     = "budget"
	RulePerDay     = "perday"
	RuleCheck      = "check"
	RuleStepUp     = "stepup" // a country or purpose for which each stranger needs a proof
)

const day = 24 * time.Hour

// A line is a limit of a decision, with the verdict if it is over.
type line struct {
	rule   string
	key    string // masked
	action otp.Action
	spent  int // percent of the budget; 0: no alert of the budget
}

// A plan is all that one decision takes from and looks at.
type plan struct {
	limits []store.Limit
	lines  []line
	heard  bool // somebody gets the alerts
}

func (p *plan) add(l store.Limit, what line) {
	p.limits, p.lines = append(p.limits, l), append(p.lines, what)
}

// A rule is a count with two thresholds.
type rule struct {
	name, key string // the key as it is shown
	counted   store.Limit
	soft      int // step-up over; 0: none
	hard      int
}

// put adds a rule for an attempt. lenient: the attempt is held to the hard
// threshold. exempt: it is counted, and not refused.
func (p *plan) put(r rule, lenient, exempt bool, s *settings) {
	l := r.counted
	soft, hard := line{r.name, r.key, otp.StepUp, 0}, line{r.name, r.key, otp.Refuse, 0}
	switch {
	case exempt:
		l.Most, l.Shadow = r.hard, true
		p.add(l, line{rule: ""})
	case r.soft == 0 || lenient:
		l.Most, l.Shadow = r.hard, s.shadow
		p.add(l, hard)
	case !s.stepUp || s.shadow:
		if p.heard {
			p.add(peek(l, r.soft), soft)
		}
		l.Most, l.Shadow = r.hard, s.shadow
		p.add(l, hard)
	default:
		p.add(peek(l, r.hard), hard)
		l.Most = r.soft
		p.add(l, soft)
	}
}

// peek returns l to be looked at only.
func peek(l store.Limit, most int) store.Limit {
	l.Most, l.Peek, l.Shadow = most, true, true
	return l
}

// rules lists the counts of an attempt that rules 2 to 7 of the table hold.
func (g *Guard) rules(a *otp.Attempt, s *settings) []rule {
	price := g.price(a.Phone.Region)
	rules := make([]rule, 0, 8)
	if name, key, ok := g.network(a.IP); ok {
		n := s.limits.Network
		rules = append(rules, rule{RuleNetwork, name, counted(key, 1), n.StepUp, n.Refuse})
	}
	if a.Phone.E164 != "" {
		shown, block := blockOf(a.Phone.E164)
		b := s.limits.Block
		soft, hard := g.messages(s.limits.Volume, price, s.limits.Least)
		key := g.key("block", block)
		rules = append(rules,
			rule{RuleBlock, shown, countedOf(key, RuleBlock, 1), b.StepUp, b.Refuse},
			rule{RuleVolume, shown, countedOf(key, RuleVolume, 1), soft, hard})
		country := a.Phone.Region
		key = g.key("country", country)
		soft, hard = g.messages(s.limits.Unverified, price, s.limits.Least)
		perDay := s.country(country).PerDay
		if tenth := max(perDay/10, 1); perDay > 0 && tenth < soft {
			soft, hard = tenth, max(hard*tenth/soft, tenth)
		}
		rules = append(rules, rule{RuleUnverified, country, countedOf(key, RuleUnverified, 1), soft, hard})
		if perDay > 0 {
			rules = append(rules, rule{RulePerDay, country, countedOf(key, RulePerDay, 1), 0, perDay})
		}
	}
	t := s.limits.Total
	soft := max(int(t.StepUp*float64(g.c.Budget)), s.limits.Least*price)
	hard := max(int(t.Refuse*float64(g.c.Budget)), soft)
	key := g.key("all", "")
	rules = append(rules, rule{RuleTotal, "", countedOf(key, RuleTotal, price), soft, hard})
	hour := countedOf(key, RuleBudget, price)
	hour.Per = time.Hour
	return append(rules, rule{RuleBudget, "hour", hour, 0, max(int(s.limits.Hour*float64(g.c.Budget)), 1)},
		rule{RuleBudget, "day", countedOf(key, RuleBudget, price), 0, g.c.Budget})
}

func counted(key string, n int) store.Limit { return store.Limit{Key: key, Per: day, N: n} }

// countedOf is a count of a thing: those of one are kept together.
func countedOf(thing, name string, n int) store.Limit { return counted(thing+store.Of+name, n) }

// messages returns thresholds that are shares of the budget, in messages of a
// price.
func (g *Guard) messages(s Shares, price, least int) (soft, hard int) {
	of := func(share float64) int { return int(share * float64(g.c.Budget) / float64(price)) }
	soft = max(of(s.StepUp), least)
	return soft, max(of(s.Refuse), int(float64(soft)*s.Refuse/s.StepUp+0.5))
}

// plan returns the limits that a decision takes from.
func (g *Guard) plan(a *otp.Attempt, s *settings) *plan {
	p := &plan{limits: make([]store.Limit, 0, 16), lines: make([]line, 0, 16), heard: g.heard}
	for _, r := range g.rules(a, s) {
		if g.off[r.name] {
			continue
		}
		exempt := a.Known && (r.name == RuleBlock || r.name == RuleUnverified || r.name == RuleTotal)
		p.put(r, a.Proven || a.Known && r.name == RuleVolume, exempt, s)
		if r.name == RuleBudget && r.key == "day" && g.heard {
			for _, percent := range [...]int{80, 50} {
				p.add(peek(r.counted, g.c.Budget*percent/100), line{RuleBudget, "", otp.Allow, percent})
			}
		}
	}
	return p
}

// isUnverified reports whether a rule counts unverified messages.
func isUnverified(name string) bool {
	return name == RuleNetwork || name == RuleBlock || name == RuleUnverified || name == RuleTotal
}

// blockOf returns the block of a number, as it is shown and as it is counted.
func blockOf(e164 string) (shown, block string) {
	block = e164[:max(len(e164)-4, 1)]
	return block + "xxxx", block
}

// network returns the network of an address, as it is shown, and its key.
func (g *Guard) network(ip netip.Addr) (shown, key string, ok bool) {
	if !ip.IsValid() {
		return "", "", false
	}
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p := netip.PrefixFrom(ip, bits).Masked()
	return p.String(), g.key(RuleNetwork, p.String()), true
}

// atOnce is the verdict of the rules that count nothing.
func (g *Guard) atOnce(a *otp.Attempt, s *settings) otp.Verdict {
	if a.Phone.E164 == "" {
		return otp.Verdict{}
	}
	refuse := func(rule, key string) otp.Verdict { return otp.Verdict{Action: otp.Refuse, Rule: rule, Key: key} }
	shown, _ := blockOf(a.Phone.E164)
	switch {
	case !s.allows(a.Phone.Region):
		return refuse(RuleCountry, a.Phone.Region)
	case !slices.Contains(g.c.Types, a.Phone.Type):
		return refuse(RuleType, a.Phone.Type.String())
	case slices.ContainsFunc(g.c.Deny, func(prefix string) bool { return strings.HasPrefix(a.Phone.E164, prefix) }):
		return refuse(RuleDeny, shown)
	case s.stepUp && !a.Proven && !a.Known && (s.always || s.country(a.Phone.Region).StepUp):
		return otp.Verdict{Action: otp.StepUp, Rule: RuleStepUp, Key: a.Phone.Region}
	}
	return otp.Verdict{}
}
