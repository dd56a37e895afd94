package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A faulty is a naive backend of which some methods are replaced.
type faulty struct {
	*naive
	create    func(*store.Record, time.Time) error
	get       func(id string, now time.Time) (*store.Record, error)
	attempt   func(id string, token store.Token, now time.Time) (*store.Record, error)
	finish    func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error)
	update    func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error)
	cancelAll func(subject, group string, until, now time.Time) error

	forgetMarks bool // by Forget
	forgetAll   bool // by Forget
}

func (f *faulty) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if f.create != nil {
		return f.create(r, now)
	}
	return f.naive.Create(ctx, r, now)
}

func (f *faulty) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	if f.get != nil {
		return f.get(id, now)
	}
	return f.naive.Get(ctx, id, now)
}

func (f *faulty) Attempt(ctx context.Context, id string, token store.Token, now time.Time) (*store.Record, error) {
	if f.attempt != nil {
		return f.attempt(id, token, now)
	}
	return f.naive.Attempt(ctx, id, token, now)
}

func (f *faulty) Finish(
	ctx context.Context, id string, o store.Outcome, token store.Token, now time.Time,
) (*store.Record, error) {
	if f.finish != nil {
		return f.finish(id, o, token, now)
	}
	return f.naive.Finish(ctx, id, o, token, now)
}

func (f *faulty) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	if f.update != nil {
		return f.update(id, revision, delivery, now)
	}
	return f.naive.Update(ctx, id, revision, delivery, now)
}

func (f *faulty) CancelAll(ctx context.Context, bucket, subject, group string, until, now time.Time) error {
	if f.cancelAll != nil {
		return f.cancelAll(subject, group, until, now)
	}
	return f.naive.CancelAll(ctx, bucket, subject, group, until, now)
}

// A storeMutant is a fault of a Store, and the name of the case that catches it.
type storeMutant struct {
	fault  string
	caught string
	add    func(*faulty)
}

// catchAll checks that each of mutants is caught.
func catchAll(t *testing.T, mutants []storeMutant) {
	t.Helper()
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, storeCases(), m.caught, func() store.Store {
				f := &faulty{naive: newNaive()}
				m.add(f)
				return f
			})
		})
	}
}

// checkThenAct runs f as a transaction that reads, decides and only then
// writes, with the others let in between.
func (s *naive) checkThenAct(
	id string, now time.Time, f func(*store.Record) error, write func(stored *naiveChallenge, decided *store.Record),
) (*store.Record, error) {
	r, err := s.Get(context.Background(), id, now)
	if err != nil {
		return r, err
	}
	if err := f(r); err != nil {
		return r, err
	}
	pauseForOthers()
	return s.with(id, now, func(stored *naiveChallenge) error {
		write(stored, r)
		return nil
	})
}

