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

// A walk is one message on its way along the routes.
type walk struct {
	c       *Channel
	m       *channel.Message
	routes  []channel.Route
	began   time.Time
	until   time.Time       // end of ctx or of the code, the earlier; zero: none
	invalid channel.Address // kinds of address known to be wrong by now
	sub     channel.Submission
	ended   error // why the walk is over before its routes are used up
}

// A verdict is what the walk does after a route.
type verdict uint8

const (
	next verdict = iota
	taken
	stop
)

func (w *walk) setDeadline(ctx context.Context) {
	w.until = w.m.Expires
	if d, ok := ctx.Deadline(); ok && (w.until.IsZero() || d.Before(w.until)) {
		w.until = d
	}
}

// over reports whether nothing may be tried any more, and notes why.
func (w *walk) over(ctx context.Context, now time.Time) bool {
	switch {
	case !w.m.Expires.IsZero() && !now.Before(w.m.Expires):
		w.ended = errExpired
	case ctx.Err() != nil:
		w.ended = ctx.Err()
	}
	return w.ended != nil
}

func (w *walk) run(ctx context.Context) (channel.Submission, error) {
	for i := range w.routes {
		r := &w.routes[i]
		if w.tried(r.Name) { // a router may repeat itself
			continue
		}
		if err := check(r); err != nil {
			err = &channel.Error{Class: channel.Misconfigured, Op: "failover: route", Err: err}
			w.note(ctx, channel.Attempt{Route: r.Name, Address: r.Address, Class: channel.Misconfigured, Err: err})
			continue
		}
		if !w.usable(r) {
			continue
		}
		switch w.try(ctx, i) {
		case taken:
			w.await(i)
			return w.sub, nil
		case stop:
			return w.failed()
		case next:
		}
	}
	return w.failed()
}

// usable reports whether the message may go by this route.
func (w *walk) usable(r *channel.Route) bool {
	return (w.m.Route == "" || w.m.Route == r.Name) &&
		w.m.To.Has(r.Address) && r.Address&w.invalid == 0 &&
		!slices.Contains(w.m.Tried, r.Name)
}

// await sets until when the receipt of route i is awaited: only if somebody
// could take over then.
func (w *walk) await(i int) {
	if await := w.routes[i].Await; await > 0 && w.follows(i) {
		w.sub.Await = time.Now().Add(await)
	}
}

// follows reports whether a route after i could take the message.
func (w *walk) follows(i int) bool {
	for j := i + 1; j < len(w.routes); j++ {
		if r := &w.routes[j]; !w.tried(r.Name) && check(r) == nil && w.usable(r) {
			return true
		}
	}
	return false
}

// tried reports whether there was a hop by the route of this name.
func (w *walk) tried(name string) bool {
	return slices.ContainsFunc(w.sub.Attempts, func(a channel.Attempt) bool { return a.Route == name })
}

// try hands the message to route i, again where the class of the failure, the
// route's Retry and the time allow.
func (w *walk) try(ctx context.Context, i int) verdict {
	r := &w.routes[i]
	b := w.c.breakers.of(r.Name)
	for tries := 1; ; tries++ {
		start := time.Now()
		if w.over(ctx, start) {
			return stop
		}
		s, a := w.once(ctx, r, b, start)
		w.note(ctx, a)
		if a.Err == nil {
			w.sub.Route, w.sub.ProviderIDs, w.sub.State = r.Name, s.ProviderIDs, s.State
			if s.State == 0 {
				w.sub.State = channel.Sent
			}
			return taken
		}
		if v := w.judge(ctx, a); v != next || tries >= most(r, a) {
			return v
		}
		pause, ok := w.pause(i, a, tries)
		if !ok {
			return next
		}
		if !sleep(ctx, pause) {
			w.ended = ctx.Err()
			return stop
		}
	}
}

// judge says whether the walk goes on after a failed try.
func (w *walk) judge(ctx context.Context, a channel.Attempt) verdict {
	switch {
	case a.Class == channel.Expired, a.Class == channel.Unknown && w.c.stopOnUnknown:
		return stop
	case ctx.Err() != nil:
		w.ended = ctx.Err()
		return stop
	case a.Class == channel.InvalidRecipient:
		w.invalid |= a.Address
	}
	return next
}

