package guard_test

import (
	"slices"
	"testing"

	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
)

// studied are the messages that each attack gets with the rules of the study that
// the package was built from: from bots that pass a fifth of the step-ups, and from
// bots that pass each.
var studied = map[string]struct{ fifth, all int }{
	"server": {60, 60}, "subnet": {60, 60}, "range": {15, 15}, "proxies": {15, 15}, "rotating": {60, 60},
	"slow": {180, 225}, "spray": {2181, 3170}, "expensive": {124, 124}, "hidden": {48, 48}, "wide": {1249, 1570},
	"victim": {10, 10}, "converts30": {281, 263}, "converts50": {528, 528}, "probe": {656, 1160},
}

// Volume and unverified refuse at half of what they did in the study: these attacks,
// which go on to where a rule refuses, get less by more than a fifth. See the package
// page.
var stricter = map[bool][]string{
	false: {"expensive", "converts30", "converts50"},
	true:  {"slow", "expensive", "wide", "converts50"},
}

// asStudied checks that an attack gets what it got in the study, to a fifth, or less
// where a threshold is stricter now. The study's figures of people are the bounds of
// TestAttacks and TestPeace.
func asStudied(t *testing.T, attack string, sent int, perfect bool) {
	t.Helper()
	want := studied[attack].fifth
	if perfect {
		want = studied[attack].all
	}
	least := want * 4 / 5
	if slices.Contains(stricter[perfect], attack) {
		least = 0
	}
	if sent > want*6/5 || sent < least {
		t.Errorf("%d messages lost, want %d to %d", sent, least, want*6/5)
	}
}

// Bots that pass each step-up get what the study says. The other attacks get as much
// as those of TestAttacks.
func TestPerfectBots(t *testing.T) {
	t.Parallel()
	for i, s := range guardtest.UnderAttack() {
		if !slices.Contains([]string{"slow", "spray", "expensive", "wide", "probe"}, s.Name) {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			report := replay(t, s, withPerfectBots(i, attacks()[s.Name].trace))
			people := report["legit/attack"]
			t.Logf("%d messages sent; people: %.2f %% refused, %.2f %% stepped up", report[s.Name].Sent,
				100*share(people.Refused, people), 100*share(people.SteppedUp, people))
			asStudied(t, s.Name, report[s.Name].Sent, true)
		})
	}
}

// withPerfectBots returns a trace in which the bots of an attack pass each step-up.
func withPerfectBots(i int, trace []guardtest.Attempt) []guardtest.Attempt {
	k := guardtest.Attacks[i]
	k.Solves = 1
	bot := func(a guardtest.Attempt) bool { return a.Label != guardtest.Legit }
	people := slices.DeleteFunc(slices.Clone(trace), bot)
	return guardtest.Merge(people, k.Make(150+uint64(i)))
}