func TestStoreMutants(t *testing.T) {
	catchAll(t, []storeMutant{
		{"check-then-act Attempt", "parallel attempts", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				return f.checkThenAct(id, now, func(r *store.Record) error {
					if r.Attempts >= r.MaxAttempts {
						return store.ErrExhausted
					}
					return nil
				}, func(stored *naiveChallenge, _ *store.Record) { stored.Attempts++ })
			}
		}},
		{"Attempt loses charges", "parallel attempts", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				return f.checkThenAct(id, now, func(r *store.Record) error {
					if r.Attempts++; r.Attempts > r.MaxAttempts {
						return store.ErrExhausted
					}
					return nil
				}, func(stored *naiveChallenge, decided *store.Record) { stored.Attempts = decided.Attempts })
			}
		}},
		{"refused Attempt is charged to the subject", "errors charge nothing", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if errors.Is(err, store.ErrExhausted) {
					f.mu.Lock()
					defer f.mu.Unlock()
					f.fail(&f.recs[id].Record, now)
				}
				return r, err
			}
		}},
		{"check-then-act Finish: no one winner", "parallel finishes", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				return f.checkThenAct(id, now, func(r *store.Record) error {
					if r.Outcome != store.Open {
						return store.ErrClosed
					}
					return nil
				}, func(stored *naiveChallenge, _ *store.Record) { stored.Outcome = o })
			}
		}},
		{"Finish always wins", "finish", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				return f.with(id, now, func(r *naiveChallenge) error { r.Outcome = o; return nil })
			}
		}},
		{"Verified only dates the run's end", "verified ends run at once", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				u := f.runs[f.recs[id].Subject]
				f.mu.Unlock()
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				if err == nil && u != nil {
					f.mu.Lock()
					defer f.mu.Unlock()
					f.runs[r.Subject], u.until = u, now
				}
				return r, err
			}
		}},
		{"Cancelled ends the run", "cancelled keeps run", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				if err == nil {
					f.mu.Lock()
					defer f.mu.Unlock()
					delete(f.runs, r.Subject)
				}
				return r, err
			}
		}},
		{"the run dies with its challenge", "run outlives challenges", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				f.mu.Lock()
				for _, old := range f.recs {
					if !now.Before(old.Expires) {
						delete(f.runs, old.Subject)
					}
				}
				f.mu.Unlock()
				return f.naive.Create(t.Context(), r, now)
			}
		}},
		{"the run belongs to a key", "lock", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				subject := r.Subject
				r.Subject += r.Key
				err := f.naive.Create(t.Context(), r, now)
				r.Subject = subject
				return err
			}
		}},
		{"the lock has no end", "lock ends", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if err == nil && !r.LockedUntil.IsZero() {
					f.runs[r.Subject].until = now.Add(1000 * time.Hour)
				}
				return r, err
			}
		}},
		{"the lock lasts as long as the run is remembered", "two policies", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, _ := f.naive.Get(t.Context(), id, now)
				until := now
				if u := f.runs[r.Subject]; u != nil {
					until = u.until
				}
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if err == nil && !r.LockedUntil.IsZero() && until.After(r.LockedUntil) {
					f.runs[r.Subject].until, r.LockedUntil = until, until
				}
				return r, err
			}
		}},
		{"the latest failure says how long the run is remembered", "two policies", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if err == nil {
					f.runs[r.Subject].until = now.Add(r.Lock)
				}
				return r, err
			}
		}},
		{"Update obeys the lock", "error order", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				r, err := f.naive.Get(t.Context(), id, now)
				if err == nil && r.Revision == revision && !r.LockedUntil.IsZero() {
					return r, store.ErrLocked
				}
				return f.naive.Update(t.Context(), id, revision, delivery, now)
			}
		}},
		{"Create ignores the lock", "lock", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				c := clone(r)
				c.Subject = "nobody"
				err := f.naive.Create(t.Context(), c, now)
				c.Subject = r.Subject
				f.recs[r.ID] = &naiveChallenge{Record: *clone(c)}
				*r = *c
				return err
			}
		}},
		{"Update without compare-and-swap", "parallel updates", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				pauseForOthers()
				return f.with(id, now, func(r *naiveChallenge) error {
					r.Delivery, r.Revision = delivery, r.Revision+1
					return nil
				})
			}
		}},
		{"Update refuses a closed challenge", "update", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				if r, err := f.naive.Get(t.Context(), id, now); err == nil && r.Outcome != store.Open {
					return r, store.ErrClosed
				}
				return f.naive.Update(t.Context(), id, revision, delivery, now)
			}
		}},
		{"hands out its own record", "copies", func(f *faulty) {
			f.get = func(id string, _ time.Time) (*store.Record, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				return &f.recs[id].Record, nil
			}
		}},
		{"keeps the caller's record", "copies", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				err := f.naive.Create(t.Context(), r, now)
				f.recs[r.ID].Sealed = r.Sealed
				return err
			}
		}},
		{"forgets a field", "round trip", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				err := f.naive.Create(t.Context(), r, now)
				f.recs[r.ID].NewCode = false
				return err
			}
		}},
		{"expires a moment late", "expiry", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				return f.naive.Attempt(t.Context(), id, token, now.Add(-time.Microsecond))
			}
		}},
		{"overwrites a live record", "create exists", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				delete(f.recs, r.ID)
				return f.naive.Create(t.Context(), r, now)
			}
		}},
	})
}
