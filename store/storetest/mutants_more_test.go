package storetest

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// noZone returns the time that a database without time zones makes of t.
func noZone(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// asIf has Create store what change makes of a record.
func (f *faulty) asIf(change func(*store.Record)) {
	f.create = func(r *store.Record, now time.Time) error {
		passed := *r
		change(r)
		err := f.naive.Create(context.Background(), r, now)
		passed.Attempts, passed.Revision, passed.LockedUntil = r.Attempts, r.Revision, r.LockedUntil
		*r = passed
		return err
	}
}

// onExpired calls do when a method has returned ErrExpired.
func (f *faulty) onExpired(do func(r *naiveChallenge, o store.Outcome, now time.Time)) {
	f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
		r, err := f.naive.Attempt(context.Background(), id, token, now)
		if errors.Is(err, store.ErrExpired) {
			do(f.recs[id], store.Open, now)
		}
		return r, err
	}
	f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
		r, err := f.naive.Finish(context.Background(), id, o, token, now)
		if errors.Is(err, store.ErrExpired) {
			do(f.recs[id], o, now)
		}
		return r, err
	}
}

// bucketMates returns the subjects whose challenges share a bucket, apart from one of them.
func (s *naive) bucketMates(bucket, subject string) []string {
	var mates []string
	for _, r := range s.recs {
		if bucketOf(r.ID) == bucket && r.Subject != subject {
			mates = append(mates, r.Subject)
		}
	}
	return mates
}

func TestRecordMutants(t *testing.T) {
	catchAll(t, []storeMutant{
		{"keeps times without their zone", "round trip", func(f *faulty) {
			f.asIf(func(r *store.Record) { r.Created, r.Expires = noZone(r.Created), noZone(r.Expires) })
		}},
		{"has no record with ErrExpired", "expiry", func(f *faulty) {
			f.get = func(id string, now time.Time) (*store.Record, error) {
				r, err := f.naive.Get(t.Context(), id, now)
				if err != nil {
					return nil, err
				}
				return r, nil
			}
		}},
		{"hands out its own record with an error", "copies", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				r, err := f.naive.Update(t.Context(), id, revision, delivery, now)
				if err != nil {
					return &f.recs[id].Record, err
				}
				return r, nil
			}
		}},
		{"Update writes a whole record over an Attempt", "parallel methods", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				before, _ := f.naive.Get(t.Context(), id, now)
				pauseForOthers()
				return f.with(id, now, func(r *naiveChallenge) error {
					if r.Revision != revision {
						return store.ErrConflict
					}
					r.Delivery, r.Revision, r.Attempts = delivery, r.Revision+1, before.Attempts
					return nil
				})
			}
		}},
		{"Update writes a whole record over a Finish", "parallel methods", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				before, _ := f.naive.Get(t.Context(), id, now)
				pauseForOthers()
				return f.with(id, now, func(r *naiveChallenge) error {
					if r.Revision != revision {
						return store.ErrConflict
					}
					r.Delivery, r.Revision, r.Outcome = delivery, r.Revision+1, before.Outcome
					return nil
				})
			}
		}},
		{"Creates of one subject overwrite each other", "parallel creates", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				f.mu.Lock()
				all := maps.Clone(f.recs)
				f.mu.Unlock()
				if all[r.ID] == nil {
					pauseForOthers()
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.recs[r.ID] == nil {
					f.recs = all
				}
				return f.naive.create(r, now)
			}
		}},
		{"has room for 1000 records, of which the oldest goes", "none evicted", evicts(
			func(r *store.Record) string { return r.ID }, func(f *faulty, id string) { delete(f.recs, id) })},
		{"has room for 1000 runs, of which the oldest goes", "none evicted", evicts(
			func(r *store.Record) string { return r.Subject }, func(f *faulty, s string) { delete(f.runs, s) })},
		{"collects by the clock of one call", "clock goes back", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				maps.DeleteFunc(f.recs, func(_ string, old *naiveChallenge) bool { return !now.Before(old.Expires) })
				return f.naive.create(r, now)
			}
		}},
	})
}

// evicts makes a store remove the oldest of over 1000 names, one for each Create.
func evicts(nameOf func(*store.Record) string, remove func(f *faulty, name string)) func(*faulty) {
	return func(f *faulty) {
		var names []string
		f.create = func(r *store.Record, now time.Time) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if names = append(names, nameOf(r)); len(names) > 1000 {
				remove(f, names[0])
				names = names[1:]
			}
			return f.naive.create(r, now)
		}
	}
}