// once makes one try, if the breaker lets it.
func (w *walk) once(ctx context.Context, r *channel.Route, b *breaker, start time.Time) (channel.Submission, channel.Attempt) {
	a := channel.Attempt{Route: r.Name, Address: r.Address}
	ticket, err := b.allow()
	if err != nil {
		a.Class, a.Err = channel.Temporary, err
		return channel.Submission{}, a
	}
	result := failure // where the channel panics
	defer func() { b.tell(ticket, result) }()

	limited, cancel := w.tryContext(ctx, start)
	defer cancel()
	s, err := r.Channel.Send(limited, w.m)
	a.Took, a.Err = time.Since(start), err
	if err == nil {
		result = success
		return s, a
	}
	a.Class, a.Code = classify(r, err)
	result = w.blame(ctx, limited, a)
	return s, a
}

// tryContext limits one try by ctx, by the life of the code and by TryTimeout.
func (w *walk) tryContext(ctx context.Context, start time.Time) (context.Context, context.CancelFunc) {
	limit := start.Add(w.c.tryTimeout)
	if !w.m.Expires.IsZero() && w.m.Expires.Before(limit) {
		limit = w.m.Expires
	}
	return context.WithDeadline(ctx, limit)
}

// blame says what a failed try tells about the route. See the package comment.
func (w *walk) blame(ctx, try context.Context, a channel.Attempt) result {
	switch a.Class {
	case channel.Misconfigured:
		return misconfigured
	case channel.Unreachable, channel.InvalidRecipient:
		return success
	case channel.Throttled, channel.Expired:
		return neutral
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return neutral
	}
	if cut := try.Err() != nil && a.Took < w.c.tryTimeout; cut && 2*a.Took < time.Since(w.began) {
		return neutral
	}
	return failure
}

// classify returns the class of an error, as the route's overrides have it,
// and its protocol code.
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

// note records a hop and logs it where it failed.
func (w *walk) note(ctx context.Context, a channel.Attempt) {
	if w.sub.Attempts == nil {
		w.sub.Attempts = make([]channel.Attempt, 0, 2)
	}
	w.sub.Attempts = append(w.sub.Attempts, a)
	if a.Err == nil {
		return
	}
	level, text := slog.LevelDebug, "failover: hop failed"
	if a.Class == channel.Misconfigured {
		level, text = slog.LevelError, "failover: route is misconfigured"
	}
	if !w.c.log.Enabled(ctx, level) {
		return
	}
	w.c.log.LogAttrs(ctx, level, text,
		slog.String("route", a.Route), slog.String("message", w.m.ID),
		slog.String("class", a.Class.String()), slog.String("code", a.Code),
		slog.Duration("took", a.Took), slog.String("error", w.m.Redact(a.Err.Error())))
}

// failed ends a walk that no route has ended well.
func (w *walk) failed() (channel.Submission, error) {
	w.sub.State = channel.Failed
	if len(w.sub.Attempts) == 0 && w.ended == nil {
		return w.sub, w.noRoute()
	}
	return w.sub, summarize(w.sub.Attempts, w.ended)
}

// noRoute says why not one route could be tried.
func (w *walk) noRoute() error {
	e := &channel.Error{Class: channel.Unreachable, Op: op, Err: channel.ErrNoRoute}
	named := func(r channel.Route) bool { return r.Name == w.m.Route }
	fitting := func(r channel.Route) bool { return w.m.To.Has(r.Address) && r.Address&w.invalid == 0 }
	switch {
	case w.m.Route != "" && !slices.ContainsFunc(w.routes, named) && !slices.ContainsFunc(w.c.routes, named):
		e.Class = channel.Misconfigured
		e.Err = fmt.Errorf("there is no route %q: %w", w.m.Route, channel.ErrNoRoute)
	case w.m.Route != "":
		e.Err = fmt.Errorf("route %q cannot take this message: %w", w.m.Route, channel.ErrNoRoute)
	case len(w.routes) > 0 && !slices.ContainsFunc(w.routes, fitting):
		e.Class = channel.InvalidRecipient
		e.Err = fmt.Errorf("no address that a route could use: %w", channel.ErrNoRoute)
	}
	return e
}
