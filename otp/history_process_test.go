package otp_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

var errHistoryFault = errors.New("injected fault")

// historyFaults are the chances of a fault at each call to the backend.
type historyFaults struct {
	before, after float64 // the call fails: nothing is done; or it is done, and its answer is lost
	die           float64 // it is the last thing that the process does
	latency       time.Duration
}

func (f historyFaults) none() bool { return f.before+f.after+f.die == 0 }

// A historyProc is one process: a Service, its own clock, and its own faults. It
// stands between the Service and the backend.
type historyProc struct {
	w      *historyWorld
	n      int           // its number, from 1
	ahead  time.Duration // of its clock, in whole milliseconds
	faults historyFaults
	calm   *atomic.Bool // no more faults
	dead   atomic.Bool
	died   time.Time
	ctx    context.Context
	kill   context.CancelFunc
	svc    *otp.Service
	rc     channel.Receipts
	before atomic.Pointer[historyHook] // of a test that is not random
	after  atomic.Pointer[historyHook]
}

// A historyHook is called at the edge of each call to the backend, and may fail it.
type historyHook func(call string) error

// callHook calls the hook, if there is one.
func callHook(h *atomic.Pointer[historyHook], call string) error {
	if f := h.Load(); f != nil {
		return (*f)(call)
	}
	return nil
}

// beforeCalls and afterCalls set the hooks; nil: none.
func (p *historyProc) beforeCalls(f historyHook) { setHook(&p.before, f) }
func (p *historyProc) afterCalls(f historyHook)  { setHook(&p.after, f) }

func setHook(h *atomic.Pointer[historyHook], f historyHook) {
	h.Store(nil)
	if f != nil {
		h.Store(&f)
	}
}

var (
	_ store.Store   = (*historyProc)(nil)
	_ store.Limiter = (*historyProc)(nil)
	_ store.Tracker = (*historyProc)(nil)
	_ store.Queue   = (*historyProc)(nil)
)

// clock turns a time of the world into one of the process's clock, for the store.
func (p *historyProc) clock(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(p.ahead)
}

func (p *historyProc) die() {
	if p.dead.CompareAndSwap(false, true) {
		p.w.mu.Lock()
		p.w.note("p%d dies", p.n)
		p.died = time.Now()
		p.w.mu.Unlock()
		p.kill()
	}
	runtime.Goexit()
}

// live ends the goroutine of a process that is dead.
func (p *historyProc) live() {
	if p.dead.Load() {
		runtime.Goexit()
	}
}

// edge is where a call begins or ends: it takes time, may fail, and may be the last
// of the process.
func (p *historyProc) edge(ctx context.Context, fail float64, call, key string) error {
	p.live()
	dice := p.w.dice(p.n, call, key)
	if d := dice.within(p.faults.latency); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			p.live()
			return ctx.Err()
		}
	}
	p.live()
	if p.calm.Load() {
		return nil
	}
	switch x := dice.Float64(); {
	case x < p.faults.die:
		p.die()
	case x < p.faults.die+fail:
		return errHistoryFault
	}
	return nil
}

// do makes a call to the backend, with the world locked, so that events have the order
// in which the backend saw them.
func (p *historyProc) do(ctx context.Context, call, key string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := p.edge(ctx, p.faults.before, call, key)
	if err == nil {
		err = callHook(&p.before, call)
	}
	if err != nil {
		p.w.mu.Lock()
		p.w.note("p%d %s fails: %v", p.n, call, err)
		p.w.mu.Unlock()
		return err
	}
	p.w.mu.Lock()
	p.w.trips = append(p.w.trips, call)
	answer := f()
	p.w.mu.Unlock()
	if err = callHook(&p.after, call); err == nil {
		err = p.edge(ctx, p.faults.after, call, key)
	}
	if err != nil {
		p.w.mu.Lock()
		p.w.note("p%d %s: the answer is lost: %v", p.n, call, err)
		p.w.mu.Unlock()
		return err
	}
	return answer
}

// record does f, which returns a record of the store, and turns its times into those
// that the process's clock would show.
func (p *historyProc) record(
	ctx context.Context, call, id string, f func() (*store.Record, error),
) (*store.Record, error) {
	var r *store.Record
	done := false
	err := p.do(ctx, call, id, func() (err error) {
		r, err = f()
		done = true
		return err
	})
	lost := errors.Is(err, errHistoryFault) || ctx.Err() != nil && errors.Is(err, ctx.Err())
	if r == nil || err != nil && (!done || lost) {
		return nil, err
	}
	if !r.LockedUntil.IsZero() {
		r.LockedUntil = r.LockedUntil.Add(-p.ahead)
	}
	if failed := p.svc.HistoryShift(r, -p.ahead); failed != nil {
		panic(failed)
	}
	return r, err
}

