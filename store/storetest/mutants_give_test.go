package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// own returns the index of the taking of k that was made at taken, or -1.
func (b *badLimiter) own(k store.Limit, taken time.Time) int {
	return slices.IndexFunc(b.limits[k], taken.Equal)
}

// nearest returns the index of the taking of k that is the nearest to taken, or -1.
func (b *badLimiter) nearest(k store.Limit, taken time.Time) int {
	best := -1
	for i, at := range b.limits[k] {
		if best < 0 || at.Sub(taken).Abs() < b.limits[k][best].Sub(taken).Abs() {
			best = i
		}
	}
	return best
}

// afterTake changes what b holds when a Take has ended.
func (b *badLimiter) afterTake(change func(d store.Decision, now time.Time, limits []store.Limit)) {
	b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
		d, err := b.naive.Take(context.Background(), now, limits...)
		b.mu.Lock()
		defer b.mu.Unlock()
		change(d, now, limits)
		return d, err
	}
}

func TestGiveMutants(t *testing.T) {
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badLimiter)
	}{
		{"does nothing", "give", func(b *badLimiter) { b.give = func(store.Limit, time.Time) {} }},
		{"returns all", "give", func(b *badLimiter) {
			b.give = func(k store.Limit, _ time.Time) { delete(b.limits, k) }
		}},
		{"returns the oldest", "give", func(b *badLimiter) {
			b.give = func(k store.Limit, _ time.Time) { b.giveBack(k, 0) }
		}},
		{"returns the newest", "give", func(b *badLimiter) {
			b.give = func(k store.Limit, _ time.Time) { b.giveBack(k, len(b.limits[k])-1) }
		}},
		{"returns the newest, at random", "never exceeded", func(b *badLimiter) {
			b.give = func(k store.Limit, _ time.Time) { b.giveBack(k, len(b.limits[k])-1) }
		}},
		{"a repeat returns another", "give repeated", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) { b.giveBack(k, max(b.own(k, taken), 0)) }
		}},
		{"lends", "give repeated", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				if i := b.own(k, taken); i >= 0 {
					b.giveBack(k, i)
				} else if len(b.limits[k]) > 0 { // one more may be taken
					b.limits[k][0] = b.limits[k][0].Add(-1000 * time.Hour)
				}
			}
		}},
		{"returns the nearest", "give of nothing", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) { b.giveBack(k, b.nearest(k, taken)) }
		}},
		{"returns one of the same millisecond", "give of nothing", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				i := b.nearest(k, taken)
				if i >= 0 && b.limits[k][i].Sub(taken).Abs() < time.Millisecond {
					b.giveBack(k, i)
				}
			}
		}},
		{"returns the latest before", "give after refusal", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				for i, at := range slices.Backward(b.limits[k]) {
					if !at.After(taken) {
						b.giveBack(k, i)
						return
					}
				}
			}
		}},
		{"a limit in shadow takes when it is over", "give after refusal", func(b *badLimiter) {
			b.afterTake(func(d store.Decision, now time.Time, limits []store.Limit) {
				for i, l := range limits {
					if d.Allowed && l.Shadow && slices.Contains(d.Over, i) {
						k := store.Limit{Key: l.Key, Per: l.Per}
						b.limits[k] = append(b.limits[k][1:], now)
					}
				}
			})
		}},
		{"returns all of one time", "give of one key twice", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				b.limits[k] = slices.DeleteFunc(b.limits[k], taken.Equal)
			}
		}},
		{"a late taking joins the latest", "give a moment behind", func(b *badLimiter) {
			b.afterTake(func(_ store.Decision, _ time.Time, limits []store.Limit) {
				for _, l := range limits {
					k := store.Limit{Key: l.Key, Per: l.Per}
					if n := len(b.limits[k]); n > 1 {
						b.limits[k][n-1] = latest(b.limits[k][n-1], b.limits[k][n-2])
					}
				}
			})
		}},
		{"returns to a large limit whatever the time", "give to many", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) { b.giveBack(k, b.nearest(k, taken)) }
		}},
		{"gives nothing to a large limit", "give to many", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				if len(b.limits[k]) < 256 {
					b.giveBack(k, b.own(k, taken))
				}
			}
		}},
		{"keeps an empty limit", "nothing left", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				if i := b.own(k, taken); i >= 0 {
					b.limits[k] = slices.Delete(b.limits[k], i, i+1)
				}
			}
		}},
		{"begins a limit on a Take that is refused", "nothing left", func(b *badLimiter) {
			b.afterTake(func(d store.Decision, _ time.Time, limits []store.Limit) {
				for _, l := range limits {
					k := store.Limit{Key: l.Key, Per: l.Per}
					if !d.Allowed && b.limits[k] == nil {
						b.limits[k] = []time.Time{}
					}
				}
			})
		}},
		{"looks, then returns", "parallel gives", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				i := b.own(k, taken)
				b.mu.Unlock()
				pauseForOthers()
				b.mu.Lock()
				b.giveBack(k, i)
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
