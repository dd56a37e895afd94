package storetest

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func TestStoreClockMutants(t *testing.T) {
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*faulty)
	}{
		{"nothing is there before it was created", "clock goes back", func(f *faulty) {
			f.get = func(id string, now time.Time) (*store.Record, error) {
				r, err := f.naive.Get(t.Context(), id, now)
				if r != nil && now.Before(r.Created) {
					return nil, store.ErrNotFound
				}
				return r, err
			}
		}},
		{"a run ends by its last failure to come", "run and clocks", func(f *faulty) {
			f.after(t, func(u *naiveRun, now time.Time) {
				if !u.locked {
					u.until = now.Add(10 * time.Minute)
				}
			})
		}},
		{"a long count ends by its last failure to come", "run and clocks", func(f *faulty) {
			f.after(t, func(u *naiveRun, now time.Time) {
				if !u.locked && u.life.After(now) {
					u.life = now.Add(10 * time.Minute)
				}
			})
		}},
		{"a lock begins when it was set", "lock and clocks", func(f *faulty) {
			var set time.Time
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				if u := f.runs[f.recs[id].Subject]; u != nil && now.Before(set) {
					u.locked = false
				}
				f.mu.Unlock()
				set = now
				return f.naive.Attempt(t.Context(), id, token, now)
			}
		}},
	} {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, storeCases(), m.caught, func() store.Store {
				f := &faulty{naive: newNaive()}
				m.add(f)
				return f
			})
		})
	}
}

func TestLimiterClockMutants(t *testing.T) {
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badLimiter)
	}{
		{"counts no taking that is ahead", "clock goes back", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				b.mu.Lock()
				for k, taken := range b.limits {
					b.limits[k] = slices.DeleteFunc(taken, now.Before)
				}
				b.mu.Unlock()
				return b.naive.Take(t.Context(), now, limits...)
			}
		}},
		{"counts by key", "spans apart", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Per = time.Hour })
		}},
		{"counts by key, span and most", "thresholds of one key", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Per += time.Duration(l.Most) })
		}},
		{"takes one key once", "one key twice", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				return b.naive.Take(t.Context(), now, slices.Compact(limits)...)
			}
		}},
		{"judges limits of one key alone", "one key twice", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (d store.Decision, err error) {
				peeks := slices.Clone(limits)
				for i := range peeks {
					peeks[i].Peek = true
				}
				if d, err = b.naive.Take(t.Context(), now, peeks...); err != nil || !d.Allowed {
					return d, err
				}
				for i := range peeks {
					peeks[i].Peek, peeks[i].Most = false, math.MaxInt
				}
				return b.naive.Take(t.Context(), now, peeks...)
			}
		}},
		{"needs no Most", "bad limits", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Most = max(l.Most, 1) })
		}},
		{"needs no Per", "bad limits", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Per = max(l.Per, 1) })
		}},
		{"takes a negative N", "bad limits", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.N = max(l.N, 0) })
		}},
		{"takes before it looks", "bad limits", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (d store.Decision, err error) {
				for _, l := range limits {
					if d, err = b.naive.Take(t.Context(), now, l); err != nil || !d.Allowed {
						break
					}
				}
				return d, err
			}
		}},
		{"counts in 31 bits", "large limits", func(b *badLimiter) {
			sums := map[string]int32{}
			b.take = func(_ time.Time, limits []store.Limit) (store.Decision, error) {
				l := limits[0]
				if sums[l.Key]+int32(l.Takings()) > int32(l.Most) {
					return store.Decision{RetryAfter: l.Per, Over: []int{0}}, nil
				}
				sums[l.Key] += int32(l.Takings())
				return store.Decision{Allowed: true}, nil
			}
		}},
	} {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, limiterCases(), m.caught, func() store.Limiter {
				b := &badLimiter{naive: newNaive()}
				m.add(b)
				return b
			})
		})
	}
}

// A sortingTracker returns receipts by the times of their calls.
type sortingTracker struct {
	*naive
	at map[string]time.Time
}

func (s *sortingTracker) Match(
	ctx context.Context, key string, receipt []byte, expires, now time.Time,
) (string, error) {
	s.at[string(receipt)] = now
	return s.naive.Match(ctx, key, receipt, expires, now)
}

func (s *sortingTracker) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	early, err := s.naive.Track(ctx, key, message, expires, now)
	slices.SortFunc(early, func(a, b []byte) int { return s.at[string(a)].Compare(s.at[string(b)]) })
	return slices.CompactFunc(early, bytes.Equal), err
}

func TestTrackerClockMutant(t *testing.T) {
	catches(t, trackerCases(), "parked by clocks that differ", func() store.Tracker {
		return &sortingTracker{newNaive(), map[string]time.Time{}}
	})
}
