package storetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// answers changes what each handler returns.
func answers(change func(b *badQueue, ctx context.Context, j store.Job, again time.Time, err error) (time.Time, error),
) func(*badQueue) {
	return wrap(func(b *badQueue, handle handler) handler {
		return func(ctx context.Context, j store.Job) (time.Time, error) {
			again, err := handle(ctx, j)
			return change(b, ctx, j, again, err)
		}
	})
}

// only changes the times that come without an error.
func only(change func(j store.Job, again time.Time) time.Time) func(*badQueue) {
	return answers(func(_ *badQueue, _ context.Context, j store.Job, again time.Time, err error) (time.Time, error) {
		if err == nil && !again.IsZero() {
			again = change(j, again)
		}
		return again, err
	})
}

// waiting changes the jobs that wait to come again.
func waiting(change func(j *naiveJob)) func(*badQueue) {
	return func(b *badQueue) { b.naive.again = change }
}

func TestAgainMutants(t *testing.T) {
	lose := only(func(store.Job, time.Time) time.Time { return done })
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badQueue)
	}{
		{"is lost", "again", lose},
		{"is early", "again", only(func(_ store.Job, again time.Time) time.Time {
			return again.Add(-time.Microsecond)
		})},
		{"comes at once", "again", only(func(store.Job, time.Time) time.Time { return time.Now() })},
		{"comes when it is done", "again", answers(
			func(_ *badQueue, _ context.Context, _ store.Job, again time.Time, err error) (time.Time, error) {
				if err == nil && again.IsZero() {
					again = time.Now()
				}
				return again, err
			})},
		{"loses its priority", "again", waiting(func(j *naiveJob) { j.Priority = store.Low })},
		{"lives longer", "again", waiting(func(j *naiveJob) { j.Expires = j.Expires.Add(time.Hour) })},
		{"waits with the worker", "again holds up none", only(func(_ store.Job, again time.Time) time.Time {
			<-time.After(time.Until(again))
			return again
		})},
		{"is not counted", "again holds up none", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.Delayed = 0 }
		}},
		{"takes what has come for done", "again at once", only(func(_ store.Job, again time.Time) time.Time {
			if !again.After(time.Now()) {
				return done
			}
			return again
		})},
		{"takes 1970 for done", "again at once", only(func(_ store.Job, again time.Time) time.Time {
			if again.Unix() == 0 {
				return done
			}
			return again
		})},
		{"is lost at the end", "again at the end", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, func(inner context.Context, j store.Job) (time.Time, error) {
					again, err := handle(inner, j)
					if ctx.Err() != nil {
						return done, err
					}
					return again, err
				})
			}
		}},
		{"outlives Expires", "again past Expires", answers(
			func(b *badQueue, _ context.Context, j store.Job, again time.Time, err error) (time.Time, error) {
				if err == nil && !again.Before(j.Expires) {
					j.Expires = again.Add(time.Hour)
					return done, b.naive.Enqueue(context.Background(), j)
				}
				return again, err
			})},
		{"is late past Expires", "again past Expires", answers(
			func(b *badQueue, _ context.Context, j store.Job, again time.Time, err error) (time.Time, error) {
				if err == nil && !again.Before(j.Expires) {
					b.mu.Lock()
					defer b.mu.Unlock()
					b.bury(&naiveJob{Job: j}, store.Late)
				}
				return again, err
			})},
		{"comes at Expires and not after", "again past Expires", only(func(j store.Job, again time.Time) time.Time {
			if last := j.Expires.Add(-time.Microsecond); !again.Before(j.Expires) && time.Now().Before(last) {
				return last
			}
			return again
		})},
		{"keeps its failures", "again after failures", waiting(func(j *naiveJob) { j.failures = 2 })},
		{"counts what came before the success", "again after failures", func(b *badQueue) {
			b.dead = func(d []store.DeadLetter) []store.DeadLetter { d[0].Attempts += 3; return d }
		}},
		{"fails", "again after failures", answers(
			func(_ *badQueue, _ context.Context, _ store.Job, again time.Time, err error) (time.Time, error) {
				if !again.IsZero() {
					err = errJob
				}
				return again, err
			})},
		{"a time goes before an error", "again with an error", answers(
			func(_ *badQueue, _ context.Context, _ store.Job, again time.Time, err error) (time.Time, error) {
				if !again.IsZero() {
					err = nil
				}
				return again, err
			})},
	} {
		t.Run(strings.ReplaceAll(m.fault, " ", "_"), func(t *testing.T) {
			catches(t, queueCases(), m.caught, func() store.Queue {
				b := &badQueue{naive: newNaive()}
				m.add(b)
				return b
			})
		})
	}
}
