package failover

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/otpcourier/otpcourier/channel"
)

// BreakerConfig sets when a route is given a rest. Each route has a breaker of
// its own, by name.
type BreakerConfig struct {
	// Failures is how many failures in a row open the breaker; a
	// Misconfigured opens it at once. Default 5.
	Failures int

	// Open is how long the route is skipped before one message is let
	// through to probe it. Default 30 s.
	Open time.Duration
}

// RouteHealth is the state of a route's breaker.
type RouteHealth struct {
	Route string
	Open  bool      // skipped, or about to be probed
	Since time.Time // when it opened or closed last; zero: it never did
}

const (
	// maxBreakers bounds the memory that a router with ever new names of
	// routes can take. Beyond it, a breaker that is closed is forgotten for
	// each new one.
	maxBreakers = 1024

	// probing is the RetryAfter of a route that is being probed.
	probing = time.Second
)

// A result is what a try tells about its route.
type result uint8

const (
	success result = iota
	failure
	misconfigured // a failure that opens the breaker at once
	neutral
)

// What gobreaker is told of them; success is nil.
var (
	errFailure = errors.New("failure")
	errNeutral = errors.New("neutral")
)

type breakers struct {
	failures uint32
	open     time.Duration
	log      *slog.Logger

	mu     sync.RWMutex
	byName map[string]*breaker
}

func newBreakers(c BreakerConfig, log *slog.Logger) *breakers {
	failures := uint32(min(c.Failures, 1<<30))
	if failures == 0 {
		failures = 5
	}
	return &breakers{failures: failures, open: orDefault(c.Open, 30*time.Second), log: log, byName: map[string]*breaker{}}
}

func (bs *breakers) of(name string) *breaker {
	bs.mu.RLock()
	b := bs.byName[name]
	bs.mu.RUnlock()
	if b != nil {
		return b
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b = bs.byName[name]; b == nil {
		bs.makeRoom()
		b = newBreaker(name, bs)
		bs.byName[name] = b
	}
	return b
}

// makeRoom forgets a breaker where there are too many, one that is closed if
// a few looks find one.
func (bs *breakers) makeRoom() {
	if len(bs.byName) < maxBreakers {
		return
	}
	victim, looks := "", 0
	for name, b := range bs.byName {
		victim, looks = name, looks+1
		if b.cb.State() == gobreaker.StateClosed || looks == 16 {
			break
		}
	}
	delete(bs.byName, victim)
}

func (bs *breakers) health(routes []channel.Route) []RouteHealth {
	var all []RouteHealth
	bs.mu.RLock()
	for name, b := range bs.byName {
		h := RouteHealth{Route: name, Open: b.cb.State() != gobreaker.StateClosed}
		if since := b.since.Load(); since != nil {
			h.Since = *since
		}
		all = append(all, h)
	}
	bs.mu.RUnlock()
	for _, r := range routes {
		if !slices.ContainsFunc(all, func(h RouteHealth) bool { return h.Route == r.Name }) {
			all = append(all, RouteHealth{Route: r.Name})
		}
	}
	slices.SortFunc(all, func(a, b RouteHealth) int { return strings.Compare(a.Route, b.Route) })
	return all
}

type breaker struct {
	name string
	cb   *gobreaker.TwoStepCircuitBreaker[struct{}]
	open time.Duration
	log  *slog.Logger

	since atomic.Pointer[time.Time] // of the last opening or closing
	loud  atomic.Int32              // results "misconfigured" being counted
	news  atomic.Pointer[string]    // to be logged once no lock is held
}

func newBreaker(name string, bs *breakers) *breaker {
	b := &breaker{name: name, open: bs.open, log: bs.log}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1,
		Timeout:     bs.open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= bs.failures || b.loud.Load() > 0
		},
		OnStateChange: b.moved,
		IsExcluded:    func(err error) bool { return errors.Is(err, errNeutral) },
	})
	return b
}

// moved is called under gobreaker's lock.
func (b *breaker) moved(_ string, from, to gobreaker.State) {
	var news string
	switch {
	case to == gobreaker.StateOpen && from == gobreaker.StateHalfOpen:
		news = "failover: breaker stays open"
	case to == gobreaker.StateOpen:
		news = "failover: breaker opens"
	case to == gobreaker.StateClosed:
		news = "failover: breaker closes"
	default:
		return
	}
	now := time.Now()
	b.since.Store(&now)
	b.news.Store(&news)
}

// allow asks for a try, whose ticket is for tell, once. The error is a
// *channel.Error with ErrBreakerOpen.
func (b *breaker) allow() (ticket func(error), err error) {
	ticket, err = b.cb.Allow()
	if err != nil {
		return nil, &channel.Error{Class: channel.Temporary, Op: "failover: breaker", RetryAfter: b.wait(err), Err: ErrBreakerOpen}
	}
	return ticket, nil
}

// tell counts the result of a try.
func (b *breaker) tell(ticket func(error), r result) {
	switch r {
	case success:
		ticket(nil)
	case neutral:
		ticket(errNeutral)
	case failure:
		ticket(errFailure)
	case misconfigured:
		b.loud.Add(1)
		ticket(errFailure)
		b.loud.Add(-1)
	}
	if news := b.news.Swap(nil); news != nil {
		b.log.Warn(*news, "route", b.name)
	}
}

// wait returns how long the route will be skipped yet.
func (b *breaker) wait(err error) time.Duration {
	since := b.since.Load()
	if since == nil || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return probing
	}
	// The breaker half-opens after the period, not with its last moment.
	return max(b.open-time.Since(*since), 0) + time.Millisecond
}
