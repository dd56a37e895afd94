package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// Config configures a [Channel].
type Config struct {
	// Router picks the routes of each message. Required. Where it has a
	// method Routes() []channel.Route, as those of this package do, New
	// checks its routes. The same name always means the same channel: breakers,
	// receipts and Cancel know a route by nothing else. No route's Channel may
	// be a failover.
	Router channel.Router

	// StopOnUnknown ends Send after a hop of class Unknown: nobody gets a
	// code twice, and some get none. Default: go on with the next route.
	StopOnUnknown bool

	// TryTimeout limits one try of one route, so that a provider that does
	// not answer leaves time for the others. Default 10 s.
	TryTimeout time.Duration

	// MaxPause is the longest pause before a route is tried again. A backoff
	// is cut to it; a provider that asks for more loses the message to the
	// next route. Where there is none, what a Throttled asks for is limited
	// by the deadline instead. Default 5 s.
	MaxPause time.Duration

	// Breaker sets the routes' circuit breakers.
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
)

// New returns a channel over the routes of c.Router. Its error names the field
// of Config that is missing or out of range.
func New(c Config) (*Channel, error) {
	switch {
	case c.Router == nil:
		return nil, errors.New("failover: Config.Router is required")
	case c.TryTimeout < 0:
		return nil, errors.New("failover: Config.TryTimeout is negative")
	case c.MaxPause < 0:
		return nil, errors.New("failover: Config.MaxPause is negative")
	case c.Breaker.Failures < 0:
		return nil, errors.New("failover: Config.Breaker.Failures is negative")
	case c.Breaker.Open < 0:
		return nil, errors.New("failover: Config.Breaker.Open is negative")
	}
	routes := routesOf(c.Router)
	if routes != nil && len(routes) == 0 {
		return nil, errors.New("failover: Config.Router has no routes")
	}
	if err := checkAll(routes); err != nil {
		return nil, fmt.Errorf("failover: Config.Router: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Channel{
		router:        c.Router,
		routes:        routes,
		stopOnUnknown: c.StopOnUnknown,
		tryTimeout:    orDefault(c.TryTimeout, 10*time.Second),
		maxPause:      orDefault(c.MaxPause, 5*time.Second),
		breakers:      newBreakers(c.Breaker, c.Logger),
		log:           c.Logger,
	}, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Send hands m to its routes, one after another, until one takes it. The
// Submission tells which, with the provider's ids, every hop in order, and
// until when a receipt is to be awaited, if a route that could still follow
// is left.
func (c *Channel) Send(ctx context.Context, m *channel.Message) (channel.Submission, error) {
	w := walk{c: c, m: m, began: time.Now(), invalid: m.Invalid}
	w.setDeadline(ctx)
	if w.over(ctx, w.began) {
		return w.failed()
	}
	routes, err := c.router.Route(ctx, m)
	if err != nil {
		return channel.Submission{State: channel.Failed}, routerError(err)
	}
	w.routes = routes
	return w.run(ctx)
}

// routerError gives a router's error a class. No message was sent, so Unknown
// would be too dark: an error without a class is Temporary.
func routerError(err error) error {
	routing := &channel.Error{Class: channel.ClassOf(err), Op: "failover: route", Err: err}
	if routing.Class == channel.Unknown {
		routing.Class = channel.Temporary
	}
	return routing
}

// Cancel withdraws a message from the route that took it, by s.Route: the one
// that the router has for m, else the one known beforehand. The error wraps
// [errors.ErrUnsupported] where that route's channel cannot cancel.
func (c *Channel) Cancel(ctx context.Context, m *channel.Message, s channel.Submission) error {
	const op = "failover: cancel"
	taken := func(r channel.Route) bool { return r.Name == s.Route }
	routes, err := c.router.Route(ctx, m)
	i := slices.IndexFunc(routes, taken)
	if err != nil || i < 0 {
		routes = c.routes
		i = slices.IndexFunc(routes, taken)
	}
	switch {
	case i < 0 && err != nil:
		return routerError(err)
	case i < 0:
		return &channel.Error{Class: channel.Misconfigured, Op: op, Err: fmt.Errorf("there is no route %q", s.Route)}
	}
	canceler, ok := channel.As[channel.Canceler](routes[i].Channel)
	if !ok {
		return &channel.Error{Class: channel.Unreachable, Op: op, Err: fmt.Errorf("route %q: %w", s.Route, errors.ErrUnsupported)}
	}
	return canceler.Cancel(ctx, m, s)
}

// Routes returns the routes where the router knows them without a message, and
// nil where it does not.
func (c *Channel) Routes() []channel.Route { return slices.Clone(c.routes) }

// Health returns the state of each route's breaker, by name. A route that was
// never tried and is not known beforehand is not among them.
func (c *Channel) Health() []RouteHealth { return c.breakers.health(c.routes) }
