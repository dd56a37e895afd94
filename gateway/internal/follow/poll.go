package follow

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

// run begins polls when they are due.
func (f *Follower) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(f.dispatch(time.Now()))
		select {
		case <-timer.C:
		case <-f.wake:
		case <-f.quit:
			return
		}
	}
}

// dispatch begins what is due, forgets what is over, and returns how long
// nothing will be to do.
func (f *Follower) dispatch(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := time.Hour
	for e := f.ends.first(); e != nil; e = f.ends.first() {
		if left := e.forget.time.Sub(now); left > 0 {
			wait = min(wait, left)
			break
		}
		f.drop(e)
	}
	for e := f.late.first(); e != nil && f.polls < f.config.Workers && !f.closed; e = f.late.first() {
		if left := e.late.time.Sub(now); left > 0 {
			wait = min(wait, left)
			break
		}
		if f.late.remove(e); f.quiet(e, now) { // else it has a receipt to repeat, which has its turn in due
			f.begin(e)
		}
	}
	for e := f.due.first(); e != nil && f.polls < f.config.Workers && !f.closed; e = f.due.first() {
		at, quiet := e.due.time, f.quiet(e, now)
		if !quiet {
			at = later(at, f.free)
		}
		if left := at.Sub(now); left > 0 {
			return min(wait, left)
		}
		if !quiet {
			f.free = now.Add(time.Duration(float64(time.Second) / f.config.Rate))
		}
		f.begin(e)
	}
	return wait
}

// begin visits a message. f.mu is held.
func (f *Follower) begin(e *entry) {
	f.unschedule(e)
	f.polls++
	f.done.Go(func() {
		f.visit(e)
		f.mu.Lock()
		f.polls--
		f.mu.Unlock()
		f.poke()
	})
}

// quiet reports whether a visit asks nothing, so that it needs not wait for its
// turn. One long after the expiry is: there are more messages than may be asked
// for, and what is known has to be told. f.mu is held.
func (f *Follower) quiet(e *entry, now time.Time) bool {
	return e.untold == nil && (f.config.Poll == nil || now.Sub(e.expires) >= f.config.MaxInterval)
}

func (f *Follower) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// schedule sets when a message is looked at next: after its interval, or at its
// expiry if that is sooner.
func (f *Follower) schedule(e *entry, now time.Time) {
	if f.known[e.id] != e { // forgotten meanwhile
		return
	}
	at := now.Add(e.interval)
	if now.Before(e.expires) && (e.expires.Before(at) || f.config.Poll == nil && e.untold == nil) {
		at = e.expires
	}
	e.interval = min(e.interval+e.interval/2, f.config.MaxInterval)
	f.due.set(e, at)
	f.late.set(e, later(at, e.expires.Add(f.config.MaxInterval)))
	f.poke()
}

func (f *Follower) unschedule(e *entry) {
	f.due.remove(e)
	f.late.remove(e)
}

// visit asks for the state of a message and tells it, and tells the last known
// one if it has expired.
func (f *Follower) visit(e *entry) {
	f.mu.Lock()
	now := time.Now()
	expired, quiet := !now.Before(e.expires), f.quiet(e, now)
	u := e.untold
	f.mu.Unlock()
	var pause time.Duration
	if u == nil && !quiet {
		u, pause = f.ask(e)
	}
	told := u == nil || f.tellPolled(e, *u)
	if told && expired {
		told = f.tellLast(e)
	}
	now = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if pause > 0 {
		f.free = later(f.free, now.Add(pause))
	}
	if e.final || told && expired || f.closed {
		return
	}
	f.schedule(e, now)
}

// ask polls once. It returns nil where nothing was learned, and how long the
// provider wants to be left alone.
func (f *Follower) ask(e *entry) (*Update, time.Duration) {
	ctx, cancel := context.WithTimeout(f.ctx, f.config.Timeout)
	defer cancel()
	u, err := f.config.Poll(ctx, e.id)
	if err != nil {
		f.log(ctx, "the state of a message is not known", err)
		refused, _ := errors.AsType[*channel.Error](err)
		if refused != nil {
			return nil, min(refused.RetryAfter, f.config.MaxInterval)
		}
		return nil, 0
	}
	return &u, 0
}

// tellPolled tells what was learned by asking, or keeps it for later.
func (f *Follower) tellPolled(e *entry, u Update) bool {
	ctx, cancel := context.WithTimeout(f.ctx, f.config.Timeout)
	defer cancel()
	err := f.tell(ctx, e, u)
	f.mu.Lock()
	defer f.mu.Unlock()
	e.untold = nil
	if err != nil {
		e.untold = &u
		f.log(ctx, "a receipt was not accepted; the channel reports it again", err)
	}
	return err == nil
}

// tellLast tells the state that a message has at its expiry, for whoever has
// not heard of any or not of this one.
func (f *Follower) tellLast(e *entry) bool {
	f.mu.Lock()
	if e.last || e.told != 0 || e.final {
		f.mu.Unlock()
		return true
	}
	u := Update{ProviderID: e.id, MessageID: e.messageID, State: channel.Sent, Code: e.code, At: e.at}
	f.mu.Unlock()
	// It is a state like any other, so a report that comes now is told after
	// it, and only if it is more.
	ctx, cancel := context.WithTimeout(f.ctx, f.config.Timeout)
	defer cancel()
	err := f.tell(ctx, e, u)
	if err != nil {
		f.log(ctx, "a receipt was not accepted; the channel reports it again", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e.last = err == nil
	return e.last
}

func (f *Follower) log(ctx context.Context, what string, err error) {
	level := slog.LevelDebug
	if channel.ClassOf(err) == channel.Misconfigured {
		level = slog.LevelWarn
	}
	f.config.Logger.LogAttrs(ctx, level, f.config.Package+": "+what, slog.Any("error", err))
}
