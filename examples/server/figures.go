package main

import (
	"cmp"
	"compress/flate"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// The kinds of figures.
const (
	kindRequested      = "requested"       // by country
	kindSent           = "sent"            // messages, by route and country
	kindUndelivered    = "undelivered"     // messages, by route and country
	kindDelivered      = "delivered"       // messages, by route and country
	kindVerified       = "verified"        // by route and country
	kindRefused        = "refused"         // by operation and reason
	kindFailedTry      = "failed_try"      // of a route that then left the message to the next: by route and class
	kindToDelivery     = "to_delivery"     // by route and index into edges: seconds from submission to delivery
	kindToVerification = "to_verification" // by route and index into edges: seconds from creation
	kindCost           = "cost_"           // with the currency; millionths of it, by route and country
)

// A field is a kind and what it is counted by. All parts are bounded: routes and purposes
// are those of the file, countries have phone numbers, the rest are constants of the
// library. Unknown routes, purposes and countries are "other".
type field struct {
	kind, a, b string
	purpose    string // of kinds with a country; else empty
}

// MarshalText returns kind/a/b, and /purpose if there is one.
//
//nolint:unparam // encoding.TextMarshaler has an error
func (f field) MarshalText() ([]byte, error) {
	text := f.kind + "/" + url.PathEscape(f.a) + "/" + f.b
	if f.purpose != "" {
		text += "/" + url.PathEscape(f.purpose)
	}
	return []byte(text), nil
}

// UnmarshalText reads what MarshalText returns.
func (f *field) UnmarshalText(text []byte) error {
	parts := append(strings.Split(string(text), "/"), "")
	if n := len(parts); n != 4 && n != 5 {
		return errors.New("a field must be of the form kind/a/b/purpose")
	}
	a, err := url.PathUnescape(parts[1])
	purpose, failed := url.PathUnescape(parts[3])
	*f = field{parts[0], a, parts[2], purpose}
	return errors.Join(err, failed)
}

type counters map[field]int64

const otherName = "other"

// ofPurpose returns the figures of a purpose, and those that are not counted by purpose.
func (c counters) ofPurpose(purpose string) counters {
	out := maps.Clone(c)
	maps.DeleteFunc(out, func(f field, _ int64) bool { return f.purpose != "" && f.purpose != purpose })
	return out
}

// sum adds up a kind, of the route and the country unless they are empty.
func (c counters) sum(kind, route, country string) (n int64) {
	for f, k := range c {
		if f.kind == kind && (route == "" || f.a == "" || f.a == route) && (country == "" || f.b == country) {
			n += k
		}
	}
	return n
}

// edges are the upper bounds of the histograms, in seconds.
var edges = []float64{1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300}

func edgeOf(d time.Duration) string {
	i, _ := slices.BinarySearch(edges, d.Seconds())
	return strconv.Itoa(i)
}

// quantile reads q off a histogram, in seconds, in a straight line between its edges;
// false: it is empty. More than the last edge is read as the last edge.
func (c counters) quantile(kind, route string, q float64) (float64, bool) {
	var seen float64
	total := float64(c.sum(kind, route, ""))
	low := 0.0
	for i, high := range edges {
		n := float64(c.sum(kind, route, strconv.Itoa(i)))
		if n > 0 && seen+n >= q*total {
			return low + (high-low)*(q*total-seen)/n, true
		}
		seen, low = seen+n, high
	}
	return low, total > 0
}

// A level is a length of buckets, and for how long they are kept.
type level struct {
	name         string
	length, life time.Duration
}

var levels = []level{
	{"minute", time.Minute, 13 * time.Hour},
	{"hour", time.Hour, 35 * 24 * time.Hour},
	{"day", 24 * time.Hour, 400 * 24 * time.Hour},
}

// A bucket is a span of time that is counted in: a place in levels, and how many of its
// lengths have passed since 1970.
type bucket struct {
	level int
	index int64
}

func (l level) index(at time.Time) int64 { return at.Unix() / int64(l.length/time.Second) }

func (l level) start(index int64) time.Time {
	return time.Unix(index*int64(l.length/time.Second), 0).UTC()
}

// Figures count what becomes of an application's verifications, and log the latest
// events. A verification counts in the bucket in which it was created, whenever the
// rest of it happens, so that a ratio compares like with like and is never over one.
//
// Each process counts into shards of its own and writes them within a second. What is
// read is the sum over all processes, those that have ended included.
type figures struct {
	app      string
	routes   []string
	purposes []string
	tariff   tariff
	store    store.Store
	vault    *vault
	log      *slog.Logger

	mu      sync.Mutex
	shards  map[bucket]*shard
	entries []entry // not in the log yet
	dropped int     // entries that had no room

	// Of the writer: what is on its way into the log and where to, and how many entries
	// and octets it has logged in that hour.
	chunk          *chunk
	tail           position
	hourly, octets int
	deflate        *flate.Writer

	writing sync.WaitGroup
	stop    context.CancelFunc
	giveUp  context.CancelFunc // ends a write under way
}

func newFigures(a application, st store.Store, v *vault, log *slog.Logger) *figures {
	f := &figures{app: a.Name, purposes: a.Purposes, tariff: a.tariff, store: st, vault: v, log: log,
		shards: map[bucket]*shard{}}
	for _, r := range a.Routes {
		f.routes = append(f.routes, r.Name)
	}
	patient, giveUp := context.WithCancel(context.Background())
	ctx, stop := context.WithCancel(patient)
	f.stop, f.giveUp = stop, giveUp
	f.writing.Go(func() { f.write(ctx, patient) })
	return f
}

// event is for otp.Config.Events. It waits for no store.
func (f *figures) event(_ context.Context, e otp.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(&e, time.Now())
	if len(f.entries) < maxEntries {
		f.entries = append(f.entries, entryOf(&e))
	} else {
		f.dropped++
	}
}

// among returns value if it is listed or empty, else other.
func among(list []string, value string) string {
	if value == "" || slices.Contains(list, value) {
		return value
	}
	return otherName
}

func (f *figures) count(e *otp.Event, now time.Time) {
	route, country := among(f.routes, e.Route), e.Region
	if !phone.ValidRegion(country) { // as that of an e-mail address
		country = otherName
	}
	purpose := cmp.Or(among(f.purposes, e.Purpose), otherName)
	born := e.Created
	add := func(kind, a, b string) { f.add(born, now, field{kind, a, b, ""}, 1) }
	addOf := func(kind, route string, n int64) { f.add(born, now, field{kind, route, country, purpose}, n) }
	if e.Kind == otp.EventRefused {
		born = e.At
		add(kindRefused, string(e.Operation), string(e.Reason))
	}
	if e.Fixed || e.Decoy { // nothing was sent
		return
	}
	switch e.Kind {
	case otp.EventGenerated:
		addOf(kindRequested, "", 1)
	case otp.EventSent:
		f.tariff.spent(e, func(route string, cost money) {
			if cost > 0 {
				addOf(kindCost+f.tariff.currency, among(f.routes, route), int64(cost))
			}
		})
		for _, h := range e.Hops {
			if h.Err != nil && !h.Skipped {
				add(kindFailedTry, h.Route, h.Class.String())
			}
		}
		if e.State == channel.Failed {
			addOf(kindUndelivered, route, 1)
			return
		}
		addOf(kindSent, route, 1)
		if e.State == channel.Delivered {
			addOf(kindDelivered, route, 1)
		}
	case otp.EventReceipt:
		if e.State != channel.Delivered {
			addOf(kindUndelivered, route, 1)
			return
		}
		addOf(kindDelivered, route, 1)
		if !e.Sent.IsZero() {
			add(kindToDelivery, route, edgeOf(e.At.Sub(e.Sent)))
		}
	case otp.EventVerified:
		addOf(kindVerified, route, 1)
		add(kindToVerification, route, edgeOf(e.At.Sub(e.Created)))
	case otp.EventRejected:
		born = e.At
		add(kindRefused, "verify", string(e.Reason))
	}
}

// add counts n in the buckets of each level.
func (f *figures) add(at, now time.Time, to field, n int64) {
	for i, l := range levels {
		if now.Sub(at) > l.life {
			continue
		}
		b := bucket{i, l.index(at)}
		s := f.shards[b]
		if s == nil {
			s = &shard{counters: counters{}, told: map[[2]string]bool{}}
			f.shards[b] = s
		}
		s.add(to, n)
		s.dirty, s.touched = true, now
	}
}
