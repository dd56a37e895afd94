package guard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/guard/guardtest"
	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

type adapter struct {
	g     *guard.Guard
	l     store.Limiter
	epoch time.Time
	rules map[string]int
}

func (d *adapter) attempt(now time.Duration, a *guardtest.Attempt, cleared bool) otp.Attempt {
	return otp.Attempt{Phone: phone.Number{E164: a.Number, Region: a.Country, Type: phone.Mobile}, IP: a.IP, Known: a.Known, Proven: cleared, At: d.epoch.Add(now).Truncate(time.Microsecond)}
}

func (d *adapter) Check(now time.Duration, a *guardtest.Attempt, cleared bool) guardtest.Verdict {
	at := d.attempt(now, a, cleared)
	v, err := d.g.Check(context.Background(), at)
	if err != nil {
		panic(err)
	}
	if v.Action != otp.Allow {
		d.rules[a.Label+" "+v.Rule+" "+v.Action.String()]++
	}
	if v.Action == otp.Allow {
		dd, _ := d.l.Take(context.Background(), at.At, store.Limit{Key: "n" + a.Number, Most: 5, Per: 10 * time.Minute}, store.Limit{Key: "n" + a.Number, Most: 10, Per: 24 * time.Hour})
		if !dd.Allowed {
			d.g.Settle(context.Background(), at, 1, false)
			d.rules[a.Label+" number"]++
			return guardtest.Refuse
		}
	}
	return guardtest.Verdict(v.Action)
}

func (d *adapter) Verified(now time.Duration, a *guardtest.Attempt, sent int) {
	d.g.Settle(context.Background(), d.attempt(now, a, false), sent, true)
}

func TestExp(t *testing.T) {
	for _, js := range strings.Split(os.Getenv("LIM"), ";") {
		var lim guard.Limits
		if err := json.Unmarshal([]byte(js), &lim); err != nil {
			t.Fatal(err)
		}
		fmt.Println(js)
		for i, k := range guardtest.Attacks {
			if !strings.Contains(os.Getenv("ATT"), k.Name) {
				continue
			}
			k.Solves = 0.2
			line := ""
			for seed := range uint64(6) {
				trace := guardtest.Merge(guardtest.Traffic{PerDay: 5000, Days: 3, Mix: guardtest.Medium}.Make(50+seed*7), k.Make(150+uint64(i)+7*seed))
				l := memstore.New(memstore.Config{})
				g, err := guard.New(guard.Config{Limiter: l, Index: make([]byte, 32), Countries: guard.Everywhere(), Budget: 1100000, Price: func(c string) int { return int(10 * guardtest.Countries[c].Price) }, StepUp: true, Limits: lim})
				if err != nil {
					t.Fatal(err)
				}
				d := &adapter{g, l, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), map[string]int{}}
				r := guardtest.Replay(trace, d)
				p := r["legit/attack"]
				line += fmt.Sprintf(" %d/%.1f/%.1f", r[k.Name].Sent, 100*float64(p.Refused)/float64(p.Attempts), 100*float64(p.SteppedUp)/float64(p.Attempts))
			}
			fmt.Printf("  %-11s %s\n", k.Name, line)
		}
	}
}

func TestLegit(t *testing.T) {
	M := guardtest.Medium
	h := time.Hour
	cases := map[string]func(seed uint64) (float64, []guardtest.Attempt){
		"200":      func(s uint64) (float64, []guardtest.Attempt) { return 200, guardtest.Traffic{PerDay: 200, Days: 5, Mix: M}.Make(s) },
		"5000":     func(s uint64) (float64, []guardtest.Attempt) { return 5000, guardtest.Traffic{PerDay: 5000, Days: 3, Mix: M}.Make(s) },
		"50000L":   func(s uint64) (float64, []guardtest.Attempt) { return 50000, guardtest.Traffic{PerDay: 50000, Days: 2, Mix: guardtest.Large}.Make(s) },
		"campaign": func(s uint64) (float64, []guardtest.Attempt) { return 5000, guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M, Bursts: []guardtest.Burst{{At: 36 * h, For: h, Times: 10}}}.Make(s) },
		"tickets":  func(s uint64) (float64, []guardtest.Attempt) { return 5000, guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M, Bursts: []guardtest.Burst{{At: 36 * h, For: 10 * time.Minute, Times: 60}}}.Make(s) },
		"office": func(s uint64) (float64, []guardtest.Attempt) {
			return 5000, guardtest.Merge(guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M}.Make(s), guardtest.Office(s+9, 300, 34*h, 20*time.Minute, "GB"))
		},
		"firm": func(s uint64) (float64, []guardtest.Attempt) {
			return 5000, guardtest.Merge(guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M}.Make(s), guardtest.Company(s+9, 200, 34*h, 2*h, "GB"))
		},
		"outageGB40m": func(s uint64) (float64, []guardtest.Attempt) { return 5000, guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M, Bursts: []guardtest.Burst{{At: 42 * h, For: 40 * time.Minute, Times: 1, Country: "GB", Conv: 0.0001}}}.Make(s) },
		"outageall1h": func(s uint64) (float64, []guardtest.Attempt) { return 5000, guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M, Bursts: []guardtest.Burst{{At: 42 * h, For: h, Times: 1, Conv: 0.0001}}}.Make(s) },
		"conv40":      func(s uint64) (float64, []guardtest.Attempt) { return 5000, guardtest.Traffic{PerDay: 5000, Days: 2, Mix: M, Conv: 0.4}.Make(s) },
	}
	for _, js := range strings.Split(os.Getenv("LIM"), ";") {
		var lim guard.Limits
		if err := json.Unmarshal([]byte(js), &lim); err != nil {
			t.Fatal(err)
		}
		fmt.Println(js)
		for name, f := range cases {
			line := ""
			for seed := range uint64(4) {
				perDay, trace := f(50 + 7*seed)
				if perDay > 20000 && seed > 0 {
					break
				}
				l := memstore.New(memstore.Config{})
				avg := 0.0
				mix := M
				if strings.HasSuffix(name, "L") {
					mix = guardtest.Large
				}
				for c, w := range mix {
					avg += w * 10 * guardtest.Countries[c].Price
				}
				g, err := guard.New(guard.Config{Limiter: l, Index: make([]byte, 32), Countries: guard.Everywhere(), Budget: int(4 * 1.147 * perDay * avg), Price: func(c string) int { return int(10 * guardtest.Countries[c].Price) }, StepUp: true, Limits: lim})
				if err != nil {
					t.Fatal(err)
				}
				d := &adapter{g, l, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), map[string]int{}}
				p := guardtest.Replay(trace, d)["legit"]
				line += fmt.Sprintf(" %.3f/%.2f", 100*float64(p.Refused)/float64(p.Attempts), 100*float64(p.SteppedUp)/float64(p.Attempts))
				if seed == 0 {
					line += fmt.Sprint(d.rules)
				}
			}
			fmt.Printf("  %-11s %s\n", name, line)
		}
	}
}
