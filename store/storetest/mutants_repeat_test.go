package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

func TestCreateRepeatMutants(t *testing.T) {
	// repeat replaces what Create does if a record of the ID is live.
	repeat := func(f *faulty, do func(old *naiveChallenge, r *store.Record, now time.Time) error) {
		f.create = func(r *store.Record, now time.Time) error {
			f.mu.Lock()
			old := f.recs[r.ID]
			f.mu.Unlock()
			if old != nil && now.Before(old.Expires) {
				return do(old, r, now)
			}
			pauseForOthers()
			return f.naive.Create(t.Context(), r, now)
		}
	}
	catchAll(t, []storeMutant{
		{"a repeat is refused", "create repeated", func(f *faulty) {
			repeat(f, func(*naiveChallenge, *store.Record, time.Time) error { return store.ErrExists })
		}},
		{"a repeat starts anew", "create repeated", func(f *faulty) {
			repeat(f, func(old *naiveChallenge, r *store.Record, now time.Time) error {
				if bytes.Equal(old.Salt, r.Salt) {
					delete(f.recs, r.ID)
				}
				return f.naive.Create(t.Context(), r, now)
			})
		}},
		{"a repeat replaces Delivery", "create repeated", func(f *faulty) {
			repeat(f, func(old *naiveChallenge, r *store.Record, now time.Time) error {
				old.Delivery = bytes.Clone(r.Delivery)
				return f.naive.Create(t.Context(), r, now)
			})
		}},
		{"a repeat leaves the record as it was passed", "create repeated", func(f *faulty) {
			repeat(f, func(_ *naiveChallenge, r *store.Record, now time.Time) error {
				return f.naive.Create(t.Context(), clone(r), now)
			})
		}},
		{"a repeat obeys the lock", "create repeated", func(f *faulty) {
			repeat(f, func(_ *naiveChallenge, r *store.Record, now time.Time) error {
				if !f.lockedUntil(r.Subject, now).IsZero() {
					return store.ErrLocked
				}
				return f.naive.Create(t.Context(), r, now)
			})
		}},
		{"any Salt is a repeat", "create exists", func(f *faulty) {
			repeat(f, func(*naiveChallenge, *store.Record, time.Time) error { return nil })
		}},
		{"a Salt that begins alike is a repeat", "create exists", func(f *faulty) {
			repeat(f, func(old *naiveChallenge, r *store.Record, now time.Time) error {
				if bytes.HasPrefix(r.Salt, old.Salt) {
					return nil
				}
				return f.naive.Create(t.Context(), r, now)
			})
		}},
		{"check-then-act Create", "parallel creates", func(f *faulty) {
			repeat(f, func(old *naiveChallenge, r *store.Record, now time.Time) error {
				return f.naive.Create(t.Context(), r, now)
			})
			checked := f.create
			f.create = func(r *store.Record, now time.Time) error {
				if _, err := f.Get(t.Context(), r.ID, now); err == nil {
					return checked(r, now)
				}
				pauseForOthers()
				f.mu.Lock()
				defer f.mu.Unlock()
				f.recs[r.ID] = &naiveChallenge{Record: *clone(r)}
				return nil
			}
		}},
		{"the tokens outlive their record", "create after expiry", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				old := f.recs[r.ID]
				err := f.naive.Create(t.Context(), r, now)
				if err == nil && old != nil {
					f.recs[r.ID].charged = old.charged
				}
				return err
			}
		}},
	})
}

// repeats has f find out by known which number, from 1, a token was charged as.
// Tokens are handed to it as f keeps them: the octets of each, in order.
func (f *faulty) repeats(known func(charged []byte, token []byte) (number int)) {
	charged := map[string][]byte{}
	f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
		number := 0
		r, err := f.with(id, now, func(r *naiveChallenge) error {
			octets := binary.BigEndian.AppendUint64(nil, uint64(token))
			if number = known(charged[id], octets); number > 0 {
				return nil
			}
			if r.Attempts >= r.MaxAttempts {
				return store.ErrExhausted
			}
			charged[id] = append(charged[id], octets...)
			r.Attempts++
			f.fail(&r.Record, now)
			return nil
		})
		if number > 0 {
			r.Attempts = number
		}
		return r, err
	}
}

