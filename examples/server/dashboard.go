package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A span is what the dashboard shows: so many values, each of so many buckets.
type span struct {
	Name, Label          string
	level, values, merge int
}

var spans = []span{
	{"1h", "1 hour", 0, 60, 1},
	{"6h", "6 hours", 0, 72, 5},
	{"24h", "24 hours", 1, 24, 1},
	{"7d", "7 days", 1, 28, 6},
	{"30d", "30 days", 2, 30, 1},
}

// length is that of one value.
func (s span) length() time.Duration { return time.Duration(s.merge) * levels[s.level].length }

const (
	// From fewer than enough no ratio is shown: it would say nothing.
	enough = 10
	// Of suspectSent messages to a country, a share of codes below suspectShare that
	// people typed is likely to be of pumped numbers.
	suspectSent, suspectShare = 20, 35
	shownEntries              = 20
	// An older message in the queue shows that there are too few workers, or none.
	slowQueue = 10 * time.Second
)

// A board is what the template of the dashboard sees.
type board struct {
	Application, Route, Country     string
	Applications, Routes, Countries []choice
	Span                            span
	Spans                           []span
	At                              string

	Tiles []tile
	Rows  []countryRow
	Plots []*plot

	Find, Older string // what was searched for, and the cursor of older entries
	Entries     []entry
	Open        []string // the verifications found that the operator may cancel
	Webhooks    bool
	Done        outcome // of the operator's action
	Down        bool    // nothing could be read

	queue          store.Stats
	values, before []counters // of the span, and of the one before it
	open           int        // values at the end whose codes can still be typed
}

type choice struct{ Value, Label string }

type tile struct {
	Name, Value, Note string
	Bad               bool
}

type countryRow struct {
	Name                        string
	Requested, Sent             int64
	Delivered, Verified, Before string
	Suspect                     bool
}

// showBoard is GET /dashboard.
func (s *server) showBoard(w http.ResponseWriter, r *http.Request, a *app, o *operator) {
	b := &board{Application: a.name, Route: r.FormValue("route"), Country: r.FormValue("country"), Spans: spans,
		Span: spans[0], Find: r.FormValue("find"), At: time.Now().UTC().Format("2 January 2006, 15:04:05"),
		Webhooks: len(s.sender.of(a.name)) > 0, Done: outcomes[r.FormValue("done")]}
	if i := slices.IndexFunc(spans, func(p span) bool { return p.Name == r.FormValue("span") }); i > 0 {
		b.Span = spans[i]
	}
	for _, c := range s.c.Applications {
		b.Applications = append(b.Applications, choice{c.Name, c.Brand})
	}
	for _, c := range a.config.Routes {
		b.Routes = append(b.Routes, choice{c.Name, c.Name})
	}
	now := time.Now()
	if err := b.readAll(r, a, now); err != nil {
		_ = s.unavailable(r, err) // logs it; the page says it
		b.Down, b.Tiles = true, []tile{routesUp(a)}
	} else {
		b.fill(a)
	}
	if b.Find != "" && o.operates() {
		b.Open = cancellable(b.Entries, now.Add(-a.config.life()))
	}
	s.execute(w, http.StatusOK, "dashboard.html", "en", b)
}

// readAll reads all that the dashboard shows of the store, or returns an error in time to
// say so.
func (b *board) readAll(r *http.Request, a *app, now time.Time) error {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	err := b.read(ctx, a, now)
	if err == nil {
		err = b.readEntries(ctx, a, now, r.FormValue("cursor"))
	}
	if queue, ok := a.figures.store.(store.Inspector); ok && err == nil {
		b.queue, err = queue.Stats(ctx)
	}
	return err
}

// read reads the span, and the one before it.
func (b *board) read(ctx context.Context, a *app, now time.Time) error {
	l, p := levels[b.Span.level], b.Span
	end := l.index(now)/int64(p.merge)*int64(p.merge) + int64(p.merge)
	first := end - int64(2*p.values*p.merge)
	all, err := a.figures.read(ctx, p.level, l.start(first), l.start(end))
	if err != nil {
		return err
	}
	for i := range p.values {
		of := func(k int) counters { return total(all[k*p.merge : (k+1)*p.merge]) }
		b.before, b.values = append(b.before, of(i)), append(b.values, of(p.values+i))
	}
	value := func(at time.Time) int64 { return l.index(at) / int64(p.merge) }
	b.open = min(p.values, int(value(now)-value(now.Add(-a.config.life())))+1)
	times := make([]string, p.values)
	for i := range times {
		times[i] = l.start(end - int64((p.values-i)*p.merge)).Format(timeForm(p.length()))
	}
	b.draw(times)
	return nil
}

// life is how long a code can be typed.
func (a *application) life() time.Duration { return cmp.Or(time.Duration(a.Life), 5*time.Minute) }

// readEntries reads the latest events, or those that were searched for.
func (b *board) readEntries(ctx context.Context, a *app, now time.Time, cursor string) error {
	at := position{hour: hourOf(now), chunk: -1}
	if c, ok := parsePosition(cursor); ok {
		at = c
	}
	found, next, err := a.figures.before(ctx, at, shownEntries, matching("", "", b.Find))
	if b.Entries = found; next != nil {
		b.Older = next.String()
	}
	return err
}

// ratio is a share in percent; NaN: of too few.
func ratio(part, whole int64) float64 {
	if whole < enough {
		return math.NaN()
	}
	return 100 * float64(part) / float64(whole)
}

func percent(v float64) string { return (&plot{Unit: "%"}).show(v) }