func (p *historyProc) Create(ctx context.Context, r *store.Record, now time.Time) error {
	return p.do(ctx, "Create", r.ID, func() error {
		own := *r
		if err := p.svc.HistoryShift(&own, p.ahead); err != nil {
			panic(err)
		}
		err := p.w.backend.Create(ctx, &own, p.clock(now))
		r.Attempts, r.Revision, r.Outcome = own.Attempts, own.Revision, own.Outcome
		if r.LockedUntil = own.LockedUntil; !r.LockedUntil.IsZero() {
			r.LockedUntil = r.LockedUntil.Add(-p.ahead)
		}
		if err == nil {
			p.w.created(p, &own)
		}
		return err
	})
}

func (p *historyProc) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return p.record(ctx, "Get", id, func() (*store.Record, error) {
		p.w.note("p%d Get %.7s", p.n, id)
		return p.w.backend.Get(ctx, id, p.clock(now))
	})
}

func (p *historyProc) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	return p.record(ctx, "Attempt", id, func() (*store.Record, error) {
		r, err := p.w.backend.Attempt(ctx, id, t, p.clock(now))
		if err == nil {
			p.w.records[id].attempts[t] = true
			p.w.note("p%d Attempt %.7s, %d of %d", p.n, id, r.Attempts, r.MaxAttempts)
		}
		return r, err
	})
}

func (p *historyProc) Finish(
	ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time,
) (*store.Record, error) {
	return p.record(ctx, "Finish", id, func() (*store.Record, error) {
		r, err := p.w.backend.Finish(ctx, id, o, t, p.clock(now))
		if err == nil {
			p.w.records[id].outcome = o
			p.w.note("p%d Finish %.7s %v", p.n, id, o)
		}
		return r, err
	})
}

func (p *historyProc) Update(
	ctx context.Context, id string, revision uint64, octets []byte, now time.Time,
) (*store.Record, error) {
	return p.record(ctx, "Update", id, func() (*store.Record, error) {
		n := p.w.records[id]
		own := n.Record
		own.Delivery = octets
		if err := p.svc.HistoryShift(&own, p.ahead); err != nil {
			panic(err)
		}
		r, err := p.w.backend.Update(ctx, id, revision, own.Delivery, p.clock(now))
		if err == nil {
			p.w.wrote(p, n, r, "Update")
		}
		return r, err
	})
}

func (p *historyProc) CancelAll(ctx context.Context, bucket, subject, group string, until, now time.Time) error {
	return p.do(ctx, "CancelAll", subject, func() error {
		err := p.w.backend.CancelAll(ctx, bucket, subject, group, until, p.clock(now))
		if err == nil {
			p.w.note("p%d CancelAll", p.n)
			p.w.cancelled(subject, group, p.clock(now))
		}
		return err
	})
}

func (p *historyProc) Take(ctx context.Context, now time.Time, limits ...store.Limit) (d store.Decision, err error) {
	err = p.do(ctx, "Take", limits[0].Key, func() (err error) {
		if d, err = p.w.backend.Take(ctx, p.clock(now), limits...); err == nil && d.Allowed {
			p.w.took(p.clock(now), limits)
			p.w.note("p%d Take %s at %s", p.n, keysOf(limits), clock(now))
		}
		return err
	})
	return d, err
}

func (p *historyProc) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	return p.do(ctx, "Give", limits[0].Key, func() error {
		err := p.w.backend.Give(ctx, p.clock(taken), p.clock(now), limits...)
		if err == nil {
			p.w.gave(p.clock(taken), limits)
			p.w.note("p%d Give %s of %s", p.n, keysOf(limits), clock(taken))
		}
		return err
	})
}

func (p *historyProc) Track(
	ctx context.Context, key, message string, expires, now time.Time,
) (early [][]byte, err error) {
	err = p.do(ctx, "Track", key, func() (err error) {
		early, err = p.w.backend.Track(ctx, key, message, expires, p.clock(now))
		return err
	})
	return early, err
}

func (p *historyProc) Match(
	ctx context.Context, key string, receipt []byte, expires, now time.Time,
) (message string, err error) {
	err = p.do(ctx, "Match", key, func() (err error) {
		message, err = p.w.backend.Match(ctx, key, receipt, expires, p.clock(now))
		return err
	})
	return message, err
}

// Enqueue enqueues a job, and one in eight twice.
func (p *historyProc) Enqueue(ctx context.Context, j store.Job) error {
	twice := !p.faults.none() && p.w.dice(p.n, "twice", j.Challenge).IntN(8) == 0
	return p.do(ctx, "Enqueue", j.Challenge, func() error {
		p.w.note("p%d Enqueue %.7s at %s", p.n, j.Challenge, clock(j.NotBefore))
		j.NotBefore = p.clock(j.NotBefore)
		if twice {
			_ = p.w.backend.Enqueue(ctx, j)
		}
		return p.w.backend.Enqueue(ctx, j)
	})
}

// Run has the world hand jobs to the process.
func (p *historyProc) Run(ctx context.Context, _ int, handle store.Handler) error {
	p.w.mu.Lock()
	p.w.workers = append(p.w.workers, historyWorker{p, handle})
	p.w.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func keysOf(limits []store.Limit) (s string) {
	for _, l := range limits {
		s += " " + l.Key[:min(len(l.Key), 16)]
	}
	return s
}
