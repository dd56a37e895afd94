package failover

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover/internal/evidence"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// Learning says how routes are reordered; see [Learn].
type Learning struct {
	// Router picks the routes of a message. Its order holds until evidence speaks against
	// it. A route that it does not pick is never used. Required.
	Router channel.Router

	// Region returns the region of a number in E.164, and false if it has none, as
	// phone.Region of package channel/phone does. Required.
	Region func(e164 string) (region string, ok bool)

	// Explore is the share of the messages for which another route than the best comes
	// first, to learn of it: 0 to 0.2. Resends and messages whose route is chosen by
	// name never explore. Default 0.02; negative: none. A route in doubt is probed
	// nevertheless.
	Explore float64

	// HalfLife is the time after which evidence on a route's usual share counts half:
	// 10 minutes to 30 days. Default 12 hours.
	HalfLife time.Duration

	// Price returns the price of one message, and Worth is the worth of a verified
	// code in the same unit. A route is chosen by its share verified less price/Worth:
	// a route that costs 0.02 more must verify 0.02/Worth more. Price is called for
	// each route and message, concurrently. Default: prices do not count.
	Price func(region, route string) float64
	Worth float64

	// Seed is the seed of the random draws. Two Learners with the same Seed draw the same
	// for the same message. Default 0.
	Seed uint64

	// Shadow keeps the given order, and only reports the learned one.
	Shadow bool

	// Shared holds the evidence of all processes; [Learner.Run] exchanges it. Default:
	// each process learns alone.
	Shared Shared

	// Name is the name of the evidence in Shared, at most 64 characters. Learners with
	// other routes need another Name. Default "routes".
	Name string

	// Interval is the time between two exchanges: 1 s to 1 minute. Default 5 s.
	Interval time.Duration

	// Logger receives failed exchanges at Warn. Default: none.
	Logger *slog.Logger
}

// A Learner is a [channel.Router] that reorders the routes of another Router by their
// success. Make one with [Learn]. It is safe for concurrent use.
type Learner struct {
	c        Learning
	known    []channel.Route // nil: not known beforehand
	unnamed  atomic.Uint64   // messages without an ID
	messages atomic.Uint64
	changed  atomic.Uint64
	explored atomic.Uint64

	mu        sync.Mutex
	e         *evidence.Estimator
	exchanged time.Time // with Shared; zero: never
}

var (
	_ channel.Router      = (*Learner)(nil)
	_ channel.RouteLister = (*Learner)(nil)
	_ channel.Observer    = (*Learner)(nil)
)

// Learn returns a router that reorders the routes of c.Router. The page LEARN.md in this
// package's folder explains the method and its measured benefit. A Learner needs reports of
// verifications: an otp.Service sends them if the Learner is the Router of its failover. A
// Router that wraps a Learner must be a [channel.Observer] and pass on each call.
//
// If a field is missing or out of range, the error names it.
func Learn(c Learning) (*Learner, error) {
	p, err := c.validate()
	if err != nil {
		return nil, err
	}
	l := &Learner{c: c, known: routesOf(c.Router), e: evidence.New(p)}
	if c.Shared != nil {
		l.e.Keep()
	}
	return l, nil
}

// validate fills in defaults.
func (c *Learning) validate() (evidence.Params, error) {
	p := evidence.Defaults()
	v := transport.Validate("failover: Learning.")
	v.Check(c.Router != nil, "Router", "is required")
	v.Check(c.Region != nil, "Region", "is required")
	v.Check(c.Explore <= 0.2 && !math.IsNaN(c.Explore), "Explore", "%v is over 0.2", c.Explore)
	switch {
	case c.Explore > 0:
		p.Explore = c.Explore
	case c.Explore < 0:
		p.Explore = 0
	}
	v.Duration("HalfLife", &c.HalfLife, p.HalfLife)
	v.Check(10*time.Minute <= c.HalfLife && c.HalfLife <= 30*24*time.Hour, "HalfLife",
		"%v is not within 10 minutes and 30 days", c.HalfLife)
	p.HalfLife = c.HalfLife
	v.Check(c.Price == nil || c.Worth > 0 && !math.IsInf(c.Worth, 0), "Worth", "is required with Price")
	v.Check(c.Price != nil || c.Worth == 0, "Price", "is required with Worth")
	v.Check(len(c.Name) <= 64, "Name", "is longer than 64 octets")
	if c.Name == "" {
		c.Name = "routes"
	}
	v.Duration("Interval", &c.Interval, 5*time.Second)
	v.Check(time.Second <= c.Interval && c.Interval <= time.Minute, "Interval",
		"%v is not within a second and a minute", c.Interval)
	if c.Shared != nil {
		p.Lag = int((2*c.Interval + evidence.Slot - 1) / evidence.Slot)
	}
	v.Logger(&c.Logger)
	return p, v.Err()
}