// converted is the share of right codes: of what was requested or, by a route, of its
// messages.
func (b *board) converted(c counters, country string) float64 {
	base := kindRequested
	if b.Route != "" {
		base = kindSent
	}
	return ratio(c.sum(kindVerified, b.Route, country), c.sum(base, b.Route, country))
}

func (b *board) delivered(c counters, country string) float64 {
	return ratio(c.sum(kindDelivered, b.Route, country), c.sum(kindSent, b.Route, country))
}

// fill makes the tiles and the countries' rows.
func (b *board) fill(a *app) {
	all, ripe, before := total(b.values), total(b.values[:len(b.values)-b.open]), total(b.before)
	sum := func(kind string) int64 { return all.sum(kind, b.Route, b.Country) }
	conversion, usual := b.converted(ripe, b.Country), b.converted(before, b.Country)
	came := percent(b.delivered(all, b.Country))
	took := func(kind string) string {
		t := timesOf(all, kind, b.Route)
		if t == nil {
			return "–"
		}
		return fmt.Sprintf("%.0f / %.0f s", t.P50, t.P99)
	}
	b.Tiles = []tile{
		{"Requests", strconv.FormatInt(sum(kindRequested), 10), "", false},
		{"Messages sent", strconv.FormatInt(sum(kindSent), 10), "", false},
		{"Delivered", came, percent(b.delivered(before, b.Country)) + " before", false},
		{"Verified", percent(conversion), percent(usual) + " before", conversion < 0.8*usual},
		{"Time to delivery", took(kindToDelivery), "p50 / p99, all countries", false},
		{"Time to the right code", took(kindToVerification), "p50 / p99, all countries", false},
		routesUp(a),
		{"Messages that wait", strconv.Itoa(b.queue.High + b.queue.Normal + b.queue.Low),
			fmt.Sprintf("for up to %.0f s; dead letters: %d", b.queue.Oldest.Seconds(), b.queue.Dead),
			b.queue.Oldest > slowQueue},
	}
	b.fillCountries(ripe, all, before)
}

// routesUp is known even if the store is down.
func routesUp(a *app) tile {
	up, routes := 0, a.courier.Health()
	for _, r := range routes {
		if !r.Open {
			up++
		}
	}
	return tile{"Routes up", fmt.Sprintf("%d of %d", up, len(routes)), "seen from this process", up < len(routes)}
}

// fillCountries makes the countries' rows, the most requested first.
func (b *board) fillCountries(ripe, all, before counters) {
	names := map[string]string{otherName: "Other, or not known"}
	for _, c := range countriesOf("en") {
		names[c.Code] = c.Name
	}
	codes := map[string]bool{}
	for f := range all {
		if f.kind == kindRequested {
			codes[f.b] = true
		}
	}
	for code := range codes {
		b.Countries = append(b.Countries, choice{code, names[code]})
		if b.Country != "" && code != b.Country {
			continue
		}
		share := b.converted(ripe, code)
		b.Rows = append(b.Rows, countryRow{names[code], all.sum(kindRequested, "", code),
			all.sum(kindSent, b.Route, code), percent(b.delivered(all, code)), percent(share),
			percent(b.converted(before, code)),
			ripe.sum(kindSent, b.Route, code) >= suspectSent && share < suspectShare})
	}
	slices.SortFunc(b.Countries, func(a, b choice) int { return strings.Compare(a.Label, b.Label) })
	slices.SortFunc(b.Rows, func(a, b countryRow) int {
		return cmp.Or(cmp.Compare(b.Requested, a.Requested), strings.Compare(a.Name, b.Name))
	})
}

// draw makes the plots.
func (b *board) draw(times []string) {
	of := func(name string, value func(i int) float64) series {
		s := series{Name: name}
		for i := range b.values {
			s.Values = append(s.Values, value(i))
		}
		return s
	}
	funnel := &plot{ID: "funnel", Title: "From request to right code", Open: b.open}
	for _, kind := range []string{kindRequested, kindSent, kindDelivered, kindVerified} {
		funnel.Series = append(funnel.Series, of(kind, func(i int) float64 {
			return float64(b.values[i].sum(kind, b.Route, b.Country))
		}))
	}
	share := &plot{ID: "share", Title: "Right codes by route", Note: "of the messages of five steps", Unit: "%",
		Open: b.open}
	for _, s := range b.split(kindSent, func(f field) string { return f.a }) {
		share.Series = append(share.Series, of(s.Name, func(i int) float64 {
			if i >= len(b.values)-b.open {
				return math.NaN()
			}
			c := total(b.values[max(0, i-4) : i+1])
			return ratio(c.sum(kindVerified, s.Name, b.Country), c.sum(kindSent, s.Name, b.Country))
		}))
	}
	took := &plot{ID: "took", Title: "Time to the right code", Note: "all countries", Unit: "s"}
	for _, q := range []float64{0.5, 0.99} {
		took.Series = append(took.Series, of(fmt.Sprintf("p%.0f", 100*q), func(i int) float64 {
			if v, ok := b.values[i].quantile(kindToVerification, b.Route, q); ok {
				return v
			}
			return math.NaN()
		}))
	}
	both := func(f field) string { return f.a + " " + f.b }
	b.Plots = []*plot{funnel, share, took,
		{ID: "routes", Title: "Messages by route", Stacked: true,
			Series: b.split(kindSent, func(f field) string { return f.a })},
		{ID: "refused", Title: "Refusals by reason", Note: "wrong codes included", Stacked: true,
			Series: b.split(kindRefused, both)},
		{ID: "tries", Title: "Tries that failed", Note: "by route and class", Stacked: true,
			Series: b.split(kindFailedTry, both)},
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
				kind == kindSent && b.Country != "" && f.b != b.Country {
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
