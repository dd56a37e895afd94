package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A badLimiter is a naive limiter of which Take or Give is replaced.
type badLimiter struct {
	*naive
	take func(now time.Time, limits []store.Limit) (store.Decision, error)
	give func(k store.Limit, taken time.Time) // to one limit
}

func (b *badLimiter) Take(ctx context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if b.take != nil {
		return b.take(now, limits)
	}
	return b.naive.Take(ctx, now, limits...)
}

func (b *badLimiter) Give(ctx context.Context, taken, now time.Time, limits ...store.Limit) error {
	if b.give == nil {
		return b.naive.Give(ctx, taken, now, limits...)
	}
	for _, l := range limits {
		b.mu.Lock()
		b.give(store.Limit{Key: l.Key, Per: l.Per}, taken)
		b.mu.Unlock()
	}
	return checkLimits(limits)
}

// gcra takes from each limit by the generic cell rate algorithm, which lets
// nearly twice Most into some spans.
func gcra(next map[string]time.Time) func(time.Time, []store.Limit) (store.Decision, error) {
	return func(now time.Time, limits []store.Limit) (store.Decision, error) {
		if err := checkLimits(limits); err != nil {
			return store.Decision{}, err
		}
		d := store.Decision{Allowed: true}
		for i, l := range limits {
			step := l.Per / time.Duration(l.Most)
			t := next[l.Key]
			if t.Before(now) {
				t = now
			}
			if wait := t.Add(step - l.Per).Sub(now); wait > 0 {
				return store.Decision{RetryAfter: wait, Over: []int{i}}, nil
			}
			next[l.Key] = t.Add(step)
		}
		return d, nil
	}
}

// fixedWindow starts a new span at every multiple of Per.
func fixedWindow(counts map[store.Limit]int) func(time.Time, []store.Limit) (store.Decision, error) {
	return func(now time.Time, limits []store.Limit) (store.Decision, error) {
		l := limits[0]
		slot := now.Truncate(l.Per)
		l.Key += slot.String()
		if counts[l] >= l.Most {
			return store.Decision{RetryAfter: slot.Add(l.Per).Sub(now), Over: []int{0}}, nil
		}
		counts[l]++
		return store.Decision{Allowed: true}, nil
	}
}

// giveOldest returns the oldest taking that counts.
func (b *badLimiter) giveOldest(now time.Time, limits []store.Limit) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range limits {
		k := store.Limit{Key: l.Key, Per: l.Per}
		b.giveBack(k, len(b.limits[k])-len(b.window(k, now)))
	}
}

func TestLimiterMutants(t *testing.T) {
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badLimiter)
	}{
		{"GCRA", "burst over a boundary", func(b *badLimiter) { b.take = gcra(map[string]time.Time{}) }},
		{"GCRA at random", "never exceeded", func(b *badLimiter) { b.take = gcra(map[string]time.Time{}) }},
		{"fixed window", "never exceeded", func(b *badLimiter) { b.take = fixedWindow(map[store.Limit]int{}) }},
		{"takes one by one", "all or none", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				for _, l := range limits {
					if d, err := b.naive.Take(t.Context(), now, l); err != nil || !d.Allowed {
						return d, err
					}
				}
				return store.Decision{Allowed: true}, nil
			}
		}},
		{"takes one by one in parallel", "parallel takes", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				for _, l := range limits {
					if d, err := b.naive.Take(t.Context(), now, l); err != nil || !d.Allowed {
						return d, err
					}
				}
				return store.Decision{Allowed: true}, nil
			}
		}},
		{"gives older ones back", "refused over and over", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				for i, l := range limits {
					if d, err := b.naive.Take(t.Context(), now, l); err != nil || !d.Allowed {
						b.giveOldest(now, limits[:i])
						return d, err
					}
				}
				return store.Decision{Allowed: true}, nil
			}
		}},
		{"shadow refuses", "shadow", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				enforced := append([]store.Limit(nil), limits...)
				for i := range enforced {
					enforced[i].Shadow = false
				}
				return b.naive.Take(t.Context(), now, enforced...)
			}
		}},
		{"RetryAfter too short", "retry after", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				d, err := b.naive.Take(t.Context(), now, limits...)
				d.RetryAfter /= 2
				return d, err
			}
		}},
		{"refuses for ever", "never exceeded", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				return b.naive.Take(t.Context(), start(), limits...)
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
