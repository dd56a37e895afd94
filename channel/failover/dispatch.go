package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// A dispatch hands one message to its routes, in order, until one takes it.
type dispatch struct {
	c       *Channel
	m       *channel.Message
	routes  []channel.Route
	began   time.Time
	until   time.Time       // end of ctx or of the code, the earlier; zero: none
	invalid channel.Address // kinds of address known to be wrong by now
	skipped []int           // routes whose breaker was open
	sub     channel.Submission
	ended   error // the reason to end before all routes were tried; nil: none
}

// A decision says how a dispatch goes on after a route.
type decision uint8

const (
	next  decision = iota // with the next route
	taken                 // not at all: the route took the message
	stop                  // not at all: no route may be tried any more
)

func (d *dispatch) setDeadline(ctx context.Context) {
	d.until = d.m.Expires
	if deadline, ok := ctx.Deadline(); ok && (d.until.IsZero() || deadline.Before(d.until)) {
		d.until = deadline
	}
}

// over reports whether nothing may be tried any more, and sets ended.
func (d *dispatch) over(ctx context.Context, now time.Time) bool {
	switch {
	case !d.m.Expires.IsZero() && !now.Before(d.m.Expires):
		d.ended = errExpired
	case ctx.Err() != nil:
		d.ended = ctx.Err()
	}
	return d.ended != nil
}

func (d *dispatch) run(ctx context.Context) (channel.Submission, error) {
	for i := range d.routes {
		r := &d.routes[i]
		if d.tried(r.Name) { // a router may repeat itself
			continue
		}
		if err := validate(r); err != nil {
			err = &channel.Error{Class: channel.Misconfigured, Op: "failover: route", Err: err}
			d.record(ctx, channel.Hop{Route: r.Name, Address: r.Address, Class: channel.Misconfigured, Err: err})
			continue
		}
		if !d.usable(r) {
			continue
		}
		switch d.try(ctx, i, false) {
		case taken:
			d.setAwait(i)
			return d.sub, nil
		case stop:
			return d.failed()
		case next:
		}
	}
	return d.lastResort(ctx)
}

// lastResort tries the best of the routes whose breaker was open, if the message
// surely has not been sent: an open breaker is no reason to send nothing.
func (d *dispatch) lastResort(ctx context.Context) (channel.Submission, error) {
	if len(d.skipped) == 0 || slices.ContainsFunc(d.sub.Hops, channel.Hop.MaySent) {
		return d.failed()
	}
	i := d.skipped[0]
	name := d.routes[i].Name
	d.sub.Hops = slices.DeleteFunc(d.sub.Hops, func(h channel.Hop) bool {
		return h.Route == name && errors.Is(h.Err, ErrBreakerOpen)
	})
	if d.usable(&d.routes[i]) && d.try(ctx, i, true) == taken {
		return d.sub, nil // nobody is left to follow a silence
	}
	return d.failed()
}

// usable reports whether the message may go by this route.
func (d *dispatch) usable(r *channel.Route) bool {
	return (d.m.Route == "" || d.m.Route == r.Name) &&
		d.m.To.Has(r.Address) && r.Address&d.invalid == 0 &&
		!slices.Contains(d.m.Tried, r.Name)
}

// setAwait sets the time until which the receipt of route i is awaited, if
// another route could take the message then, one whose breaker is open now
// included.
func (d *dispatch) setAwait(i int) {
	if await := d.routes[i].Await; await > 0 && (d.follows(i) || len(d.skipped) > 0) {
		d.sub.Await = time.Now().Add(await)
	}
}

// follows reports whether a route after i could take the message.
func (d *dispatch) follows(i int) bool { return d.left(i+1) > 0 }

// left returns how many routes from i on could take the message.
func (d *dispatch) left(i int) int {
	n := 0
	for j := i; j < len(d.routes); j++ {
		if r := &d.routes[j]; !d.tried(r.Name) && validate(r) == nil && d.usable(r) {
			n++
		}
	}
	return n
}

// tried reports whether there was a hop by the route of this name.
func (d *dispatch) tried(name string) bool {
	return slices.ContainsFunc(d.sub.Hops, func(a channel.Hop) bool { return a.Route == name })
}

