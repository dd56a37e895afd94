package memstore

import (
	"context"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

type limitKey struct {
	key string
	per time.Duration
}

func checkLimits(limits []store.Limit) error {
	for _, l := range limits {
		if l.Most < 1 || l.Per <= 0 {
			return fmt.Errorf("memstore: limit %q: most %d in %v", l.Key, l.Most, l.Per)
		}
	}
	return nil
}

// Take implements store.Limiter.
func (s *Store) Take(_ context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if err := checkLimits(limits); err != nil {
		return store.Decision{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := store.Decision{Allowed: true}
	asked := map[limitKey]int{}
	var take []limitKey
	for i, l := range limits {
		k := limitKey{l.Key, l.Per}
		taken := s.window(k, now)
		if over := len(taken) + asked[k] + 1 - l.Most; over > 0 {
			d.Over = append(d.Over, i)
			if !l.Shadow {
				d.Allowed = false
				d.RetryAfter = max(d.RetryAfter, l.Per)
				if over <= len(taken) {
					d.RetryAfter = max(d.RetryAfter, taken[over-1].Add(l.Per).Sub(now))
				}
			}
			continue
		}
		asked[k]++
		take = append(take, k)
	}
	if d.Allowed {
		for _, k := range take {
			s.limits[k] = append(s.limits[k], now)
		}
	}
	return d, nil
}

func (s *Store) window(k limitKey, now time.Time) []time.Time {
	taken := s.limits[k]
	for len(taken) > 0 && !taken[0].Add(k.per).After(now) {
		taken = taken[1:]
	}
	if len(taken) == 0 {
		delete(s.limits, k)
		return nil
	}
	s.limits[k] = taken
	return taken
}

// Give implements store.Limiter.
func (s *Store) Give(_ context.Context, now time.Time, limits ...store.Limit) error {
	if err := checkLimits(limits); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range limits {
		k := limitKey{l.Key, l.Per}
		if taken := s.window(k, now); len(taken) > 0 {
			s.limits[k] = taken[1:]
		}
	}
	return nil
}
