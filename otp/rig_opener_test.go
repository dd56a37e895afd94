package otp_test

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var (
	_ store.Opener = opener{}
	_ store.Opener = historyOpener{}
)

// An opener is a faulty backend that is a store.Opener.
type opener struct{ *faulty }

func (o opener) Open(ctx context.Context, r *store.Record, now time.Time, limits ...store.Limit) (
	d store.Decision, err error) {
	err = o.call("Open", func() error {
		d, _, err = together(ctx, o.backend, o.backend, r, now, limits)
		return err
	})
	return d, err
}

// A historyOpener is a process whose store is a store.Opener.
type historyOpener struct{ *historyProc }

func (o historyOpener) Open(ctx context.Context, r *store.Record, now time.Time, limits ...store.Limit) (
	d store.Decision, err error) {
	err = o.do(ctx, "Open", r.ID, func() error {
		own := *r
		if err := o.svc.HistoryShift(&own, o.ahead); err != nil {
			panic(err)
		}
		var repeat bool
		if d, repeat, err = together(ctx, o.w.backend, o.w.backend.Limiter, &own, o.clock(now), limits); err != nil {
			if r.LockedUntil = own.LockedUntil; !r.LockedUntil.IsZero() {
				r.LockedUntil = r.LockedUntil.Add(-o.ahead)
			}
			return err
		}
		if d.Allowed && !repeat {
			o.w.took(o.clock(now), limits)
			o.w.note("p%d Open %s at %s", o.n, keysOf(limits), clock(now))
			o.w.created(o.historyProc, &own)
		}
		r.Attempts, r.Revision, r.Outcome = 0, 0, store.Open
		return nil
	})
	return d, err
}

// together opens a challenge: in one step if the backend does, else in several. Its
// caller sees to it that nothing comes in between.
func together(ctx context.Context, s store.Store, l store.Limiter, r *store.Record, now time.Time,
	limits []store.Limit) (d store.Decision, repeat bool, err error) {
	if old, err := s.Get(ctx, r.ID, now); err == nil {
		if !bytes.Equal(old.Salt, r.Salt) {
			return d, false, store.ErrExists
		}
		return store.Decision{Allowed: true}, true, nil
	}
	if o, ok := l.(store.Opener); ok {
		if d, err = o.Open(ctx, r, now, limits...); !errors.Is(err, errors.ErrUnsupported) {
			return d, false, err
		}
	}
	if d, err = l.Take(ctx, now, limits...); err != nil || !d.Allowed {
		return d, false, err
	}
	if err = s.Create(ctx, r, now); err != nil {
		_ = l.Give(ctx, now, now, limits...)
		return store.Decision{}, false, err
	}
	return d, false, nil
}
