package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// BenchmarkFiguresBytes writes the records that a process makes of a day in which each
// minute has verifications of all routes, countries and purposes, and reports their bytes.
func BenchmarkFiguresBytes(b *testing.B) {
	for _, size := range []struct{ routes, countries, purposes int }{{2, 4, 1}, {2, 4, 3}, {3, 20, 3}} {
		b.Run(fmt.Sprintf("routes=%d/countries=%d/purposes=%d", size.routes, size.countries, size.purposes),
			func(b *testing.B) {
				f := &figures{shards: map[bucket]*shard{}, tariff: tariff{currency: "EUR",
					prices: map[string]map[string]money{}}}
				for r := range size.routes {
					f.routes = append(f.routes, fmt.Sprint("carrier-", r))
					f.tariff.prices[f.routes[r]] = map[string]money{defaultPrice: 45_000}
				}
				for p := range size.purposes {
					f.purposes = append(f.purposes, fmt.Sprint("purpose-", p))
				}
				now := time.Unix(1_800_000_000, 0).Truncate(24 * time.Hour)
				countries := countriesOf("en")
				for range 100 {
					for _, route := range f.routes {
						for c := range size.countries {
							for _, purpose := range f.purposes {
								f.countAll(route, countries[c].Code, purpose, now)
							}
						}
					}
				}
				for b.Loop() {
					day := 0
					for at, s := range f.shards {
						text, err := json.Marshal(s.counters)
						if err != nil {
							b.Fatal(err)
						}
						day += len(text) * int(24*time.Hour/levels[at.level].length)
					}
					b.ReportMetric(float64(day), "B/day")
					b.ReportMetric(float64(len(f.shards[bucket{0, levels[0].index(now)}].counters)), "fields")
				}
			})
	}
}

// countAll counts a verification whose first route failed.
func (f *figures) countAll(route, country, purpose string, now time.Time) {
	for _, e := range lifeOf("x", now) {
		e.Region, e.Purpose = country, purpose
		if e.Route != "" {
			e.Route = route
		}
		f.count(&e, now)
		if e.Kind == otp.EventSent {
			e.State = channel.Failed
			f.count(&e, now)
		}
	}
}
