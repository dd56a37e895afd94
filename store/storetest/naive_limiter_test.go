package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func checkLimits(limits []store.Limit) error {
	for _, l := range limits {
		if l.Most < 1 || l.Per <= 0 || l.N < 0 {
			return fmt.Errorf("naive: limit %q: most %d in %v", l.Key, l.Most, l.Per)
		}
	}
	return nil
}

// unit is how many takings of a limit naive counts as one, to save memory.
func unit(l store.Limit) int {
	if l.Most < 1<<20 {
		return 1
	}
	return l.Most / 3
}

func (s *naive) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if err := s.ended(ctx, "Take"); err != nil {
		return store.Decision{}, err
	}
	if err := checkLimits(limits); err != nil {
		return store.Decision{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(now, limits), nil
}

func (s *naive) take(now time.Time, limits []store.Limit) store.Decision {
	d := store.Decision{Allowed: true}
	asked := map[store.Limit]int{}
	var take []store.Limit
	for i, l := range limits {
		k := store.Limit{Key: l.Key, Per: l.Per}
		taken := s.window(k, now)
		n := l.Takings() / unit(l)
		if over := len(taken) + asked[k] + n - l.Most/unit(l); over > 0 {
			wait := l.Per
			if over <= len(taken) {
				wait = taken[over-1].Add(l.Per).Sub(now)
			}
			d.Over, d.Waits = append(d.Over, i), append(d.Waits, wait)
			if !l.Shadow {
				d.Allowed = false
				d.RetryAfter = max(d.RetryAfter, wait)
			}
			continue
		}
		if l.Peek {
			continue
		}
		asked[k] += n
		take = append(take, slices.Repeat([]store.Limit{k}, n)...)
	}
	if d.Allowed {
		for _, k := range take {
			s.limits[k] = append(s.limits[k], now)
		}
	}
	return d
}

func (s *naive) Open(ctx context.Context, r *store.Record, now time.Time, limits ...store.Limit) (
	store.Decision, error) {
	if err := s.ended(ctx, "Open"); err != nil {
		return store.Decision{}, err
	}
	if err := checkLimits(limits); err != nil {
		return store.Decision{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.recs[r.ID]
	if old != nil && !now.Before(old.Expires) {
		old = nil
	}
	repeat := old != nil && bytes.Equal(old.Salt, r.Salt)
	until := s.lockedUntil(r.Subject, now)
	if old == nil && until.IsZero() {
		if d := s.take(now, limits); !d.Allowed {
			return d, nil
		}
	}
	err := s.create(r, now)
	return store.Decision{Allowed: err == nil || repeat}, err
}

// window returns the takings that count at now, oldest first.
func (s *naive) window(k store.Limit, now time.Time) []time.Time {
	taken := s.limits[k]
	slices.SortFunc(taken, time.Time.Compare)
	for len(taken) > 0 && !taken[0].Add(k.Per).After(now) {
		taken = taken[1:]
	}
	return taken
}

func (s *naive) Give(ctx context.Context, taken, _ time.Time, limits ...store.Limit) error {
	if err := s.ended(ctx, "Give"); err != nil {
		return err
	}
	if err := checkLimits(limits); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range limits {
		k := store.Limit{Key: l.Key, Per: l.Per}
		for range l.Takings() / unit(l) {
			i := slices.IndexFunc(s.limits[k], taken.Equal)
			if taken.IsZero() {
				slices.SortFunc(s.limits[k], time.Time.Compare)
				i = len(s.limits[k]) - 1
			}
			if !l.Peek {
				s.giveBack(k, i)
			}
		}
	}
	return nil
}

// giveBack returns the taking at i of k, if there is one.
func (s *naive) giveBack(k store.Limit, i int) {
	if i < 0 || i >= len(s.limits[k]) {
		return
	}
	if s.limits[k] = slices.Delete(s.limits[k], i, i+1); len(s.limits[k]) == 0 {
		delete(s.limits, k)
	}
}