// Route implements [channel.Router]. If evidence is shared, and could not be exchanged for
// longer than three intervals and 10 s, the given order is kept.
func (l *Learner) Route(ctx context.Context, m *channel.Message) ([]channel.Route, error) {
	routes, err := l.c.Router.Route(ctx, m)
	if err != nil || len(routes) < 2 || len(routes) > evidence.MaxRoutes {
		return routes, err
	}
	q := evidence.Question{Region: l.region(m.To), Routes: routes, Kinds: m.To.Kinds() &^ m.Invalid,
		Free: m.Route == "" && len(m.Tried) == 0 && len(m.Last) == 0}
	id := m.ID
	if id == "" {
		id = strconv.FormatUint(l.unnamed.Add(1), 10)
	}
	q.Draw = evidence.Draw(l.c.Seed, id)
	var prices [evidence.MaxRoutes]float64
	if l.c.Price != nil {
		for i := range routes {
			prices[i] = l.c.Price(q.Region, routes[i].Name) / l.c.Worth
		}
		q.Prices = prices[:len(routes)]
	}
	var buf [evidence.MaxRoutes]uint8
	if a, ok := l.order(&q, &buf); ok {
		return l.apply(routes, a), nil
	}
	return routes, nil
}

// order asks the evidence, and reports false if it is not current.
func (l *Learner) order(q *evidence.Question, buf *[evidence.MaxRoutes]uint8) (evidence.Answer, bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.current(now) {
		return evidence.Answer{}, false
	}
	return l.e.Order(now, q, buf), true
}

// apply returns the routes in their order.
func (l *Learner) apply(routes []channel.Route, a evidence.Answer) []channel.Route {
	l.messages.Add(1)
	if !a.Changed {
		return routes
	}
	l.changed.Add(1)
	if a.Explored >= 0 {
		l.explored.Add(1)
	}
	if l.c.Shadow {
		return routes
	}
	ordered := make([]channel.Route, len(routes))
	for i, from := range a.Order {
		ordered[i] = routes[from]
		ordered[i].Position, ordered[i].Explored = int(from)+1, int(from) == a.Explored
	}
	return ordered
}

// region returns the region of a person, "" if it is not known.
func (l *Learner) region(to channel.Recipient) string {
	if to.Phone == "" {
		return ""
	}
	if region, ok := l.c.Region(to.Phone); ok {
		return region
	}
	return ""
}

// Routes implements [channel.RouteLister].
func (l *Learner) Routes() []channel.Route { return append([]channel.Route(nil), l.known...) }

// Observe implements [channel.Observer].
func (l *Learner) Observe(f channel.Feedback) {
	region, now := l.region(f.To), time.Now()
	if f.Sent.IsZero() || f.Route == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.Kind {
	case channel.FeedbackSent:
		l.e.Sent(now, region, f.Route)
	case channel.FeedbackRefused:
		l.e.Refused(now, region, f.Route)
	case channel.FeedbackDelivered:
		l.e.Delivered(now, region, f.Route, f.Sent)
	case channel.FeedbackFailed:
		l.e.Failed(now, region, f.Route, f.Sent)
	case channel.FeedbackResent:
		l.e.Resent(now, region, f.Route, f.Sent)
	case channel.FeedbackVerified:
		l.e.Verified(now, region, f.Route, f.Sent)
	}
}

// LearnedHealth holds the evidence of a [Learner] and its work since it was made.
type LearnedHealth struct {
	Shadow    bool
	Messages  uint64    // whose routes were ordered
	Changed   uint64    // of them, in another order than the given one; in Shadow, would have been
	Explored  uint64    // of them, with a route first to learn of it
	Exchanged time.Time // the latest exchange with Shared; zero: none
	Routes    []LearnedRoute
}

// A LearnedRoute is the evidence on one route in one region.
type LearnedRoute struct {
	Region    string          // "": recipients whose region is not known; "*": all of a route's messages
	Kind      channel.Address // 0: no message was ordered yet
	Route     string
	Given     int     // place in the given order of the latest message, from 1; 0: none
	Place     int     // place in the order that evidence makes, from 1
	Estimate  float64 // expected share of messages that are verified
	Evidence  float64 // messages that the estimate rests on, older ones in part
	Loss      float64 // probability that the route loses messages now
	Delivered float64 // share of messages reported delivered
	Errors    float64 // share of tries that were errors of the route
	Price     float64 // in verified codes: Price / Worth
	Reason    string  // for the place, in words
}

// Health reports the evidence on each route in each region, by region and place.
func (l *Learner) Health() LearnedHealth {
	h := LearnedHealth{Shadow: l.c.Shadow, Messages: l.messages.Load(), Changed: l.changed.Load(),
		Explored: l.explored.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	h.Exchanged = l.exchanged
	now := time.Now()
	for _, r := range l.e.Report(now) {
		if !l.current(now) {
			r.Place, r.Reason = r.Given, "given: the store did not answer"
		}
		h.Routes = append(h.Routes, LearnedRoute(r))
	}
	return h
}
