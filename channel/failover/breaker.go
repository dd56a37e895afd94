package failover

import (
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/otpcourier/otpcourier/channel"
)

// BreakerConfig sets when a route is skipped. Each route has its own breaker, by name.
type BreakerConfig struct {
	// Failures is the number of failures in a row that opens the breaker. Two failures
	// of class Misconfigured open it, too. The failures must concern at least two
	// recipients, so that one person's address does not close a route for everybody;
	// with 1, a single failure opens it. Default 5.
	Failures int

	// Open is the time for which the route is skipped, before one message probes it.
	// Default 30 s.
	Open time.Duration
}

// RouteHealth is the state of a route's breaker.
type RouteHealth struct {
	Route string
	Open  bool      // the route is skipped, or about to be probed
	Since time.Time // when the breaker last opened or closed; zero: never
}

const (
	// maxBreakers bounds the memory for a router that invents names of routes.
	// At that number, a new breaker replaces a closed breaker.
	maxBreakers = 1024

	// probing is the RetryAfter of a route during its probe.
	probing = time.Second
)

// A result is the result of a try as its breaker counts it.
type result uint8

const (
	success result = iota
	failure
	misconfigured // a failure that opens the breaker at once
	neutral       // not counted
)

// The results for gobreaker; success is nil.
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
	return &breakers{failures: uint32(c.Failures), open: c.Open, log: log, byName: map[string]*breaker{}}
}

// get returns the breaker of a route.
func (bs *breakers) get(name string) *breaker {
	bs.mu.RLock()
	b := bs.byName[name]
	bs.mu.RUnlock()
	if b != nil {
		return b
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b = bs.byName[name]; b == nil {
		bs.evict()
		b = newBreaker(name, bs)
		bs.byName[name] = b
	}
	return b
}

// evict drops a breaker if there are too many: a closed one, unless 16 of them are
// open.
func (bs *breakers) evict() {
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

	since  atomic.Pointer[time.Time] // of the last opening or closing
	event  atomic.Pointer[string]    // text of a change of state that is not logged yet; nil: none
	counts atomic.Bool               // it is not closed, or the last result was a failure

	mu     sync.Mutex // held while a result is counted
	trips  bool       // the result that is being counted is misconfigured
	failed []uint64   // hashes of the addresses of the failures in a row, two at most
}

func newBreaker(name string, bs *breakers) *breaker {
	b := &breaker{name: name, open: bs.open, log: bs.log}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1,
		Timeout:     bs.open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return b.several(bs.failures) && (c.ConsecutiveFailures >= bs.failures || b.trips)
		},
		OnStateChange: b.stateChanged,
		IsExcluded:    func(err error) bool { return errors.Is(err, errNeutral) },
	})
	return b
}

// stateChanged is called under gobreaker's lock, so it does not log.
func (b *breaker) stateChanged(_ string, from, to gobreaker.State) {
	var event string
	switch {
	case to == gobreaker.StateOpen && from == gobreaker.StateHalfOpen:
		event = "failover: breaker stays open"
	case to == gobreaker.StateOpen:
		event = "failover: breaker opens"
	case to == gobreaker.StateClosed:
		event = "failover: breaker closes"
	default:
		return
	}
	now := time.Now()
	b.since.Store(&now)
	b.event.Store(&event)
}

// allow begins a try. After it, report must be called once with done. A done of nil
// means that a success need not be counted, and so takes no lock that all messages
// share. The error is a *channel.Error with ErrBreakerOpen.
func (b *breaker) allow() (done func(error), err error) {
	if !b.counts.Load() {
		return nil, nil
	}
	done, err = b.cb.Allow()
	if err != nil {
		return nil, &channel.Error{
			Class: channel.Temporary, Op: "failover: breaker", RetryAfter: b.wait(err), Err: ErrBreakerOpen,
		}
	}
	return done, nil
}

// isOpen reports whether the route is skipped for now. A breaker that has never opened is
// asked without gobreaker's lock, which all messages share.
func (b *breaker) isOpen() bool { return b.since.Load() != nil && b.cb.State() == gobreaker.StateOpen }

// seed hashes addresses, so that none is kept.
var seed = maphash.MakeSeed()

// note remembers whose failure it was, the first two in a row. b.mu is held.
func (b *breaker) note(r result, address string) {
	if r == neutral {
		return
	}
	switch h := maphash.String(seed, address); {
	case r == success:
		b.failed = b.failed[:0]
	case len(b.failed) == 0 || len(b.failed) == 1 && b.failed[0] != h:
		b.failed = append(b.failed, h)
	}
}

// several reports whether the failures in a row are of two recipients, or of as
// many as are asked for. b.mu is held.
func (b *breaker) several(failures uint32) bool {
	return len(b.failed) >= min(int(failures), 2)
}

// report counts the result of a try for an address that began at start, and logs a
// change of the breaker's state.
func (b *breaker) report(done func(error), r result, address string, start time.Time) {
	if done == nil && (r == success || r == neutral) && !b.counts.Load() {
		return
	}
	b.count(done, r, address, start)
	if event := b.event.Swap(nil); event != nil {
		b.log.Warn(*event, "route", b.name)
	}
}

// count counts the result of a try, as report does.
func (b *breaker) count(done func(error), r result, address string, start time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if done == nil {
		done = b.countFrom(start)
	}
	b.note(r, address)
	switch r {
	case success:
		done(nil)
	case neutral:
		done(errNeutral)
	case failure, misconfigured:
		b.trips = r == misconfigured
		done(errFailure)
	}
	b.counts.Store(len(b.failed) > 0 || b.cb.State() != gobreaker.StateClosed)
}

// countFrom returns the done of a try that allow has not counted. If the breaker has
// opened since the start of the try, the result does not count.
func (b *breaker) countFrom(start time.Time) func(error) {
	if since := b.since.Load(); since == nil || !start.Before(*since) {
		if done, err := b.cb.Allow(); err == nil {
			return done
		}
	}
	return func(error) {}
}

// wait returns how much longer the route will be skipped.
func (b *breaker) wait(err error) time.Duration {
	since := b.since.Load()
	if since == nil || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return probing
	}
	// The breaker half-opens after the period, not with its last moment.
	return max(b.open-time.Since(*since), 0) + time.Millisecond
}
