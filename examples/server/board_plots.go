package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// draw makes the plots.
func (b *board) draw(times []string) {
	of := func(name string, value func(i int) float64) series {
		s := series{Name: name}
		for i := range b.values {
			s.Values = append(s.Values, value(i))
		}
		return s
	}
	both := func(f field) string { return f.a + " " + f.b }
	route := func(f field) string { return f.a }
	funnel := &plot{ID: "funnel", Title: "From request to right code", Open: b.open}
	for _, kind := range []string{kindRequested, kindSent, kindDelivered, kindVerified} {
		funnel.Series = append(funnel.Series, of(kind, func(i int) float64 {
			return float64(b.values[i].sum(kind, b.Route, b.Country))
		}))
	}
	share := &plot{ID: "share", Title: "Right codes by route", Note: "of the messages of five steps", Unit: "%",
		Open: b.open}
	for _, s := range b.split(kindSent, route) {
		share.Series = append(share.Series, of(s.Name, func(i int) float64 {
			if i >= len(b.values)-b.open {
				return math.NaN()
			}
			c := total(b.values[max(0, i-4) : i+1])
			return ratio(c.sum(kindVerified, s.Name, b.Country), c.sum(kindSent, s.Name, b.Country))
		}))
	}
	took := &plot{ID: "took", Title: "Time to the right code", Note: notSplit, Unit: "s"}
	for _, q := range []float64{0.5, 0.99} {
		took.Series = append(took.Series, of(fmt.Sprintf("p%.0f", 100*q), func(i int) float64 {
			if v, ok := b.values[i].quantile(kindToVerification, b.Route, q); ok {
				return v
			}
			return math.NaN()
		}))
	}
	b.Plots = []*plot{funnel, share, took,
		{ID: "routes", Title: "Messages by route", Stacked: true,
			Series: b.split(kindSent, route)},
		{ID: "refused", Title: "Refusals by reason", Note: "wrong codes included; all purposes", Stacked: true,
			Series: b.split(kindRefused, both)},
		{ID: "tries", Title: "Tries that failed", Note: "by route and class; " + notSplit, Stacked: true,
			Series: b.split(kindFailedTry, both)},
	}
	if b.Currency != "" {
		b.Plots = append(b.Plots, &plot{ID: "spend", Title: "Spend by route", Note: b.Currency, Money: true,
			Stacked: true, Open: b.open, Series: b.split(b.kindCost(), route)})
	}
	for _, p := range b.Plots {
		p.Times, p.Series = times, fewer(p.Series)
	}
}

// split makes a series of each name of a kind's fields, the largest first.
func (b *board) split(kind string, name func(field) string) (all []series) {
	sums, values := map[string]int64{}, map[string][]float64{}
	for i, c := range b.values {
		for f, n := range c {
			if f.kind != kind || kind != kindRefused && b.Route != "" && f.a != b.Route ||
				f.purpose != "" && b.Country != "" && f.b != b.Country {
				continue
			}
			if values[name(f)] == nil {
				values[name(f)] = make([]float64, len(b.values))
			}
			values[name(f)][i] += float64(n)
			sums[name(f)] += n
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), strings.Compare(a, b))
	}) {
		all = append(all, series{name, values[name]})
	}
	return all
}