// try hands the message to route i. It does so again if the class of the failure,
// the route's Retry and the time allow. forced: even if its breaker is open.
func (d *dispatch) try(ctx context.Context, i int, forced bool) decision {
	r := &d.routes[i]
	b := d.c.breakers.get(r.Name)
	start := time.Now()
	until := d.shareUntil(i, start)
	for tries := 1; ; tries++ {
		if d.over(ctx, start) {
			return stop
		}
		s, a := d.tryOnce(ctx, i, b, start, until, forced)
		d.record(ctx, a)
		if a.Err == nil {
			d.sub.Route, d.sub.ProviderIDs, d.sub.State = r.Name, s.ProviderIDs, s.State
			if s.State == 0 {
				d.sub.State = channel.Sent
			}
			return taken
		}
		if errors.Is(a.Err, ErrBreakerOpen) && tries == 1 {
			d.skipped = append(d.skipped, i)
		}
		if then := d.decide(ctx, a); then != next || tries >= maxTries(r, a) {
			return then
		}
		pause, ok := d.pause(i, a, tries)
		if !ok || a.Class != channel.Throttled && !until.IsZero() && time.Until(until) <= pause {
			return next
		}
		if !sleep(ctx, pause) {
			d.ended = ctx.Err()
			return stop
		}
		start = time.Now()
	}
}

// decide returns how the dispatch goes on after a failed try.
func (d *dispatch) decide(ctx context.Context, a channel.Hop) decision {
	switch {
	case a.Class == channel.Expired, a.Class == channel.Unknown && d.c.stopOnUnknown:
		return stop
	case ctx.Err() != nil:
		d.ended = ctx.Err()
		return stop
	case a.Class == channel.InvalidRecipient:
		d.invalid |= a.Address
	}
	return next
}

// tryOnce makes one try, if the breaker and the message allow it.
func (d *dispatch) tryOnce(ctx context.Context, i int, b *breaker, start, until time.Time, forced bool) (
	channel.Submission, channel.Hop) {
	r := &d.routes[i]
	a := channel.Hop{Route: r.Name, Address: r.Address, Position: cmp.Or(r.Position, i+1), Explored: r.Explored}
	done, err := b.allow()
	switch {
	case err == nil:
	case forced:
		done = func(error) {}
	default:
		a.Class, a.Err, a.Skipped = channel.Temporary, err, true
		return channel.Submission{}, a
	}
	result := neutral
	defer func() {
		b.report(done, result, d.m.To.Of(r.Address), start)
		d.observe(a, result, start)
	}()
	if d.m.Allow != nil {
		if err := d.m.Allow(ctx, *r); err != nil {
			a.Class, a.Code = classify(r, err)
			a.Err = err
			return channel.Submission{}, a
		}
	}
	limit := d.tryUntil(start, until)
	s, err := channel.TryUntil(ctx, r.Channel, d.m, limit)
	a.Took, a.Err = time.Since(start), err
	if err == nil {
		result = success
		return s, a
	}
	a.Class, a.Code = classify(r, err)
	cut := ctx.Err() != nil || a.Took >= limit.Sub(start)
	result = d.resultOf(ctx, cut, a)
	return s, a
}

// observe tells the router of a try that began at start.
func (d *dispatch) observe(a channel.Hop, r result, start time.Time) {
	f := channel.Feedback{Kind: channel.FeedbackRefused, Route: a.Route, To: d.m.To, Sent: start.Add(a.Took)}
	switch {
	case a.Err == nil:
		f.Kind = channel.FeedbackSent
	case r != failure && r != misconfigured:
		return
	}
	d.c.Observe(f)
}

// leastShare is the least time that a route is given, if there is as much.
const leastShare = time.Second

// shareUntil returns when route i has used up its share of the time that is left
// for it and the routes that can follow, its retries included; zero: there is no
// end. A route that hangs does not use up the time of the routes behind it.
func (d *dispatch) shareUntil(i int, start time.Time) time.Time {
	if d.until.IsZero() {
		return time.Time{}
	}
	share := d.until.Sub(start) / time.Duration(1+d.left(i+1))
	if until := start.Add(max(share, leastShare)); until.Before(d.until) {
		return until
	}
	return d.until
}

