package otptest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/memstore"
)

var errDown = errors.New("otptest: the store is down")

// switched is a memstore that can be down.
type switched struct {
	*memstore.Store
	down atomic.Bool
}

func newSwitched() *switched { return &switched{Store: memstore.New(memstore.Config{})} }

func (s *switched) err() error {
	if s.down.Load() {
		return errDown
	}
	return nil
}

// either returns the result of f, or errDown.
func either[T any](s *switched, f func() (T, error)) (answer T, err error) {
	if err := s.err(); err != nil {
		return answer, err
	}
	return f()
}

func (s *switched) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Create(ctx, r, now)
}

func (s *switched) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return either(s, func() (*store.Record, error) { return s.Store.Get(ctx, id, now) })
}

func (s *switched) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	return either(s, func() (*store.Record, error) { return s.Store.Attempt(ctx, id, t, now) })
}

func (s *switched) Finish(ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time) (
	*store.Record, error) {
	return either(s, func() (*store.Record, error) { return s.Store.Finish(ctx, id, o, t, now) })
}

func (s *switched) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (
	*store.Record, error) {
	return either(s, func() (*store.Record, error) { return s.Store.Update(ctx, id, revision, delivery, now) })
}

func (s *switched) CancelAll(ctx context.Context, bucket, subject, group string, until, now time.Time) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.CancelAll(ctx, bucket, subject, group, until, now)
}

func (s *switched) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	return either(s, func() (store.Decision, error) { return s.Store.Take(ctx, now, limits...) })
}

func (s *switched) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Give(ctx, taken, now, limits...)
}

func (s *switched) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	return either(s, func() ([][]byte, error) { return s.Store.Track(ctx, key, message, expires, now) })
}

func (s *switched) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (string, error) {
	return either(s, func() (string, error) { return s.Store.Match(ctx, key, receipt, expires, now) })
}

func (s *switched) Enqueue(ctx context.Context, j store.Job) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Enqueue(ctx, j)
}

func (s *switched) Forget(ctx context.Context, bucket, subject string, now time.Time) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.Forget(ctx, bucket, subject, now)
}
