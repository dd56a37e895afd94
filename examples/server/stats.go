package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp/otphttp"
)

// maxBuckets is what one question may be about.
const maxBuckets = 500

// stats is the answer to GET /v1/stats.
type stats struct {
	From     time.Time    `json:"from"`
	To       time.Time    `json:"to"`
	Bucket   string       `json:"bucket"`
	Rows     []statsRow   `json:"rows"`
	Refusals []refusalRow `json:"refusals"`
}

// A statsRow has what became of the verifications that were created in a bucket.
type statsRow struct {
	Start   time.Time `json:"start"`
	Route   *string   `json:"route,omitempty"` // empty: no message has gone yet
	Country *string   `json:"country,omitempty"`
	Purpose *string   `json:"purpose,omitempty"`

	Requested   int64 `json:"requested"`
	Sent        int64 `json:"sent"`
	Undelivered int64 `json:"undelivered"`
	Delivered   int64 `json:"delivered"`
	Verified    int64 `json:"verified"`

	Cost *cost `json:"cost,omitempty"` // nil: the application has no prices

	// Seconds; they are not counted by country and purpose.
	ToDelivery     *times `json:"to_delivery,omitempty"`
	ToVerification *times `json:"to_verification,omitempty"`
}

// A cost is what messages cost.
type cost struct {
	Amount   money  `json:"amount"`
	Currency string `json:"currency"`
}

type times struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

type refusalRow struct {
	Start     time.Time `json:"start"`
	Operation string    `json:"operation"`
	Reason    string    `json:"reason"`
	Count     int64     `json:"count"`
}

func timesOf(c counters, kind, route string) *times {
	p50, some := c.quantile(kind, route, 0.5)
	p99, _ := c.quantile(kind, route, 0.99)
	if !some {
		return nil
	}
	return &times{p50, p99}
}

// groupings are what figures can be split by.
var groupings = []string{"route", "country", "purpose"}

// groupOf returns the names of a row, in the order of groupings. The row is not split by
// the others, which are empty.
func groupOf(f field, by []string) (group [3]string) {
	for i, value := range [3]string{f.a, f.b, f.purpose} {
		if slices.Contains(by, groupings[i]) {
			group[i] = value
		}
	}
	return group
}

// rows splits the figures of a bucket by some of groupings, or not at all.
func (c counters) rows(start time.Time, by []string, currency string) (rows []statsRow) {
	found := map[[3]string]*statsRow{}
	for f, n := range c {
		group := groupOf(f, by)
		row := found[group]
		if row == nil {
			row = &statsRow{Start: start}
			if currency != "" {
				row.Cost = &cost{Currency: currency}
			}
		}
		if to := row.counter(f.kind); to != nil {
			*to += n
			found[group] = row
		}
	}
	for _, group := range slices.SortedFunc(maps.Keys(found), func(a, b [3]string) int {
		return slices.Compare(a[:], b[:])
	}) {
		row := found[group]
		for i, name := range []**string{&row.Route, &row.Country, &row.Purpose} {
			if slices.Contains(by, groupings[i]) {
				*name = &group[i]
			}
		}
		if of := group[0]; len(by) == 0 || len(by) == 1 && of != "" {
			row.ToDelivery, row.ToVerification = timesOf(c, kindToDelivery, of), timesOf(c, kindToVerification, of)
		}
		rows = append(rows, *row)
	}
	return rows
}

// counter returns where a kind counts; nil: nowhere.
func (r *statsRow) counter(kind string) *int64 {
	switch kind {
	case kindRequested:
		return &r.Requested
	case kindSent:
		return &r.Sent
	case kindUndelivered:
		return &r.Undelivered
	case kindDelivered:
		return &r.Delivered
	case kindVerified:
		return &r.Verified
	}
	if r.Cost != nil && kind == kindCost+r.Cost.Currency {
		return (*int64)(&r.Cost.Amount)
	}
	return nil
}

// parseGroups reads "route,country": some of groupings, none of them twice.
func parseGroups(text string) (by []string, ok bool) {
	if text == "" {
		return nil, true
	}
	for _, name := range strings.Split(text, ",") {
		if !slices.Contains(groupings, name) || slices.Contains(by, name) {
			return nil, false
		}
		by = append(by, name)
	}
	return by, true
}

func (c counters) refusals(start time.Time) (rows []refusalRow) {
	for f, n := range c {
		if f.kind == kindRefused {
			rows = append(rows, refusalRow{start, f.a, f.b, n})
		}
	}
	slices.SortFunc(rows, func(a, b refusalRow) int {
		return cmp.Or(strings.Compare(a.Operation, b.Operation), strings.Compare(a.Reason, b.Reason))
	})
	return rows
}

