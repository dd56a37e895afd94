package storetest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A badQueue is a naive queue of which Enqueue or Run is replaced.
type badQueue struct {
	*naive
	enqueue func(store.Job) error
	run     func(ctx context.Context, workers int, handle handler) error
	stats   func(*store.Stats)
	dead    func([]store.DeadLetter) []store.DeadLetter
}

type handler = store.Handler

func (b *badQueue) Enqueue(ctx context.Context, j store.Job) error {
	if b.enqueue != nil {
		return b.enqueue(j)
	}
	return b.naive.Enqueue(ctx, j)
}

func (b *badQueue) Run(ctx context.Context, workers int, handle handler) error {
	if b.run != nil {
		return b.run(ctx, workers, handle)
	}
	return b.naive.Run(ctx, workers, handle)
}

func (b *badQueue) Stats(ctx context.Context) (store.Stats, error) {
	st, err := b.naive.Stats(ctx)
	if b.stats != nil {
		b.stats(&st)
	}
	return st, err
}

func (b *badQueue) Dead(ctx context.Context, n int) ([]store.DeadLetter, error) {
	d, err := b.naive.Dead(ctx, n)
	if b.dead != nil {
		d = b.dead(d)
	}
	return d, err
}

// wrap replaces the handler that Run is given.
func wrap(f func(b *badQueue, handle handler) handler) func(*badQueue) {
	return func(b *badQueue) {
		b.run = func(ctx context.Context, workers int, handle handler) error {
			return b.naive.Run(ctx, workers, f(b, handle))
		}
	}
}

// oneForEach drops a job of a challenge that has one.
func oneForEach() func(*badQueue) {
	return func(b *badQueue) {
		var mu sync.Mutex
		seen := map[string]bool{}
		b.enqueue = func(j store.Job) error {
			mu.Lock()
			defer mu.Unlock()
			if seen[j.Challenge] {
				return nil
			}
			seen[j.Challenge] = true
			return b.naive.Enqueue(context.Background(), j)
		}
	}
}

// ahead is a Run that takes 100 jobs, and has them wait for a worker as long as keeps
// reports true, or else loses them.
func ahead(b *badQueue, keeps func(context.Context) bool) func(context.Context, int, handler) error {
	return func(ctx context.Context, workers int, handle handler) error {
		free := make(chan struct{}, workers)
		return b.naive.Run(ctx, 100, func(inner context.Context, j store.Job) (time.Time, error) {
			free <- struct{}{}
			defer func() { <-free }()
			if !keeps(ctx) {
				return done, nil
			}
			return handle(inner, j)
		})
	}
}