// tryUntil limits one try: by TryTimeout, by the route's share of the time, and by
// the time that is left.
func (d *dispatch) tryUntil(start, until time.Time) time.Time {
	limit := start.Add(d.c.tryTimeout)
	if !until.IsZero() {
		if least := start.Add(leastShare); until.Before(least) { // after a pause that its provider asked for
			until = least
		}
		for _, end := range [...]time.Time{until, d.until} {
			if end.Before(limit) {
				limit = end
			}
		}
	}
	return limit
}

// resultOf returns the result of a failed try for the route's breaker, by the rules of
// ROUTING.md. cut: the time of the try was over when it ended.
func (d *dispatch) resultOf(ctx context.Context, cut bool, a channel.Hop) result {
	switch a.Class {
	case channel.Misconfigured:
		return misconfigured
	case channel.Unreachable, channel.InvalidRecipient:
		return success
	case channel.Throttled, channel.Expired:
		return neutral
	case channel.Temporary:
		if e, ok := errors.AsType[*channel.Error](a.Err); ok && e.AboutRecipient {
			return success
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return neutral
	}
	if cut && a.Took < d.c.tryTimeout && 2*a.Took < time.Since(d.began) {
		return neutral
	}
	return failure
}

// classify returns the class of an error, by Route.Classes if its protocol code is
// there, and that code.
func classify(r *channel.Route, err error) (channel.Class, string) {
	var e *channel.Error
	if !errors.As(err, &e) || e == nil {
		return channel.Unknown, ""
	}
	if class, ok := r.Classes[e.Code]; ok && e.Code != "" {
		return class, e.Code
	}
	return e.Class, e.Code
}

// record adds a hop to the Submission, and logs it if it failed.
func (d *dispatch) record(ctx context.Context, a channel.Hop) {
	d.sub.Hops = append(d.sub.Hops, a)
	if a.Err == nil {
		return
	}
	level, text := slog.LevelDebug, "failover: hop failed"
	var panicked *channel.PanicError
	switch {
	case errors.As(a.Err, &panicked):
		level, text = slog.LevelError, "failover: channel panicked"
		d.c.log.LogAttrs(ctx, level, text, slog.String("route", a.Route), slog.String("stack", string(panicked.Stack)))
	case errors.Is(a.Err, channel.ErrStuck):
		level, text = slog.LevelError, "failover: channel ignores its context, and is left alone"
	case a.Class == channel.Misconfigured:
		level, text = slog.LevelError, "failover: route is misconfigured"
	}
	if !d.c.log.Enabled(ctx, level) {
		return
	}
	d.c.log.LogAttrs(ctx, level, text,
		slog.String("route", a.Route), slog.String("message", d.m.ID),
		slog.String("class", a.Class.String()), slog.String("code", a.Code),
		slog.Duration("took", a.Took), slog.String("error", d.m.Redact(a.Err.Error())))
}

// failed returns the result of a dispatch whose message no route has taken.
func (d *dispatch) failed() (channel.Submission, error) {
	d.sub.State = channel.Failed
	d.sub.More = d.ended != nil && !errors.Is(d.ended, errExpired) && d.left(0) > 0
	if len(d.sub.Hops) == 0 && d.ended == nil {
		return d.sub, d.noRoute()
	}
	return d.sub, summarize(d.sub.Hops, d.ended)
}

// noRoute returns the error of a dispatch that could not try any route.
func (d *dispatch) noRoute() error {
	e := &channel.Error{Class: channel.Unreachable, Op: op, Err: channel.ErrNoRoute}
	named := func(r channel.Route) bool { return r.Name == d.m.Route }
	fitting := func(r channel.Route) bool { return d.m.To.Has(r.Address) && r.Address&d.invalid == 0 }
	switch {
	case d.m.Route != "" && !slices.ContainsFunc(d.routes, named) && !slices.ContainsFunc(d.c.routes, named):
		e.Class = channel.Misconfigured
		e.Err = fmt.Errorf("there is no route %q: %w", d.m.Route, channel.ErrNoRoute)
	case d.m.Route != "":
		e.Err = fmt.Errorf("route %q cannot take this message: %w", d.m.Route, channel.ErrNoRoute)
	case len(d.routes) > 0 && !slices.ContainsFunc(d.routes, fitting):
		e.Class = channel.InvalidRecipient
		e.Err = fmt.Errorf("no address that a route could use: %w", channel.ErrNoRoute)
	}
	return e
}
