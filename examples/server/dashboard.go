package main

import (
	"cmp"
	"context"
	"fmt"
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
	// The figures that are not counted by country and purpose say so.
	notSplit = "all countries and purposes"
	// An older message in the queue shows that there are too few workers, or none.
	slowQueue = 10 * time.Second
)

// A board is what the template of the dashboard sees.
type board struct {
	Application, Route, Country, Purpose      string
	Applications, Routes, Countries, Purposes []choice
	Span                                      span
	Spans                                     []span
	At                                        string
	Currency                                  string // empty: there are no prices

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
	values, before []counters // of the span, and of the one before it, and of the purpose
	open           int        // values at the end whose codes can still be typed
	today          money      // the spend of the day, of all routes, countries and purposes
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
	Spend                       string
	Suspect                     bool
}

// showBoard is GET /dashboard.
func (s *server) showBoard(w http.ResponseWriter, r *http.Request, a *app, o *operator) {
	b := &board{Application: a.name, Route: r.FormValue("route"), Country: r.FormValue("country"),
		Purpose: r.FormValue("purpose"), Spans: spans, Span: spans[0], Currency: a.config.Currency,
		Find: r.FormValue("find"), At: time.Now().UTC().Format("2 January 2006, 15:04:05"),
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
	for _, purpose := range a.config.Purposes {
		b.Purposes = append(b.Purposes, choice{purpose, purpose})
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
	if err == nil && b.Currency != "" {
		err = b.readToday(ctx, a, now)
	}
	if err == nil {
		err = b.readEntries(ctx, a, now, r.FormValue("cursor"))
	}
	if queue, ok := a.figures.store.(store.Inspector); ok && err == nil {
		b.queue, err = queue.Stats(ctx)
	}
	return err
}

// readToday reads the spend of the day, which is one of UTC.
func (b *board) readToday(ctx context.Context, a *app, now time.Time) error {
	days, err := a.figures.read(ctx, len(levels)-1, now, now.Add(1))
	b.today = money(total(days).sum(b.kindCost(), "", ""))
	return err
}

func (b *board) kindCost() string { return kindCost + b.Currency }

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
		of := func(k int) counters {
			c := total(all[k*p.merge : (k+1)*p.merge])
			if b.Purpose != "" {
				c = c.ofPurpose(b.Purpose)
			}
			return c
		}
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

// ratio is a share in percent; NaN: of too few. It is at most 100: a process that was killed
// may not have come to count the whole of what another counted as a part.
func ratio(part, whole int64) float64 {
	if whole < enough {
		return math.NaN()
	}
	return min(100, 100*float64(part)/float64(whole))
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
		{"Time to delivery", took(kindToDelivery), "p50 / p99, " + notSplit, false},
		{"Time to the right code", took(kindToVerification), "p50 / p99, " + notSplit, false},
		routesUp(a),
		{"Messages that wait", strconv.Itoa(b.queue.High + b.queue.Normal + b.queue.Low),
			fmt.Sprintf("for up to %.0f s; dead letters: %d", b.queue.Oldest.Seconds(), b.queue.Dead),
			b.queue.Oldest > slowQueue},
	}
	if t := &a.config.tariff; b.Currency != "" {
		note := "the whole application"
		if t.budget > 0 {
			note = fmt.Sprintf("of %s a day, %s", t.budget.short(), note)
		}
		b.Tiles = append(b.Tiles, tile{"Spend today", b.today.short() + " " + b.Currency, note,
			t.budget > 0 && b.today >= t.budget/5*4})
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
			percent(b.converted(before, code)), money(all.sum(b.kindCost(), b.Route, code)).short(),
			ripe.sum(kindSent, b.Route, code) >= suspectSent && share < suspectShare})
	}
	slices.SortFunc(b.Countries, func(a, b choice) int { return strings.Compare(a.Label, b.Label) })
	slices.SortFunc(b.Rows, func(a, b countryRow) int {
		return cmp.Or(cmp.Compare(b.Requested, a.Requested), strings.Compare(a.Name, b.Name))
	})
}