func TestCountMutants(t *testing.T) {
	wide := func(change func(*store.Record)) func(*faulty) { return func(f *faulty) { f.asIf(change) } }
	catchAll(t, []storeMutant{
		{"counts attempts in an octet", "many attempts", wide(func(r *store.Record) { r.MaxAttempts %= 256 })},
		{"counts a run in an octet", "many attempts", wide(func(r *store.Record) {
			if r.MaxFailures > 255 {
				r.MaxFailures = math.MaxInt
			}
		})},
		{"counts failures for MaxRun in an octet", "many attempts", wide(func(r *store.Record) {
			if r.MaxRun > 255 {
				r.MaxRun = math.MaxInt
			}
		})},
		{"keeps 100 tokens", "many attempts", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				if charged := f.recs[id].charged; len(charged) > 100 {
					charged[len(charged)-101] = 0
				}
				f.mu.Unlock()
				return f.naive.Attempt(t.Context(), id, token, now)
			}
		}},
		{"counts a lock in 31 bits of milliseconds", "two policies", wide(func(r *store.Record) {
			if r.Lock > math.MaxInt32*time.Millisecond {
				r.Lock = time.Millisecond
			}
		})},
		{"takes the cap of the first challenge", "two caps", func(f *faulty) {
			first := map[string]int{}
			f.asIf(func(r *store.Record) {
				if first[r.Subject] == 0 {
					first[r.Subject] = r.MaxRun
				}
				r.MaxRun = first[r.Subject]
			})
		}},
		{"keeps a count when its lock has ended", "two caps", func(f *faulty) {
			longest := map[*naiveRun]time.Time{}
			f.after(t, func(u *naiveRun, _ time.Time) {
				u.life = latest(u.life, longest[u])
				longest[u] = u.life
			})
		}},
		{"forgets the count before the run", "cap and Lock", func(f *faulty) {
			f.after(t, func(u *naiveRun, now time.Time) {
				if !u.locked && u.life.Before(u.until) {
					u.total = 0
				}
			})
		}},
		{"caps for RunLife though Lock is longer", "cap and Lock", wide(func(r *store.Record) {
			r.Lock = min(r.Lock, r.RunLife)
		})},
		{"an expired Attempt is a failure", "errors charge nothing", func(f *faulty) {
			f.onExpired(func(r *naiveChallenge, o store.Outcome, now time.Time) {
				if o == store.Open {
					f.fail(&r.Record, now)
				}
			})
		}},
		{"an expired Finish ends the run", "errors charge nothing", func(f *faulty) {
			f.onExpired(func(r *naiveChallenge, o store.Outcome, now time.Time) {
				if o == store.Verified {
					delete(f.runs, r.Subject)
				}
			})
		}},
		{"a run is of the bucket", "subjects of a bucket", func(f *faulty) {
			f.asIf(func(r *store.Record) { r.Subject = bucketOf(r.ID) })
		}},
		{"subjects ignore case", "subjects of a bucket", func(f *faulty) {
			f.asIf(func(r *store.Record) { r.Subject = strings.ToLower(r.Subject) })
		}},
		{"Verified ends the runs of the bucket", "subjects of a bucket", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				for _, other := range f.bucketMates(bucketOf(id), r.Subject) {
					delete(f.runs, other)
				}
				return r, err
			}
		}},
		{"Forget forgets all", "subjects of a bucket", func(f *faulty) { f.forgetAll = true }},
		{"Finish obeys another challenge's lock", "locking charge wins", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Get(t.Context(), id, now)
				if err == nil && !r.LockedUntil.IsZero() && r.Attempts == 1 {
					return r, store.ErrLocked
				}
				return f.naive.Finish(t.Context(), id, o, token, now)
			}
		}},
	})
}

