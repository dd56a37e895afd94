package storetest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// each returns a Take whose limits change has changed before.
func (b *badLimiter) each(change func(*store.Limit)) func(time.Time, []store.Limit) (store.Decision, error) {
	return func(now time.Time, limits []store.Limit) (store.Decision, error) {
		changed := slices.Clone(limits)
		for i := range changed {
			change(&changed[i])
		}
		return b.naive.Take(context.Background(), now, changed...)
	}
}

func TestSeveralMutants(t *testing.T) {
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badLimiter)
	}{
		{"takes one", "several at once", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.N = min(l.N, 1) })
		}},
		{"lets an N over Most pass", "more than most", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Most = max(l.Most, l.N) })
		}},
		{"counts the N of the last only", "one key several times", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				if len(limits) > 1 && limits[0].N > 5 && limits[0].Key == limits[1].Key {
					limits = limits[1:]
				}
				return b.naive.Take(t.Context(), now, limits...)
			}
		}},
		{"counts what is of one thing together", "counts of a thing", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Key, _, _ = strings.Cut(l.Key, store.Of) })
		}},
		{"takes what it peeks at", "peek", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Peek = false })
		}},
		{"a peek never refuses", "peek", func(b *badLimiter) {
			b.take = b.each(func(l *store.Limit) { l.Shadow = l.Shadow || l.Peek })
		}},
		{"has one wait for all", "waits", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				d, err := b.naive.Take(t.Context(), now, limits...)
				for i := range d.Waits {
					d.Waits[i] = d.RetryAfter
				}
				return d, err
			}
		}},
		{"gives one", "give several", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) { b.giveBack(k, b.own(k, taken)) }
		}},
		{"gives nothing at the zero time", "give latest", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) { b.giveBack(k, b.own(k, taken)) }
		}},
		{"gives the oldest at the zero time", "give latest", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				if taken.IsZero() {
					b.giveBack(k, 0)
				} else {
					b.giveBack(k, b.own(k, taken))
				}
			}
		}},
		{"gives all at the zero time", "give latest to many", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) {
				if taken.IsZero() {
					delete(b.limits, k)
				}
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
