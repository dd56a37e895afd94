package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Forget forgets the marks, too, if f says so.
func (f *faulty) Forget(ctx context.Context, bucket, subject string, now time.Time) error {
	if f.forgetMarks {
		f.mu.Lock()
		delete(f.marks, subject)
		f.mu.Unlock()
	}
	if f.forgetAll {
		f.mu.Lock()
		clear(f.runs)
		f.mu.Unlock()
	}
	return f.naive.Forget(ctx, bucket, subject, now)
}

// after has change look at the run of the subject when an Attempt has ended.
func (f *faulty) after(t *testing.T, change func(u *naiveRun, now time.Time)) {
	f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
		r, err := f.naive.Attempt(t.Context(), id, token, now)
		f.mu.Lock()
		defer f.mu.Unlock()
		if u := f.runs[r.Subject]; err == nil && u != nil {
			change(u, now)
		}
		return r, err
	}
}

func TestRunMutants(t *testing.T) {
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*faulty)
	}{
		{"forgets the count with a lock", "cap outlives locks", func(f *faulty) {
			f.after(t, func(u *naiveRun, _ time.Time) {
				if u.locked && u.failures >= 10 {
					u.total = 0
				}
			})
		}},
		{"locks for Lock only", "cap locks for RunLife", func(f *faulty) {
			f.after(t, func(u *naiveRun, now time.Time) {
				if u.locked && u.failures < 10 {
					u.until, u.life = now.Add(30*time.Minute), now.Add(30*time.Minute)
				}
			})
		}},
		{"a success keeps the count", "verified ends count", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				f.mu.Lock()
				u := f.runs[f.recs[id].Subject]
				f.mu.Unlock()
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				f.mu.Lock()
				defer f.mu.Unlock()
				if u != nil && err == nil {
					f.runs[r.Subject] = &naiveRun{total: u.total, life: u.life}
				}
				return r, err
			}
		}},
		{"a success ends every count", "verified ends count", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				f.mu.Lock()
				defer f.mu.Unlock()
				if o == store.Verified && err == nil {
					clear(f.runs)
				}
				return r, err
			}
		}},
		{"a cancel ends the count", "cancelled keeps count", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				f.mu.Lock()
				defer f.mu.Unlock()
				if u := f.runs[r.Subject]; u != nil && err == nil {
					u.total = 0
				}
				return r, err
			}
		}},
		{"forgets from the first failure", "count forgotten", func(f *faulty) {
			first := map[*naiveRun]time.Time{}
			f.after(t, func(u *naiveRun, _ time.Time) {
				if first[u].IsZero() {
					first[u] = u.life
				}
				u.life = first[u]
			})
		}},
		{"never forgets", "count forgotten", func(f *faulty) {
			f.after(t, func(u *naiveRun, now time.Time) { u.life = latest(u.life, now.Add(50*24*time.Hour)) })
		}},
		{"counts a repeat", "repeat not counted", func(f *faulty) {
			f.after(t, func(u *naiveRun, _ time.Time) { u.total += 2 })
		}},
		{"Forget forgets marks", "forget", func(f *faulty) { f.forgetMarks = true }},
		{"caps by itself", "no cap", func(f *faulty) {
			f.create = func(r *store.Record, now time.Time) error {
				r.MaxRun, r.RunLife = 100, month
				return f.naive.Create(t.Context(), r, now)
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