func TestMoreLimiterMutants(t *testing.T) {
	each := func(change func(*store.Limit)) func(b *badLimiter) {
		return func(b *badLimiter) { b.take = b.each(change) }
	}
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badLimiter)
	}{
		{"ignores case", "keys apart", each(func(l *store.Limit) { l.Key = strings.ToLower(l.Key) })},
		{"ends keys at a NUL", "keys apart", each(func(l *store.Limit) { l.Key, _, _ = strings.Cut(l.Key, "\x00") })},
		{"trims keys", "keys apart", each(func(l *store.Limit) { l.Key = strings.TrimSpace(l.Key) })},
		{"cuts keys", "keys apart", each(func(l *store.Limit) { l.Key = l.Key[:min(len(l.Key), 255)] })},
		{"counts Per in 31 bits of milliseconds", "most", each(func(l *store.Limit) {
			if l.Per > math.MaxInt32*time.Millisecond {
				l.Per = time.Second
			}
		})},
		{"counts Per in seconds", "most", each(func(l *store.Limit) {
			if l.Per > 0 {
				l.Per = max(l.Per.Truncate(time.Second), 1)
			}
		})},
		{"adds N beyond an int", "more than most", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				if len(limits) == 1 && limits[0].N == math.MaxInt {
					return store.Decision{Allowed: true}, nil
				}
				return b.naive.Take(t.Context(), now, limits...)
			}
		}},
		{"has a caller wait for an N over Most", "more than most", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				d, err := b.naive.Take(t.Context(), now, limits...)
				if !d.Allowed {
					d.RetryAfter = min(d.RetryAfter, time.Second)
				}
				return d, err
			}
		}},
		{"counts small and large limits apart", "thresholds of one key", each(func(l *store.Limit) {
			if l.Most > 64 {
				l.Key += "large"
			}
		})},
		{"remembers Most takings of the latest Most", "thresholds of one key", func(b *badLimiter) {
			b.afterTake(func(_ store.Decision, _ time.Time, limits []store.Limit) {
				for _, l := range limits {
					k := store.Limit{Key: l.Key, Per: l.Per}
					if taken := b.limits[k]; !l.Peek && len(taken) > l.Most {
						b.limits[k] = taken[len(taken)-l.Most:]
					}
				}
			})
		}},
		{"peeks at one", "peek", each(func(l *store.Limit) {
			if l.Peek {
				l.N = min(l.N, 1)
			}
		})},
		{"counts what a peek would take", "one key several times", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				changed := slices.Clone(limits)
				for i := 1; i < len(limits); i++ {
					if before := limits[i-1]; before.Peek && before.Key == limits[i].Key {
						changed[i].N = limits[i].Takings() + before.Takings()
					}
				}
				return b.naive.Take(t.Context(), now, changed...)
			}
		}},
		{"takes in shadow though another refuses", "all or none", func(b *badLimiter) {
			b.afterTake(func(d store.Decision, now time.Time, limits []store.Limit) {
				for i, l := range limits {
					if !d.Allowed && l.Shadow && !slices.Contains(d.Over, i) {
						k := store.Limit{Key: l.Key, Per: l.Per}
						b.limits[k] = append(b.limits[k], now)
					}
				}
			})
		}},
		{"sorts the caller's limits", "all or none", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				d, err := b.naive.Take(t.Context(), now, limits...)
				slices.SortFunc(limits, func(x, y store.Limit) int { return strings.Compare(y.Key, x.Key) })
				return d, err
			}
		}},
		{"uses a Decision's slice again", "waits", func(b *badLimiter) {
			var over []int
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				d, err := b.naive.Take(t.Context(), now, limits...)
				over = append(over[:0], d.Over...)
				d.Over = over
				return d, err
			}
		}},
		{"gives before it has looked at all", "bad limits", func(b *badLimiter) {
			b.give = func(k store.Limit, taken time.Time) { b.giveBack(k, b.own(k, taken)) } // and then checks
		}},
		{"has room for 1000 limits, of which the oldest goes", "none evicted", func(b *badLimiter) {
			var keys []store.Limit
			b.afterTake(func(_ store.Decision, _ time.Time, limits []store.Limit) {
				keys = append(keys, store.Limit{Key: limits[0].Key, Per: limits[0].Per})
				if len(keys) > 1000 {
					delete(b.limits, keys[0])
					keys = keys[1:]
				}
			})
		}},
		{"looks, then takes at once", "parallel takes", func(b *badLimiter) {
			b.take = func(now time.Time, limits []store.Limit) (store.Decision, error) {
				peeks := slices.Clone(limits)
				for i := range peeks {
					peeks[i].Peek = true
				}
				if d, err := b.naive.Take(t.Context(), now, peeks...); err != nil || !d.Allowed {
					return d, err
				}
				for i := range peeks {
					peeks[i].Peek, peeks[i].Most = false, math.MaxInt16
				}
				return b.naive.Take(t.Context(), now, peeks...)
			}
		}},
		{"forgets takings by the clock of one call", "clock goes back", func(b *badLimiter) {
			b.afterTake(func(_ store.Decision, now time.Time, _ []store.Limit) {
				for k, taken := range b.limits {
					b.limits[k] = slices.DeleteFunc(taken, func(at time.Time) bool { return !at.Add(k.Per).After(now) })
				}
			})
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

// A foldingTracker changes keys and messages before it keeps them, or has room for 1000.
type foldingTracker struct {
	*naive
	key, message func(string) string
	room         bool
	keys         []string
	uses         map[string]int
}

func (f *foldingTracker) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	f.mu.Lock()
	if f.keys = append(f.keys, key); f.room && len(f.keys) > 1000 {
		delete(f.tracks, f.keys[0])
		f.keys = f.keys[1:]
	}
	f.mu.Unlock()
	return f.naive.Track(ctx, f.key(key), f.message(message), expires, now)
}

func (f *foldingTracker) Match(
	ctx context.Context, key string, receipt []byte, expires, now time.Time,
) (string, error) {
	message, err := f.naive.Match(ctx, f.key(key), receipt, expires, now)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uses[key]++; f.uses[key] > 10 { // forgets a key that has been matched so often
		return "", err
	}
	return message, err
}

func TestMoreTrackerMutants(t *testing.T) {
	same := func(s string) string { return s }
	cut := func(n int) func(string) string { return func(s string) string { return s[:min(len(s), n)] } }
	for _, m := range []struct {
		fault, caught string
		key, message  func(string) string
		room          bool
	}{
		{"ignores case", "keys apart", strings.ToLower, same, false},
		{"cuts keys", "keys apart", cut(255), same, false},
		{"trims keys", "keys apart", strings.TrimSpace, same, false},
		{"knows a provider's id only", "keys apart", func(s string) string { return s[strings.LastIndex(s, "/")+1:] },
			same, false},
		{"cuts messages", "keys apart", same, cut(64), false},
		{"has room for 1000 keys, of which the oldest goes", "tracked not evicted", same, same, true},
		{"matches ten times", "track then match", same, same, false},
	} {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, trackerCases(), m.caught, func() store.Tracker {
				return &foldingTracker{naive: newNaive(), key: m.key, message: m.message, room: m.room,
					uses: map[string]int{}}
			})
		})
	}
}