// first returns the number of the first token of charged that equal says is token.
func first(charged, token []byte, equal func(a, b []byte) bool) int {
	for i, n := 0, 1; i < len(charged); i, n = i+8, n+1 {
		if equal(charged[i:i+8], token) {
			return n
		}
	}
	return 0
}

// onRepeat calls do when an Attempt has been repeated.
func (f *faulty) onRepeat(
	do func(id string, r *store.Record, now time.Time) (*store.Record, error),
) {
	f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
		f.mu.Lock()
		c := f.recs[id]
		repeated := c != nil && slices.Contains(c.charged, token)
		f.mu.Unlock()
		r, err := f.naive.Attempt(context.Background(), id, token, now)
		if repeated && err == nil {
			return do(id, r, now)
		}
		return r, err
	}
}

func TestAttemptRepeatMutants(t *testing.T) {
	catchAll(t, []storeMutant{
		{"tokens are forgotten", "attempt repeated", func(f *faulty) {
			f.repeats(func([]byte, []byte) int { return 0 })
		}},
		{"only the latest token is known", "attempt repeated", func(f *faulty) {
			f.repeats(func(charged, token []byte) int {
				if bytes.HasSuffix(charged, token) {
					return len(charged) / 8
				}
				return 0
			})
		}},
		{"a repeat is charged to the run", "attempt repeated", func(f *faulty) {
			f.onRepeat(func(id string, r *store.Record, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.fail(&f.recs[id].Record, now)
				return r, nil
			})
		}},
		{"a repeat has the number of now", "attempt repeated", func(f *faulty) {
			f.onRepeat(func(id string, _ *store.Record, now time.Time) (*store.Record, error) {
				return f.naive.Get(t.Context(), id, now)
			})
		}},
		{"a repeat sets the number back", "attempt repeated", func(f *faulty) {
			f.onRepeat(func(id string, r *store.Record, _ time.Time) (*store.Record, error) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.recs[id].Attempts = r.Attempts
				return r, nil
			})
		}},
		{"a repeat of a closed challenge is refused", "attempt repeated later", func(f *faulty) {
			f.onRepeat(func(_ string, r *store.Record, _ time.Time) (*store.Record, error) {
				if r.Outcome != store.Open {
					return r, store.ErrClosed
				}
				return r, nil
			})
		}},
		{"a repeat of a locked subject is refused", "attempt repeated later", func(f *faulty) {
			f.onRepeat(func(_ string, r *store.Record, _ time.Time) (*store.Record, error) {
				if !r.LockedUntil.IsZero() {
					return r, store.ErrLocked
				}
				return r, nil
			})
		}},
		{"a repeat has the record as it was", "attempt repeated later", func(f *faulty) {
			f.onRepeat(func(_ string, r *store.Record, _ time.Time) (*store.Record, error) {
				r.Outcome = store.Open
				return r, nil
			})
		}},
		{"a refused token is remembered", "refused token", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if errors.Is(err, store.ErrLocked) {
					f.recs[id].charged = append(f.recs[id].charged, token)
				}
				return r, err
			}
		}},
		{"a refused token is remembered when attempts are used up", "refused token", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if errors.Is(err, store.ErrExhausted) {
					f.recs[id].charged = append(f.recs[id].charged, token)
				}
				return r, err
			}
		}},
		{"a token is found at any octet", "tokens apart", func(f *faulty) {
			f.repeats(func(charged, token []byte) int { return (bytes.Index(charged, token) + 8) / 8 })
		}},
		{"half a token is compared", "tokens apart", func(f *faulty) {
			f.repeats(func(charged, token []byte) int {
				return first(charged, token, func(a, b []byte) bool { return bytes.Equal(a[4:], b[4:]) })
			})
		}},
		{"a token is a float", "tokens apart", func(f *faulty) {
			f.repeats(func(charged, token []byte) int {
				return first(charged, token, func(a, b []byte) bool {
					return float64(binary.BigEndian.Uint64(a)) == float64(binary.BigEndian.Uint64(b))
				})
			})
		}},
		{"tokens are the store's", "tokens apart", func(f *faulty) {
			all := map[store.Token]bool{}
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				if all[token] && !slices.Contains(f.recs[id].charged, token) {
					return f.naive.Get(t.Context(), id, now)
				}
				all[token] = true
				return f.naive.Attempt(t.Context(), id, token, now)
			}
		}},
		{"a Finish's token is an Attempt's", "tokens apart", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				if err == nil {
					f.mu.Lock()
					defer f.mu.Unlock()
					f.recs[id].charged = append(f.recs[id].charged, token)
				}
				return r, err
			}
		}},
		{"an Attempt's token is a Finish's", "tokens apart", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				return f.with(id, now, func(r *naiveChallenge) error {
					if slices.Contains(r.charged, token) {
						return nil
					}
					r.Outcome = o
					return nil
				})
			}
		}},
		{"looks for the token, then charges", "parallel repeats", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				i := slices.Index(f.recs[id].charged, token)
				f.mu.Unlock()
				if i >= 0 {
					r, err := f.naive.Get(t.Context(), id, now)
					r.Attempts = i + 1
					return r, err
				}
				pauseForOthers()
				return f.with(id, now, func(r *naiveChallenge) error {
					r.charged = append(r.charged, token)
					r.Attempts++
					f.fail(&r.Record, now)
					return nil
				})
			}
		}},
	})
}

