package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// A following reads a stream of events, each of which it holds to openapi.yaml.
type following struct {
	t     *testing.T
	lines *bufio.Scanner
	text  strings.Builder
}

// follow opens a stream and waits until it has begun.
func (r *rig) follow(t *testing.T, c *client, query, lastID string) *following {
	t.Helper()
	q := r.request(c, http.MethodGet, "/v1/events"+query, "")
	q.Header.Set("Accept", "text/event-stream")
	q.Header.Set("Last-Event-Id", lastID)
	transport := &http.Transport{}
	resp, err := transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close(); transport.CloseIdleConnections() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("got %d %s", resp.StatusCode, kind)
	}
	f := &following{t: t, lines: bufio.NewScanner(resp.Body)}
	f.lines.Scan()
	return f
}

// eventSchema is that of openapi.yaml.
var eventSchema = sync.OnceValues(func() (*openapi3.Schema, error) {
	d, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	return d.Components.Schemas["Event"].Value, nil
})

// next waits for the next event; nil: the stream has ended.
func (f *following) next() *entry {
	f.t.Helper()
	for f.lines.Scan() {
		fmt.Fprintln(&f.text, f.lines.Text())
		text, ok := strings.CutPrefix(f.lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e entry
		var any any
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			f.t.Fatal(err)
		}
		_ = json.Unmarshal([]byte(text), &any)
		schema, err := eventSchema()
		if err != nil {
			f.t.Fatal(err)
		}
		if err := schema.VisitJSON(any, openapi3.EnableFormatValidation()); err != nil {
			f.t.Errorf("%s does not fit openapi.yaml: %v", text, err)
		}
		return &e
	}
	return nil
}

// until waits for an event of a kind.
func (f *following) until(kind string) *entry {
	f.t.Helper()
	for {
		e := f.next()
		if e == nil {
			f.t.Fatalf("the stream has ended before an event %q:\n%s", kind, &f.text)
		}
		if e.Kind == kind {
			return e
		}
	}
}

// get asks for JSON.
func (r *rig) get(c *client, path string, into any) (text string) {
	r.t.Helper()
	resp, err := c.http.Do(r.request(c, http.MethodGet, path, ""))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %d %s %v", path, resp.StatusCode, raw, err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		r.t.Fatal(err)
	}
	return string(raw)
}

const marked = `<script>alert(1)</script>`

// Figures, events and the stream tell an application what became of its own
// verifications, and neither a code nor an address nor a subject is in them.
func TestStatsAndEvents(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.people.receipts = true
	live := r.follow(t, r.shop, "", "")
	elsewhere := r.follow(t, r.bank, "", "")
	login := strings.Replace(annsLogin, `"subject":"ann"`, `"reference":"`+marked+`","subject":"ann`+marked+`"`, 1)
	id := r.want(r.shop, "201 pending", "POST", apiPath, login, "Request-Id", "r-1").body.ID
	code := r.people.read("+447912345601")
	check := strings.Replace(checkBody(code), `"ann"`, `"ann`+marked+`"`, 1)
	r.want(r.shop, "422 code_refused, 4 attempts left", "POST", apiPath+"/"+id+"/check",
		strings.Replace(check, code, other(code), 1))
	r.want(r.shop, "200 verified", "POST", apiPath+"/"+id+"/check", check)
	r.want(r.bank, "201 pending", "POST", apiPath, strings.Replace(annsLogin, "5601", "5602", 1))
	first := live.next()
	if live.until("verified").Verification != id || first.Kind != "generated" || first.Reference != marked {
		t.Errorf("the stream says %s", &live.text)
	}

	var day stats
	text := r.get(r.shop, "/v1/stats?bucket=day&group_by=route", &day)
	row := day.Rows[len(day.Rows)-1]
	if *row.Route != "sms" || row.Sent != 1 || row.Delivered != 1 || row.Verified != 1 || row.ToVerification == nil ||
		len(day.Refusals) != 1 || day.Refusals[0].Operation != "verify" || day.Refusals[0].Reason != "wrong" {
		t.Errorf("got %s", text)
	}
	for _, query := range []string{"", "?group_by=country", "?bucket=minute&from=" + time.Now().Add(-time.Hour).UTC().
		Format(time.RFC3339)} {
		var all stats
		text += r.get(r.shop, "/v1/stats"+query, &all)
		if len(all.Rows) != 1 || all.Rows[0].Requested != 1 {
			t.Errorf("%s: got %s", query, text)
		}
	}
	var log events
	text += r.get(r.shop, "/v1/events?verification="+id, &log)
	if n := len(log.Events); n != 5 || log.Events[0].Kind != "verified" || log.Events[n-1].Request != "r-1" {
		t.Errorf("got %s", text)
	}
	var page events
	text += r.get(r.shop, "/v1/events?limit=2", &page)
	again := r.follow(t, r.shop, "?verification="+id, page.Events[1].ID)
	if e := again.next(); e.ID != page.Events[0].ID {
		t.Errorf("the stream goes on with %+v", e)
	}
	for n := 2; page.Next != ""; n += len(page.Events) {
		at := page.Next
		page = events{}
		if text += r.get(r.shop, "/v1/events?limit=2&request=r-1&cursor="+at, &page); n > 5 {
			t.Fatalf("there is no end: %s", text)
		}
	}
	if e := elsewhere.until("sent"); e.Verification == id {
		t.Errorf("another application is told of %+v", e)
	}
	for _, bad := range []string{"stats?bucket=year", "stats?group_by=subject", "stats?group_by=route,route",
		"stats?from=yesterday", "events?limit=0",
		"stats?bucket=minute&from=2020-01-01T00:00:00Z", "stats?from=2999-01-01T00:00:00Z", "events?cursor=x"} {
		r.want(r.shop, "400 invalid", "GET", "/v1/"+bad, "")
	}
	if err := r.stop(); err != nil { // streams do not hold the end up
		t.Error(err)
	}
	if e := live.next(); e != nil && e.Verification != id {
		t.Errorf("after the end there is %+v", e)
	}
	text += live.text.String() + elsewhere.text.String() + again.text.String() + r.log.String()
	for _, secret := range []string{code, "447912345601", "ann@example.com", "ann<", "ann\\u003c", r.shop.key} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is told:\n%s", secret, text)
		}
	}
}

// A stream needs the scope, and there are not too many of them.
func TestFollowers(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.Applications[0].Keys[0].Scopes = []string{scopeStats} })
	r.want(r.shop, "403 forbidden", "GET", "/v1/events", "")
	r.want(r.shop, "403 forbidden", "GET", "/v1/events", "", "Accept", "text/event-stream")
	for range maxStreams {
		r.follow(t, r.bank, "", "")
	}
	r.want(r.bank, "503 unavailable, with Retry-After", "GET", "/v1/events", "", "Accept", "text/event-stream")
}