// getStats is GET /v1/stats.
func (s *server) getStats(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
	q := r.URL.Query()
	at := slices.IndexFunc(levels, func(l level) bool { return l.name == cmp.Or(q.Get("bucket"), "hour") })
	by, ok := parseGroups(q.Get("group_by"))
	switch {
	case at < 0:
		return wrong("", "bucket: it must be minute, hour or day")
	case !ok:
		return wrong("", "group_by: it must be some of route, country and purpose, with commas between them")
	}
	out := stats{To: time.Now().UTC(), Bucket: levels[at].name, Rows: []statsRow{}, Refusals: []refusalRow{}}
	out.From = out.To.Add(-24 * levels[at].length)
	for name, field := range map[string]*time.Time{"from": &out.From, "to": &out.To} {
		if text := q.Get(name); text != "" {
			t, err := time.Parse(time.RFC3339, text)
			if err != nil || t.Year() < 1970 || t.Year() > 9999 {
				return wrong("", name+": it must be a time as 2026-01-02T15:04:05Z")
			}
			*field = t.UTC()
		}
	}
	if out.From.After(out.To) || out.To.Sub(out.From) > maxBuckets*levels[at].length {
		return wrong("", fmt.Sprintf("from and to: they must be up to %d buckets apart", maxBuckets))
	}
	all, err := a.figures.read(r.Context(), at, out.From, out.To)
	if err != nil {
		return s.unavailable(r, err)
	}
	first := levels[at].index(out.From)
	for i, c := range all {
		start := levels[at].start(first + int64(i))
		out.Rows = append(out.Rows, c.rows(start, by, a.config.tariff.currency)...)
		out.Refusals = append(out.Refusals, c.refusals(start)...)
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// events is the answer to GET /v1/events.
type events struct {
	Events []entry `json:"events"`
	Next   string  `json:"next,omitempty"` // the cursor of older ones
}

// getEvents is GET /v1/events: the latest first, or, as text/event-stream, those to come.
func (s *server) getEvents(w http.ResponseWriter, r *http.Request, a *app, _ *apiKey) *otphttp.Problem {
	q := r.URL.Query()
	match := matching(q.Get("verification"), q.Get("request"), "")
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return s.follow(w, r, a, match)
	}
	at, ok := position{hour: hourOf(time.Now()), chunk: -1}, true
	if c := q.Get("cursor"); c != "" {
		at, ok = parsePosition(c)
	}
	limit, err := strconv.Atoi(cmp.Or(q.Get("limit"), "50"))
	switch {
	case !ok:
		return wrong("", "cursor: it must be the next of an answer, or the id of an event")
	case err != nil || limit < 1 || limit > 500:
		return wrong("", "limit: it must be 1 to 500")
	}
	found, next, err := a.figures.before(r.Context(), at, limit, match)
	if err != nil {
		return s.unavailable(r, err)
	}
	out := events{Events: append([]entry{}, found...)}
	if next != nil {
		out.Next = next.String()
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

const (
	streamLife = 15 * time.Minute // then the client connects again, with a key that may have ended
	maxStreams = 64
	beat       = 15 * time.Second
)

// follow streams events until the client goes or the server ends. Each stream reads the
// log at its own pace, so that a slow reader delays nobody.
func (s *server) follow(w http.ResponseWriter, r *http.Request, a *app, match func(*entry) bool) *otphttp.Problem {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		p := refusal(http.StatusServiceUnavailable, "unavailable", "Too many are following.", "")
		p.RetryAfter = 5
		return p
	}
	defer s.streams.Add(-1)
	at, resumed := parsePosition(r.Header.Get("Last-Event-ID"))
	if at.entry++; !resumed {
		var err error
		if at, err = a.figures.now(r.Context()); err != nil {
			return s.unavailable(r, err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamLife)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // of a proxy
	out := &stream{w: w, rc: http.NewResponseController(w)}
	_ = out.rc.SetReadDeadline(time.Time{}) // that of the request
	_ = out.send(": the events to come\n\n")
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		found, next, err := a.figures.after(ctx, at, time.Now())
		if err != nil || out.write(found, match) != nil {
			return nil
		}
		if next != at {
			at = next
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// A stream is a response of server-sent events.
type stream struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	sent time.Time
}

func (o *stream) write(entries []entry, match func(*entry) bool) error {
	for i := range entries {
		if !match(&entries[i]) {
			continue
		}
		text, err := json.Marshal(entries[i])
		if err != nil {
			return err
		}
		if err := o.send(fmt.Sprintf("id: %s\ndata: %s\n\n", entries[i].ID, text)); err != nil {
			return err
		}
	}
	if time.Since(o.sent) > beat {
		return o.send(": beat\n\n")
	}
	return nil
}

func (o *stream) send(text string) error {
	o.sent = time.Now()
	_ = o.rc.SetWriteDeadline(o.sent.Add(20 * time.Second))
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.rc.Flush()
}
