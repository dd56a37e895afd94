package guard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A rule that closes is told of once in ten minutes, by all processes together,
// and once when it has opened. No line holds a number.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var told []guard.Alert
	var log bytes.Buffer
	mem := memstore.New(memstore.Config{})
	configure := func(c *guard.Config) {
		c.Limiter, c.Logger = mem, slog.New(slog.NewTextHandler(&log, nil))
		c.Alert = func(_ context.Context, a guard.Alert) { told = append(told, a) }
	}
	b, other := newBench(t, configure), newBench(t, configure)
	for n := range 5 {
		b.want(otp.Allow, "", b.stranger(n))
	}
	for range 3600 { // for an hour
		b.want(otp.StepUp, guard.RuleBlock, b.stranger(7))
		if other.now = b.now; b.now.Second() == 0 {
			other.want(otp.StepUp, guard.RuleBlock, other.stranger(8))
		}
	}
	if len(told) != 6 {
		t.Fatalf("%d alerts in an hour, want 6", len(told))
	}
	for _, a := range told {
		if a.Rule != guard.RuleBlock || a.Key != "+99890123xxxx" || a.Block != a.Key || a.Country != "UZ" ||
			!strings.HasSuffix(a.Network, ".0/24") || a.Action != otp.StepUp || a.Shadow || a.Opened || a.At.IsZero() {
			t.Errorf("%+v", a)
		}
	}
	b.now = b.now.Add(24 * time.Hour)
	b.want(otp.Allow, "", b.stranger(9))
	b.want(otp.Allow, "", b.stranger(10))
	if last := told[len(told)-1]; len(told) != 7 || !last.Opened || last.Key != "+99890123xxxx" {
		t.Errorf("%d alerts, the last %+v, want that the rule has opened", len(told), last)
	}
	if strings.Contains(log.String(), "+998901230") || strings.Count(log.String(), "rule=block") < 7 {
		t.Errorf("log:\n%s", &log)
	}
}

// Half of the budget, 80 % and all of it are told of once.
func TestBudgetAlerts(t *testing.T) {
	t.Parallel()
	var spent []int
	b := newBench(t, func(c *guard.Config) {
		c.Budget, c.Limits.Hour = 100, 1
		c.Alert = func(_ context.Context, a guard.Alert) {
			if a.Spent > 0 {
				spent = append(spent, a.Spent)
			}
		}
	})
	sent := map[int]int{}
	for n := range 110 {
		mail := otp.Attempt{Email: "ann@example.com", Known: true, At: b.now}
		if v, err := b.Check(context.Background(), mail); err != nil || (v.Action != otp.Allow) != (n >= 100) {
			t.Fatal(n, v, err)
		}
		if _, ok := sent[len(spent)]; !ok {
			sent[len(spent)] = n
		}
	}
	if fmt.Sprint(spent) != "[50 80 100]" || !maps.Equal(sent, map[int]int{0: 0, 1: 49, 2: 79, 3: 100}) {
		t.Errorf("told of %v %%, after %v messages", spent, sent)
	}
}

// A Check that fails, panics or is late allows and is told of, or refuses with
// ChecksRefuse. A refusal by a Check is not counted.
func TestChecks(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]guard.Check{
		"fails": func(_ context.Context, a otp.Attempt) (otp.Verdict, error) {
			return otp.Verdict{}, errors.New("no answer for " + a.Phone.E164)
		},
		"panics": func(_ context.Context, a otp.Attempt) (otp.Verdict, error) { panic(a.Phone.E164) },
		"is late": func(context.Context, otp.Attempt) (otp.Verdict, error) {
			time.Sleep(time.Minute)
			return otp.Verdict{Action: otp.Refuse}, nil
		},
	} {
		for _, refuse := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var told []guard.Alert
				b := newBench(t, func(c *guard.Config) {
					c.Checks, c.ChecksRefuse = []guard.Check{check}, refuse
					c.Alert = func(_ context.Context, a guard.Alert) { told = append(told, a) }
				})
				began := time.Now()
				if refuse {
					b.want(otp.Refuse, guard.RuleCheck, b.stranger(1))
				} else {
					b.want(otp.Allow, "", b.stranger(1))
				}
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("%s: took %v", name, took)
				}
				if len(told) == 0 || told[0].Err == nil || strings.Contains(fmt.Sprint(told[0].Err), "99890123") {
					t.Errorf("%s: told %+v", name, told)
				}
				time.Sleep(time.Minute)
			})
		}
	}
	asked := 0
	b := newBench(t, func(c *guard.Config) {
		c.Checks = []guard.Check{func(_ context.Context, a otp.Attempt) (otp.Verdict, error) {
			asked++
			if a.Signals["swap"] != "" {
				return otp.Verdict{Action: otp.StepUp, Rule: "sim-swap"}, nil
			}
			return otp.Verdict{}, nil
		}}
		c.Purposes = map[string]guard.Purpose{"free": {Checks: []guard.Check{}}}
	})
	for range 50 {
		a := b.stranger(1)
		a.Signals = map[string]string{"swap": "1"}
		b.want(otp.StepUp, "sim-swap", a)
	}
	b.want(otp.Allow, "", b.stranger(1))
	free := b.stranger(2)
	free.Purpose, free.Signals = "free", map[string]string{"swap": "1"}
	b.want(otp.Allow, "", free)
	if asked != 51 {
		t.Errorf("asked %d times, want 51", asked)
	}
}

// Settings of a purpose replace those of the Config; the counts are shared.
func TestPurposes(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *guard.Config) {
		c.Purposes = map[string]guard.Purpose{
			"payment": {StepUp: true}, "invite": {Countries: map[string]guard.Country{"GB": {}}},
			"login": {Limits: guard.Limits{Block: guard.Counts{StepUp: 8, Refuse: 20}}}, "trial": {Shadow: true}}
	})
	ask := func(n int, purpose string) otp.Attempt {
		a := b.stranger(n)
		a.Purpose = purpose
		return a
	}
	b.want(otp.StepUp, guard.RuleStepUp, ask(0, "payment"))
	b.want(otp.Allow, "", proven(ask(0, "payment")))
	b.want(otp.Refuse, guard.RuleCountry, ask(0, "invite"))
	for n := range 4 {
		b.want(otp.Allow, "", ask(n, ""))
	}
	b.want(otp.StepUp, guard.RuleBlock, ask(5, ""))
	for n := range 3 {
		b.want(otp.Allow, "", ask(n, "login"))
	}
	b.want(otp.StepUp, guard.RuleBlock, ask(5, "login"))
	for n := range 30 {
		b.want(otp.Allow, "", ask(n, "trial"))
	}
}