// onClosed replaces what Finish does to a challenge that was finished.
func (f *faulty) onClosed(do func(r *naiveChallenge, o store.Outcome, token store.Token) error) {
	f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
		r, err := f.naive.Get(context.Background(), id, now)
		if err != nil || r.Outcome == store.Open {
			return f.naive.Finish(context.Background(), id, o, token, now)
		}
		return f.with(id, now, func(r *naiveChallenge) error { return do(r, o, token) })
	}
}

func TestFinishRepeatMutants(t *testing.T) {
	endRun := func(f *faulty) {
		f.onClosed(func(r *naiveChallenge, o store.Outcome, token store.Token) error {
			if r.won != token || r.Outcome != o {
				return store.ErrClosed
			}
			if o == store.Verified {
				delete(f.runs, r.Subject)
				r.LockedUntil = time.Time{}
			}
			return nil
		})
	}
	lost := map[store.Token]bool{}
	catchAll(t, []storeMutant{
		{"the winner is forgotten", "finish repeated", func(f *faulty) {
			f.onClosed(func(*naiveChallenge, store.Outcome, store.Token) error { return store.ErrClosed })
		}},
		{"the winner wins with any outcome", "finish repeated", func(f *faulty) {
			f.onClosed(func(r *naiveChallenge, _ store.Outcome, token store.Token) error {
				if r.won != token {
					return store.ErrClosed
				}
				return nil
			})
		}},
		{"the winner changes the outcome", "finish repeated", func(f *faulty) {
			f.onClosed(func(r *naiveChallenge, o store.Outcome, token store.Token) error {
				if r.won != token {
					return store.ErrClosed
				}
				r.Outcome = o
				return nil
			})
		}},
		{"any token wins with the outcome", "finish repeated", func(f *faulty) {
			f.onClosed(func(r *naiveChallenge, o store.Outcome, _ store.Token) error {
				if r.Outcome != o {
					return store.ErrClosed
				}
				return nil
			})
		}},
		{"a loser that asks again is a winner", "finish repeated", func(f *faulty) {
			f.onClosed(func(r *naiveChallenge, o store.Outcome, token store.Token) error {
				if r.won == token && r.Outcome == o || lost[token] {
					return nil
				}
				lost[token] = r.won != token
				return store.ErrClosed
			})
		}},
		{"a repeat ends the run", "finish repeated later", endRun},
		{"a repeat ends the run, in parallel", "parallel repeated finishes", endRun},
		{"check-then-act repeat", "parallel repeated finishes", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				c := f.recs[id]
				wins := c.Outcome == store.Open || c.Outcome == o && c.won == token
				f.mu.Unlock()
				pauseForOthers()
				return f.with(id, now, func(r *naiveChallenge) error {
					if !wins {
						return store.ErrClosed
					}
					r.Outcome, r.won = o, token
					return nil
				})
			}
		}},
	})
}
