package storetest

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// marked changes the marks of a subject when a CancelAll has ended.
func (f *faulty) marked(change func(subject, group string, until, now time.Time)) {
	f.cancelAll = func(subject, group string, until, now time.Time) error {
		err := f.naive.CancelAll(context.Background(), "", subject, group, until, now)
		f.mu.Lock()
		defer f.mu.Unlock()
		change(subject, group, until, now)
		return err
	}
}

// instead replaces CancelAll.
func (f *faulty) instead(do func(subject, group string, until, now time.Time)) {
	f.cancelAll = func(subject, group string, until, now time.Time) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		do(subject, group, until, now)
		return nil
	}
}

// close closes the challenges that there are and that which holds for.
func (f *faulty) close(which func(r *naiveChallenge) bool) {
	for _, r := range f.recs {
		if r.Outcome == store.Open && which(r) {
			r.Outcome = store.Cancelled
		}
	}
}

func TestCancelAllMutants(t *testing.T) {
	catchAll(t, []storeMutant{
		{"does nothing", "cancel all", func(f *faulty) { f.instead(func(string, string, time.Time, time.Time) {}) }},
		{"needs a run", "cancel all", func(f *faulty) {
			f.marked(func(subject, _ string, _, _ time.Time) {
				if f.runs[subject] == nil {
					delete(f.marks, subject)
				}
			})
		}},
		{"Get does not know", "cancel all", func(f *faulty) {
			f.get = func(id string, now time.Time) (*store.Record, error) {
				r, err := f.naive.Get(t.Context(), id, now)
				if r != nil && f.recs[id].Outcome == store.Open {
					r.Outcome = store.Open
				}
				return r, err
			}
		}},
		{"Attempt does not know", "cancel all", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				marks := f.marks
				f.marks = nil
				defer func() { f.marks = marks }()
				return f.naive.Attempt(t.Context(), id, token, now)
			}
		}},
		{"Finish does not know", "cancel all", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				marks := f.marks
				f.marks = nil
				defer func() { f.marks = marks }()
				return f.naive.Finish(t.Context(), id, o, token, now)
			}
		}},
		{"Finish as Cancelled is a repeat", "cancel all", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				if err != nil && o == store.Cancelled && f.recs[id].Outcome == store.Open {
					err = nil
				}
				return r, err
			}
		}},
		{"Update is refused", "cancel all", func(f *faulty) {
			f.update = func(id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
				if r, err := f.naive.Get(t.Context(), id, now); err == nil && r.Outcome != f.recs[id].Outcome {
					return r, store.ErrClosed
				}
				return f.naive.Update(t.Context(), id, revision, delivery, now)
			}
		}},
		{"closes what there is", "cancel all created before", func(f *faulty) {
			f.instead(func(subject, group string, _, now time.Time) {
				f.close(func(r *naiveChallenge) bool { return r.Subject == subject && r.Created.Before(now) })
			})
		}},
		{"closes what is created at its now", "cancel all created before", func(f *faulty) {
			f.marked(func(subject, group string, until, now time.Time) {
				f.marks[subject][group] = naiveMark{at: now.Add(time.Microsecond), until: until}
			})
		}},
		{"closes all later ones", "cancel all created before", func(f *faulty) {
			f.marked(func(subject, group string, until, now time.Time) {
				f.marks[subject][group] = naiveMark{at: now.Add(time.Hour), until: until}
			})
		}},
		{"knows milliseconds", "cancel all created before", func(f *faulty) {
			f.marked(func(subject, group string, until, now time.Time) {
				f.marks[subject][group] = naiveMark{at: now.Add(-time.Millisecond), until: until}
			})
		}},
		{"knows no groups", "cancel all of a group", func(f *faulty) {
			f.marked(func(subject, group string, _, _ time.Time) { f.marks[subject][""] = f.marks[subject][group] })
		}},
		{"no group is a group", "cancel all of a group", func(f *faulty) {
			f.instead(func(subject, group string, _, now time.Time) {
				f.close(func(r *naiveChallenge) bool {
					return r.Subject == subject && r.Group == group && r.Created.Before(now)
				})
			})
		}},
		{"the latest group replaces another", "cancel all of a group", func(f *faulty) {
			f.marked(func(subject, group string, _, _ time.Time) {
				maps.DeleteFunc(f.marks[subject], func(g string, _ naiveMark) bool { return g != group })
			})
		}},
		{"15 octets of a group count", "cancel all of a group", func(f *faulty) {
			f.marked(func(subject, group string, _, _ time.Time) {
				for _, r := range f.recs {
					if len(r.Group) == 16 && len(group) == 16 && r.Group[:15] == group[:15] {
						f.marks[subject][r.Group] = f.marks[subject][group]
					}
				}
			})
		}},
		{"takes the whole bucket", "cancel all of a subject", func(f *faulty) {
			f.instead(func(subject, _ string, _, now time.Time) {
				f.close(func(r *naiveChallenge) bool {
					return bucketOf(r.ID) == bucketOf(newID(subject)) && r.Created.Before(now)
				})
			})
		}},
		{"takes what was verified", "cancel all spares", func(f *faulty) {
			f.marked(func(subject, _ string, _, now time.Time) {
				for _, r := range f.recs {
					if r.Subject == subject && r.Created.Before(now) {
						r.Outcome = store.Cancelled
					}
				}
			})
		}},
		{"forgets who had won", "cancel all spares", func(f *faulty) {
			f.marked(func(subject, _ string, _, now time.Time) {
				for _, r := range f.recs {
					if r.Subject == subject && r.Created.Before(now) {
						r.won = 0
					}
				}
			})
		}},
		{"the last to arrive counts", "cancel all repeated", func(f *faulty) {
			f.instead(func(subject, group string, until, now time.Time) {
				f.marks[subject] = map[string]naiveMark{group: {at: now, until: until}}
			})
		}},
		{"a repeat counts from its arrival", "cancel all repeated", func(f *faulty) {
			seen := map[string]bool{}
			f.marked(func(subject, group string, until, now time.Time) {
				if seen[subject+group] {
					f.marks[subject][group] = naiveMark{at: now.Add(time.Second), until: until}
				}
				seen[subject+group] = true
			})
		}},
		{"the latest until counts", "cancel all repeated", func(f *faulty) {
			f.marked(func(subject, group string, until, _ time.Time) {
				m := f.marks[subject][group]
				m.until = until
				f.marks[subject][group] = m
			})
			f.get = func(id string, now time.Time) (*store.Record, error) {
				f.forget(now)
				return f.naive.Get(t.Context(), id, now)
			}
		}},
		{"ends the run", "cancel all keeps run", func(f *faulty) {
			f.marked(func(subject, _ string, _, _ time.Time) { delete(f.runs, subject) })
		}},
		{"prolongs the run", "cancel all keeps run", func(f *faulty) {
			f.marked(func(subject, _ string, until, _ time.Time) {
				if u := f.runs[subject]; u != nil {
					u.until = latest(u.until, until)
				}
			})
		}},
		{"shortens the run", "cancel all keeps run", func(f *faulty) {
			f.marked(func(subject, _ string, until, _ time.Time) {
				if u := f.runs[subject]; u != nil && until.Before(u.until) {
					u.until = until
				}
			})
		}},
		{"unlocks", "cancel all keeps run", func(f *faulty) {
			f.marked(func(subject, _ string, _, _ time.Time) {
				if u := f.runs[subject]; u != nil {
					u.locked = false
				}
			})
		}},
		{"Verified ends it", "cancel all remembered", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Finish(t.Context(), id, o, token, now)
				if err == nil && o == store.Verified {
					delete(f.marks, r.Subject)
				}
				return r, err
			}
		}},
		{"is forgotten with the run", "cancel all remembered", func(f *faulty) {
			f.get = func(id string, now time.Time) (*store.Record, error) {
				for subject, u := range f.runs {
					if !now.Before(u.until) {
						delete(f.marks, subject)
					}
				}
				return f.naive.Get(t.Context(), id, now)
			}
		}},
		{"a failure forgets it", "cancel all remembered", func(f *faulty) {
			f.attempt = func(id string, token store.Token, now time.Time) (*store.Record, error) {
				r, err := f.naive.Attempt(t.Context(), id, token, now)
				if err == nil {
					delete(f.marks, r.Subject)
				}
				return r, err
			}
		}},
		{"is forgotten early", "cancel all remembered", func(f *faulty) {
			f.get = func(id string, now time.Time) (*store.Record, error) {
				f.forget(now.Add(time.Millisecond))
				return f.naive.Get(t.Context(), id, now)
			}
		}},
		{"is kept for ever", "cancel all", func(f *faulty) {
			f.marked(func(subject, group string, _, now time.Time) {
				f.marks[subject][group] = naiveMark{at: now, until: now.Add(2 * horizon)}
			})
		}},
		{"closes the challenges that are read, for a minute only", "cancel all remembered", func(f *faulty) {
			f.get = f.closeAsRead(t, func(m naiveMark, now time.Time) bool { return now.Sub(m.at) > time.Minute })
		}},
		{"closes the challenges that are read, until the last call's until", "cancel all repeated", func(f *faulty) {
			f.marked(func(subject, group string, until, _ time.Time) {
				m := f.marks[subject][group]
				m.until = until
				f.marks[subject][group] = m
			})
			f.get = f.closeAsRead(t, func(m naiveMark, now time.Time) bool { return !now.Before(m.until) })
		}},
		{"holds from its now on", "cancel all a moment behind", func(f *faulty) {
			f.get = func(id string, now time.Time) (*store.Record, error) {
				r, err := f.naive.Get(t.Context(), id, now)
				if r != nil && f.recs[id].Outcome == store.Open && now.Before(f.marks[r.Subject][""].at) {
					r.Outcome = store.Open
				}
				return r, err
			}
		}},
		{"reads the marks, then writes them", "parallel cancels", func(f *faulty) {
			f.cancelAll = func(subject, group string, until, now time.Time) error {
				f.mu.Lock()
				marks := maps.Clone(f.marks[subject])
				f.mu.Unlock()
				if marks == nil {
					marks = map[string]naiveMark{}
				}
				marks[group] = naiveMark{at: now, until: until}
				pauseForOthers()
				f.mu.Lock()
				defer f.mu.Unlock()
				f.marks[subject] = marks
				return nil
			}
		}},
		{"reads the run, then writes it", "parallel cancels", func(f *faulty) {
			f.cancelAll = func(subject, group string, until, now time.Time) error {
				f.mu.Lock()
				var run naiveRun
				if u := f.runs[subject]; u != nil {
					run = *u
				}
				f.mu.Unlock()
				pauseForOthers()
				err := f.naive.CancelAll(t.Context(), "", subject, group, until, now)
				f.mu.Lock()
				defer f.mu.Unlock()
				f.runs[subject] = &run
				return err
			}
		}},
		{"Finish looks, then closes", "cancel all or finish", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				return f.checkThenAct(id, now, func(r *store.Record) error {
					if r.Outcome != store.Open {
						return store.ErrClosed
					}
					return nil
				}, func(stored *naiveChallenge, _ *store.Record) {
					if stored.won == 0 {
						stored.Outcome, stored.won = o, token
					}
				})
			}
		}},
		{"CancelAll looks, then closes", "cancel all or finish", func(f *faulty) {
			f.finish = func(id string, o store.Outcome, token store.Token, now time.Time) (*store.Record, error) {
				pauseForOthers() // until each CancelAll has looked
				return f.naive.Finish(t.Context(), id, o, token, now)
			}
			f.cancelAll = func(subject, _ string, _, now time.Time) error {
				f.mu.Lock()
				var open []*naiveChallenge
				for _, r := range f.recs {
					if r.Subject == subject && r.Outcome == store.Open && r.Created.Before(now) {
						open = append(open, r)
					}
				}
				f.mu.Unlock()
				pauseForOthers()
				pauseForOthers() // until a Finish has won
				f.mu.Lock()
				defer f.mu.Unlock()
				for _, r := range open {
					r.Outcome = store.Cancelled
				}
				return nil
			}
		}},
	})
}

// closeAsRead returns a Get that closes the challenge itself, before marks are dropped.
func (f *faulty) closeAsRead(t *testing.T, over func(m naiveMark, now time.Time) bool,
) func(string, time.Time) (*store.Record, error) {
	return func(id string, now time.Time) (*store.Record, error) {
		f.mu.Lock()
		for _, marks := range f.marks {
			maps.DeleteFunc(marks, func(_ string, m naiveMark) bool { return over(m, now) })
		}
		f.mu.Unlock()
		r, err := f.naive.Get(t.Context(), id, now)
		if r != nil && r.Outcome == store.Cancelled {
			f.mu.Lock()
			f.recs[id].Outcome = store.Cancelled
			f.mu.Unlock()
		}
		return r, err
	}
}

// forget drops the marks that are over at now.
func (f *faulty) forget(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, marks := range f.marks {
		maps.DeleteFunc(marks, func(_ string, m naiveMark) bool { return !now.Before(m.until) })
	}
}