func TestQueueMutants(t *testing.T) {
	edit := func(change func(*store.Job)) func(*badQueue) {
		return func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				change(&j)
				return b.naive.Enqueue(t.Context(), j)
			}
		}
	}
	loseFailed := wrap(func(_ *badQueue, handle handler) handler {
		return func(ctx context.Context, j store.Job) (time.Time, error) {
			again, _ := handle(ctx, j)
			return again, nil
		}
	})
	bury := func(change func(*store.DeadLetter)) func(*badQueue) {
		return func(b *badQueue) {
			b.dead = func(d []store.DeadLetter) []store.DeadLetter {
				for i := range d {
					change(&d[i])
				}
				return d
			}
		}
	}
	for _, m := range []struct {
		fault  string
		caught string
		add    func(*badQueue)
	}{
		{"one job for each challenge", "jobs of one challenge", oneForEach()},
		{"one job for each challenge, in parallel", "parallel Enqueue", oneForEach()},
		{"one job of a challenge at a time", "jobs of one challenge", wrap(func(_ *badQueue, handle handler) handler {
			turn := make(chan struct{}, 1)
			return func(ctx context.Context, j store.Job) (time.Time, error) {
				turn <- struct{}{}
				defer func() { <-turn }()
				return handle(ctx, j)
			}
		})},
		{"adds twice", "jobs of one challenge", func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				_ = b.naive.Enqueue(t.Context(), j)
				return b.naive.Enqueue(t.Context(), j)
			}
		}},
		{"hands out what is with a worker", "held", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) (time.Time, error) {
				go func() { _, _ = handle(ctx, j) }()
				return handle(ctx, j)
			}
		})},
		{"hands out what is done", "held", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) (time.Time, error) {
				_, _ = handle(ctx, j)
				return handle(ctx, j)
			}
		})},
		{"loses failed jobs", "retry", loseFailed},
		{"loses failed jobs at the end", "failed at the end", loseFailed},
		{"retries at one pace", "retry", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) (time.Time, error) {
				for {
					if again, err := handle(ctx, j); err == nil {
						return again, nil
					}
					<-time.After(time.Second)
				}
			}
		})},
		{"does not recover", "panic", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) (time.Time, error) {
				defer func() { _ = recover() }()
				return handle(ctx, j)
			}
		})},
		{"ignores priorities", "priorities", edit(func(j *store.Job) { j.Priority = store.Normal })},
		{"inverts priorities", "priorities", edit(func(j *store.Job) { j.Priority = -j.Priority })},
		{"ignores NotBefore", "not before", edit(func(j *store.Job) { j.NotBefore = time.Time{} })},
		{"ignores Expires", "expired", edit(func(j *store.Job) { j.Expires = j.Expires.Add(time.Hour) })},
		{"needs no Expires", "refusals", edit(func(j *store.Job) { j.Expires = time.Now().Add(time.Hour) })},
		{"needs no Challenge", "refusals", edit(func(j *store.Job) { j.Challenge += "x" })},
		{"takes every priority", "refusals", edit(func(j *store.Job) {
			j.Priority = max(store.Low, min(j.Priority, store.High))
		})},
		{"runs without workers", "refusals", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				if workers < 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return b.naive.Run(ctx, workers, handle)
			}
		}},
		{"runs without a handler", "refusals", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				if handle == nil {
					handle = func(context.Context, store.Job) (time.Time, error) { return done, nil }
				}
				return b.naive.Run(ctx, workers, handle)
			}
		}},
		{"adds when the context has ended", "ended context", edit(func(*store.Job) {})},
		{"runs when the context has ended", "ended context", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				if ctx.Err() != nil {
					_, _ = handle(ctx, store.Job{})
				}
				return b.naive.Run(ctx, workers, handle)
			}
		}},
		{"loses NotBefore", "job", edit(func(j *store.Job) { j.NotBefore = time.Time{} })},
		{"one worker too many", "workers", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers+1, handle)
			}
		}},
		{"one worker only", "workers", func(b *badQueue) {
			b.run = func(ctx context.Context, _ int, handle handler) error { return b.naive.Run(ctx, 1, handle) }
		}},
		{"hands each job to each Run", "shared", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) (time.Time, error) {
				_, _ = handle(ctx, j)
				return handle(ctx, j)
			}
		})},
		{"does not wait for handlers", "stop", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				go func() { _ = b.naive.Run(ctx, workers, handle) }()
				<-ctx.Done()
				return ctx.Err()
			}
		}},
		{"cancels handlers", "stop", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, func(_ context.Context, j store.Job) (time.Time, error) {
					return handle(ctx, j)
				})
			}
		}},
		{"counts all as normal", "stats", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.Normal += st.High + st.Low; st.High, st.Low = 0, 0 }
		}},
		{"counts what is delayed as due", "stats", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.High += st.Delayed; st.Delayed = 0 }
		}},
		{"counts what runs as due", "stats", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.Normal += st.Running; st.Running = 0 }
		}},
		{"forgets how long jobs have been due", "stats", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.Oldest = 0 }
		}},
		{"says that a job is due when none is", "stats", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.Oldest += time.Second }
		}},
		{"ages what is delayed", "stats", func(b *badQueue) {
			b.stats = func(st *store.Stats) {
				if st.Delayed > 0 {
					st.Oldest = time.Hour
				}
			}
		}},
		{"keeps no dead letters", "late", func(b *badQueue) {
			b.stats = func(st *store.Stats) { st.Dead = 0 }
		}},
		{"keeps no letter of what fails", "failures", func(b *badQueue) {
			n := 0
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, func(ctx context.Context, j store.Job) (time.Time, error) {
					again, err := handle(ctx, j)
					if n++; n < naiveAttempts {
						return again, err
					}
					return again, nil
				})
			}
		}},
		{"gives the wrong reason", "late", bury(func(d *store.DeadLetter) { d.Reason = store.Failed })},
		{"calls every job late", "failures", bury(func(d *store.DeadLetter) { d.Reason = store.Late })},
		{"forgets the attempts", "failures", bury(func(d *store.DeadLetter) { d.Attempts = 0 })},
		{"forgets when", "late", bury(func(d *store.DeadLetter) { d.At = time.Time{} })},
		{"gives the oldest first", "late", func(b *badQueue) {
			b.dead = func(d []store.DeadLetter) []store.DeadLetter { slices.Reverse(d); return d }
		}},
		{"gives more letters than asked for", "late", func(b *badQueue) {
			b.dead = func([]store.DeadLetter) []store.DeadLetter { return b.naive.dead }
		}},
		{"buries what never could be due", "late", func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				if !j.NotBefore.Before(j.Expires) {
					b.bury(&naiveJob{Job: j}, store.Late)
				}
				return b.naive.Enqueue(t.Context(), j)
			}
		}},
		{"no heartbeat", "heartbeat", func(b *badQueue) { b.noHeartbeat = true }},
		{"a dead worker keeps its job", "dead worker", func(b *badQueue) { b.noTakeover = true }},
		{"a dead worker keeps its job too long", "dead worker", func(b *badQueue) { b.lateTakeover = true }},
		{"a death is no failure", "dead worker", func(b *badQueue) { b.freeDeath = true }},
		{"a former worker ends its job", "former worker", func(b *badQueue) { b.formerEnds = true }},
		{"a former worker hands its job out", "former worker", func(b *badQueue) { b.formerFails = true }},
		{"a former worker's heartbeats get its job back", "former worker", func(b *badQueue) { b.formerBeats = true }},
		{"sends heartbeats for one job of many", "heartbeat", func(b *badQueue) { b.oneBeat = true }},
		{"sends no heartbeats when Run is to end", "end of Run", func(b *badQueue) { b.noLastBeats = true }},
		{"does not record the jobs that end after ctx", "end of Run", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, func(inner context.Context, j store.Job) (time.Time, error) {
					again, err := handle(inner, j)
					if ctx.Err() != nil && again.IsZero() {
						again = time.Now()
					}
					return again, err
				})
			}
		}},
		{"ends Run when its process is stopped", "goes on", func(b *badQueue) { b.endsStopped = true }},
		{"takes more jobs than it has workers, and loses them", "failed at the end", func(b *badQueue) {
			b.run = ahead(b, func(ctx context.Context) bool { return ctx.Err() == nil })
		}},
		{"takes more jobs than it has workers", "free worker", func(b *badQueue) {
			b.run = ahead(b, func(context.Context) bool { return true })
		}},
		{"does not return", "stop", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				long, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
				defer cancel()
				_ = b.naive.Run(long, workers, handle)
				return ctx.Err()
			}
		}},
		{"looks for new jobs too seldom", "job", func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				time.AfterFunc(1100*time.Millisecond, func() { _ = b.naive.Enqueue(context.Background(), j) })
				return nil
			}
		}},
		{"adds no job while a handler runs", "job", func(b *badQueue) {
			turn := make(chan struct{}, 1)
			wrap(func(_ *badQueue, handle handler) handler {
				return func(ctx context.Context, j store.Job) (time.Time, error) {
					turn <- struct{}{}
					defer func() { <-turn }()
					return handle(ctx, j)
				}
			})(b)
			b.enqueue = func(j store.Job) error {
				select {
				case turn <- struct{}{}:
					defer func() { <-turn }()
					return b.naive.Enqueue(context.Background(), j)
				case <-time.After(time.Minute):
					return errJob
				}
			}
		}},
		{"hands out an expired job that has failed", "expired after a failure", wrap(
			func(b *badQueue, handle handler) handler {
				return func(ctx context.Context, j store.Job) (time.Time, error) {
					again, err := handle(ctx, j)
					if err != nil && time.Until(j.Expires) < 2*time.Second {
						j.Expires = j.Expires.Add(time.Minute)
						_ = b.naive.Enqueue(ctx, j)
					}
					return again, err
				}
			})},
		{"has a job come at once whose handler panics", "panic", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) (again time.Time, err error) {
				defer func() {
					if recover() != nil {
						again = time.Now()
					}
				}()
				return handle(ctx, j)
			}
		})},
		{"counts failures in each Run", "failures", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				b.mu.Lock()
				for _, j := range b.jobs {
					j.failures = 0
				}
				b.mu.Unlock()
				return b.naive.Run(ctx, workers, handle)
			}
		}},
		{"keeps ten dead letters", "dead letters", func(b *badQueue) {
			b.dead = func(d []store.DeadLetter) []store.DeadLetter { return d[:min(len(d), 10)] }
		}},
		{"loses NotBefore when a job has failed", "retry", func(b *badQueue) { b.losesTerms = true }},
		{"loses NotBefore when a worker has died", "dead worker", func(b *badQueue) { b.losesTerms = true }},
		{"loses NotBefore when a job comes again", "again", func(b *badQueue) {
			b.again = func(j *naiveJob) { j.NotBefore = time.Time{} }
		}},
		{"hands out what has failed for good", "failures", func(b *badQueue) {
			n := 0
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, func(ctx context.Context, j store.Job) (time.Time, error) {
					if n++; n == naiveAttempts {
						time.AfterFunc(50*time.Millisecond, func() { _, _ = handle(ctx, j) })
					}
					return handle(ctx, j)
				})
			}
		}},
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