// A collectingTracker drops keys by the clock of one call.
type collectingTracker struct{ *naive }

func (c collectingTracker) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	c.mu.Lock()
	maps.DeleteFunc(c.tracks, func(_ string, t *naiveTrack) bool { return !now.Before(t.expires) })
	c.mu.Unlock()
	return c.naive.Track(ctx, key, message, expires, now)
}

func TestTrackerCollectsByOneClock(t *testing.T) {
	catches(t, trackerCases(), "parked by clocks that differ", func() store.Tracker {
		return collectingTracker{newNaive()}
	})
}

func TestMoreOpenMutants(t *testing.T) {
	ctx := t.Context()
	for _, m := range []struct {
		fault  string
		caught string
		open   func(s *naive, r *store.Record, now time.Time, limits []store.Limit) (store.Decision, error)
	}{
		{"keeps the caller's record", "open both", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			d, err := s.Open(ctx, r, now, l...)
			if c := s.recs[r.ID]; c != nil {
				c.Sealed = r.Sealed
			}
			return d, err
		}},
		{"changes the caller's limits", "open neither", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			d, err := s.Open(ctx, r, now, l...)
			slices.SortFunc(l, func(x, y store.Limit) int { return strings.Compare(y.Key, x.Key) })
			return d, err
		}},
		{"takes one key once", "open neither", func(s *naive, r *store.Record, now time.Time, l []store.Limit) (
			store.Decision, error) {
			return s.Open(ctx, r, now, slices.Compact(slices.Clone(l))...)
		}},
		{"creates before it looks at the limits", "open neither", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			if err := checkLimits(l); err != nil {
				return store.Decision{}, errors.Join(err, s.Create(ctx, r, now))
			}
			return s.Open(ctx, r, now, l...)
		}},
		{"takes an expired record for a repeat", "open again", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			if s.recs[r.ID] != nil && now.After(r.Created) {
				return store.Decision{Allowed: true}, nil
			}
			return s.Open(ctx, r, now, l...)
		}},
		{"looks for a repeat, and then opens", "parallel opens", func(s *naive, r *store.Record, now time.Time,
			l []store.Limit) (store.Decision, error) {
			if _, err := s.Get(ctx, r.ID, now); err == nil {
				return s.Open(ctx, r, now, l...)
			}
			pauseForOthers()
			return takeThenCreate(s, r, now, l)
		}},
	} {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, storeCases(), m.caught, func() store.Store { return &badDoor{newNaive(), m.open} })
		})
	}
}
