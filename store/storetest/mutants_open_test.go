package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A badDoor opens in its own way.
type badDoor struct {
	*naive
	open func(s *naive, r *store.Record, now time.Time, limits []store.Limit) (store.Decision, error)
}

func (b *badDoor) Open(_ context.Context, r *store.Record, now time.Time, limits ...store.Limit) (
	store.Decision, error) {
	return b.open(b.naive, r, now, limits)
}

func TestOpenMutants(t *testing.T) {
	ctx := t.Context()
	for _, m := range []struct {
		fault  string
		caught string
		open   func(s *naive, r *store.Record, now time.Time, limits []store.Limit) (store.Decision, error)
	}{
		{"creates nothing", "open both", func(s *naive, _ *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			return s.Take(ctx, now, l...)
		}},
		{"takes from the first limit", "open both", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			return s.Open(ctx, r, now, l[:min(len(l), 1)]...)
		}},
		{"takes one for N", "open both", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			for i := range l {
				l[i].N = 0
			}
			return s.Open(ctx, r, now, l...)
		}},
		{"creates though a limit refuses", "open neither", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			d, err := s.Take(ctx, now, l...)
			return d, errors.Join(err, s.Create(ctx, r, now))
		}},
		{"takes one by one", "open neither", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			for i := range l {
				if d, err := s.Take(ctx, now, l[i]); err != nil || !d.Allowed {
					d.Over = []int{i}
					return d, err
				}
			}
			return store.Decision{Allowed: true}, s.Create(ctx, r, now)
		}},
		{"takes again for a repeat", "open again", takeThenCreate},
		{"creates anew for a repeat", "open again", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			s.mu.Lock()
			_, repeat := s.recs[r.ID]
			delete(s.recs, r.ID)
			s.mu.Unlock()
			if repeat {
				return store.Decision{Allowed: true}, s.Create(ctx, r, now)
			}
			return s.Open(ctx, r, now, l...)
		}},
		{"asks the limits first", "open refused", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			for _, limit := range l {
				limit.Peek = true
				if d, err := s.Take(ctx, now, limit); err != nil || !d.Allowed {
					return d, err
				}
			}
			return s.Open(ctx, r, now, l...)
		}},
		{"takes though the subject is locked", "open refused", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			d, err := s.Open(ctx, r, now, l...)
			if errors.Is(err, store.ErrLocked) {
				_, _ = s.Take(ctx, now, l[0])
			}
			return d, err
		}},
		{"takes though the record exists", "open refused", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			d, err := s.Open(ctx, r, now, l...)
			if errors.Is(err, store.ErrExists) {
				_, _ = s.Take(ctx, now, l[0])
			}
			return d, err
		}},
		{"takes at another time", "open given back", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			return s.Open(ctx, r, now.Add(time.Millisecond), l...)
		}},
		{"looks, and then takes", "parallel opens", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			looks := make([]store.Limit, len(l))
			for i := range l {
				looks[i] = l[i]
				looks[i].Peek = true
			}
			if d, err := s.Take(ctx, now, looks...); err != nil || !d.Allowed {
				return d, err
			}
			time.Sleep(time.Millisecond)
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, limit := range l {
				k := store.Limit{Key: limit.Key, Per: limit.Per}
				s.limits[k] = append(s.limits[k], now)
			}
			return store.Decision{Allowed: true}, s.create(r, now)
		}},
	} {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, storeCases(), m.caught, func() store.Store { return &badDoor{newNaive(), m.open} })
		})
	}
}

// takeThenCreate is what a caller does whose store is no Opener.
func takeThenCreate(s *naive, r *store.Record, now time.Time, l []store.Limit) (store.Decision, error) {
	if d, err := s.Take(context.Background(), now, l...); err != nil || !d.Allowed {
		return d, err
	}
	return store.Decision{Allowed: true}, s.Create(context.Background(), r, now)
}
