package otp_test

import (
	"context"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A keeper is all of a backend but its queue.
type keeper interface {
	store.Store
	store.Limiter
	store.Tracker
}

// An outside is a backend that is called outside of a bubble, where its clients and connections
// live. The time of the bubble stands still meanwhile: a goroutine that waits for a channel
// from outside keeps it from moving. One call at a time.
type outside struct {
	keeper keeper
	calls  chan func()
	done   chan struct{}
}

// newOutside is called outside of a bubble. stop ends it.
func newOutside(k keeper) (o *outside, stop func()) {
	o = &outside{k, make(chan func()), make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for f := range o.calls {
			f()
			o.done <- struct{}{}
		}
	}()
	return o, func() {
		close(o.calls)
		<-ended
	}
}

// do runs f outside. A context of the bubble must not get there.
func (o *outside) do(f func(ctx context.Context)) {
	o.calls <- func() { f(context.Background()) }
	<-o.done
}

func (o *outside) record(f func(ctx context.Context) (*store.Record, error)) (r *store.Record, err error) {
	o.do(func(ctx context.Context) { r, err = f(ctx) })
	return r, err
}

func (o *outside) Create(_ context.Context, r *store.Record, now time.Time) (err error) {
	o.do(func(ctx context.Context) { err = o.keeper.Create(ctx, r, now) })
	return err
}

func (o *outside) Get(_ context.Context, id string, now time.Time) (*store.Record, error) {
	return o.record(func(ctx context.Context) (*store.Record, error) { return o.keeper.Get(ctx, id, now) })
}

func (o *outside) Attempt(_ context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	return o.record(func(ctx context.Context) (*store.Record, error) { return o.keeper.Attempt(ctx, id, t, now) })
}

func (o *outside) Finish(
	_ context.Context, id string, outcome store.Outcome, t store.Token, now time.Time,
) (*store.Record, error) {
	return o.record(func(ctx context.Context) (*store.Record, error) {
		return o.keeper.Finish(ctx, id, outcome, t, now)
	})
}

func (o *outside) Update(
	_ context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	return o.record(func(ctx context.Context) (*store.Record, error) {
		return o.keeper.Update(ctx, id, revision, delivery, now)
	})
}

func (o *outside) CancelAll(_ context.Context, bucket, subject, group string, until, now time.Time) (err error) {
	o.do(func(ctx context.Context) { err = o.keeper.CancelAll(ctx, bucket, subject, group, until, now) })
	return err
}

func (o *outside) Take(_ context.Context, now time.Time, limits ...store.Limit) (d store.Decision, err error) {
	o.do(func(ctx context.Context) { d, err = o.keeper.Take(ctx, now, limits...) })
	return d, err
}

func (o *outside) Give(_ context.Context, taken, now time.Time, limits ...store.Limit) (err error) {
	o.do(func(ctx context.Context) { err = o.keeper.Give(ctx, taken, now, limits...) })
	return err
}

func (o *outside) Track(
	_ context.Context, key, message string, expires, now time.Time,
) (early [][]byte, err error) {
	o.do(func(ctx context.Context) { early, err = o.keeper.Track(ctx, key, message, expires, now) })
	return early, err
}

func (o *outside) Match(
	_ context.Context, key string, receipt []byte, expires, now time.Time,
) (message string, err error) {
	o.do(func(ctx context.Context) { message, err = o.keeper.Match(ctx, key, receipt, expires, now) })
	return message, err
}

// inside returns a backend for the bubble that it is called in. Its queue is in the bubble.
func (o *outside) inside() historyBackend {
	return historyBackend{o, o, o, memstore.New(memstore.Config{})}
}

// Histories of a backend outside of the bubble are like those inside.
func TestHistoriesOutside(t *testing.T) {
	t.Parallel()
	o, stop := newOutside(nil)
	defer stop()
	playHistories(t, 1, 20, func() newBackend {
		o.keeper = memstore.New(memstore.Config{})
		return o.inside
	})
}
