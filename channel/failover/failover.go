package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// Config configures a [Channel].
type Config struct {
	// Router picks the routes of each message. Required. If it is a
	// [channel.RouteLister], as the routers of this package are, New validates
	// its routes. A name must always mean the same channel: breakers, receipts
	// and Cancel know a route by its name only. No route's Channel may be a
	// failover.
	Router channel.Router

	// StopOnUnknown ends Send after a hop of class Unknown: nobody gets a
	// code twice, and some people get none. Default false: the next route is
	// tried.
	StopOnUnknown bool

	// TryTimeout limits one try of one route, so that a provider that does
	// not answer leaves time for the others. Default 10 s.
	TryTimeout time.Duration

	// MaxPause is the longest pause before a route is tried again. A backoff is
	// cut to it. If a provider asks for more, the next route is used. If there
	// is no next route, the deadline limits the pause after a Throttled instead.
	// Default 5 s.
	MaxPause time.Duration

	// Breaker configures the routes' circuit breakers.
	Breaker BreakerConfig

	// Logger receives hops at level Debug, breakers that open or close at
	// Warn, and Misconfigured routes at Error. Default: none.
	Logger *slog.Logger
}

// Channel sends through the first of several routes that takes the message.
// Make one with [New].
type Channel struct {
	router        channel.Router
	routes        []channel.Route // nil: not known beforehand
	stopOnUnknown bool
	tryTimeout    time.Duration
	maxPause      time.Duration
	breakers      *breakers
	log           *slog.Logger
}

var (
	_ channel.Channel     = (*Channel)(nil)
	_ channel.Canceler    = (*Channel)(nil)
	_ channel.RouteLister = (*Channel)(nil)
	_ channel.Planner     = (*Channel)(nil)
	_ channel.Observer    = (*Channel)(nil)
)

// New returns a channel over the routes of c.Router. Its error names the field
// of Config that is missing or out of range.
func New(c Config) (*Channel, error) {
	routes, err := c.validate()
	if err != nil {
		return nil, err
	}
	return &Channel{
		router:        c.Router,
		routes:        routes,
		stopOnUnknown: c.StopOnUnknown,
		tryTimeout:    c.TryTimeout,
		maxPause:      c.MaxPause,
		breakers:      newBreakers(c.Breaker, c.Logger),
		log:           c.Logger,
	}, nil
}

// validate fills in defaults, and returns the routes that are known beforehand.
func (c *Config) validate() ([]channel.Route, error) {
	v := transport.Validate("failover: Config.")
	if c.Router == nil {
		v.Check(false, "Router", "is required")
		return nil, v.Err()
	}
	v.Duration("TryTimeout", &c.TryTimeout, 10*time.Second)
	v.Duration("MaxPause", &c.MaxPause, 5*time.Second)
	v.Int("Breaker.Failures", &c.Breaker.Failures, 1, 5, math.MaxInt32)
	v.Duration("Breaker.Open", &c.Breaker.Open, 30*time.Second)
	v.Logger(&c.Logger)
	routes := routesOf(c.Router)
	v.Check(routes == nil || len(routes) > 0, "Router", "has no routes")
	v.Error("Router", validateAll(routes))
	return routes, v.Err()
}

// Send hands m to its routes, one after another, until one takes it. The
// Submission holds the name of that route, the provider's ids, and every hop in
// order. If a route is left that could still follow, Submission.Await is the time
// until which a receipt is awaited.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	d := dispatch{c: c, m: m, began: time.Now(), invalid: m.Invalid}
	d.setDeadline(ctx)
	if d.over(ctx, d.began) {
		return d.failed()
	}
	routes, err := c.route(ctx, m)
	if err != nil {
		return channel.Submission{State: channel.Failed}, err
	}
	d.routes = routes
	return d.run(ctx)
}

// Plan returns the routes that Send would try for m, best first, and those whose
// breaker is open last.
func (c *Channel) Plan(ctx context.Context, m *channel.Message) ([]channel.Route, error) {
	routes, err := c.route(ctx, m)
	if err != nil {
		return nil, err
	}
	d := dispatch{c: c, m: m, routes: routes, invalid: m.Invalid}
	var plan, open []channel.Route
	for i := range routes {
		r := &routes[i]
		switch {
		case validate(r) != nil || !d.usable(r):
		case c.breakers.get(r.Name).isOpen():
			open = append(open, *r)
		default:
			plan = append(plan, *r)
		}
	}
	return append(plan, open...), nil
}

// Observe passes the fate of a message on to the Router, if the Router is a
// [channel.Observer], such as a [Learner]. A panic there is only logged.
func (c *Channel) Observe(f channel.Feedback) {
	o, ok := c.router.(channel.Observer)
	if !ok {
		return
	}
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			c.log.Error("failover: the router panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		}
	}()
	o.Observe(f)
}

// route asks the router. No message was sent yet, so for a router that panics, or
// whose error has no class, Unknown would be too pessimistic: it is Temporary.
func (c *Channel) route(ctx context.Context, m *channel.Message) (routes []channel.Route, err error) {
	defer func() {
		if v := recover(); v != nil { // its value may hold a secret
			c.log.ErrorContext(ctx, "failover: the router panicked", "type", fmt.Sprintf("%T", v), "stack",
				string(debug.Stack()))
			routes, err = nil, &channel.Error{Class: channel.Temporary, Op: "failover: route",
				Err: fmt.Errorf("the router panicked with a %T", v)}
		}
	}()
	if routes, err = c.router.Route(ctx, m); err == nil {
		return ordered(routes, m.Last), nil
	}
	routing := &channel.Error{Class: channel.ClassOf(err), Op: "failover: route", Err: err}
	if routing.Class == channel.Unknown {
		routing.Class = channel.Temporary
	}
	_ = routing.Error() // a typed nil panics here, and not at the caller's
	return nil, routing
}

// ordered returns the routes with those that last names behind the others.
func ordered(routes []channel.Route, last []string) []channel.Route {
	if len(last) == 0 {
		return routes
	}
	all := make([]channel.Route, 0, len(routes))
	var behind []channel.Route
	for i, r := range routes {
		r.Position = cmp.Or(r.Position, i+1)
		if slices.Contains(last, r.Name) {
			behind = append(behind, r)
		} else {
			all = append(all, r)
		}
	}
	return append(all, behind...)
}

// Cancel withdraws a message from the route that took it, s.Route. It looks for
// that name among the routes that the router picks for m, and then among those
// known beforehand. If the route's channel cannot cancel, the error wraps
// [errors.ErrUnsupported].
func (c *Channel) Cancel(ctx context.Context, m *channel.Message, s channel.Submission) error {
	const op = "failover: cancel"
	taken := func(r channel.Route) bool { return r.Name == s.Route }
	routes, err := c.route(ctx, m)
	i := slices.IndexFunc(routes, taken)
	if err != nil || i < 0 {
		routes = c.routes
		i = slices.IndexFunc(routes, taken)
	}
	switch {
	case i < 0 && err != nil:
		return err
	case i < 0:
		return &channel.Error{Class: channel.Misconfigured, Op: op, Err: fmt.Errorf("there is no route %q", s.Route)}
	}
	canceler, ok := channel.As[channel.Canceler](routes[i].Channel)
	if !ok {
		return &channel.Error{Class: channel.Unreachable, Op: op,
			Err: fmt.Errorf("route %q: %w", s.Route, errors.ErrUnsupported)}
	}
	return canceler.Cancel(ctx, m, s)
}

// Routes returns the routes, or nil if the router does not know them without a
// message.
func (c *Channel) Routes() []channel.Route { return slices.Clone(c.routes) }

// Health returns the state of each route's breaker, by name. If the Router does not list
// its routes, only routes that were tried before are included.
func (c *Channel) Health() []RouteHealth { return c.breakers.health(c.routes) }
