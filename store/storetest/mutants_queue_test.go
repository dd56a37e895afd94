package storetest

import (
	"context"
	"slices"
	"strings"
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

type handler = func(context.Context, store.Job) error

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

func TestQueueMutants(t *testing.T) {
	edit := func(change func(*store.Job)) func(*badQueue) {
		return func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				change(&j)
				return b.naive.Enqueue(t.Context(), j)
			}
		}
	}
	// wrap replaces the handler that Run is given.
	wrap := func(f func(b *badQueue, handle handler) handler) func(*badQueue) {
		return func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, f(b, handle))
			}
		}
	}
	forgetDone := wrap(func(b *badQueue, handle handler) handler {
		return func(ctx context.Context, j store.Job) error {
			defer func() {
				b.mu.Lock()
				delete(b.seen, j.ID)
				b.mu.Unlock()
			}()
			return handle(ctx, j)
		}
	})
	loseFailed := wrap(func(_ *badQueue, handle handler) handler {
		return func(ctx context.Context, j store.Job) error {
			_ = handle(ctx, j)
			return nil
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
		{"forgets the IDs of done jobs", "one per ID", forgetDone},
		{"forgets the IDs of all jobs", "one per ID", func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				defer delete(b.seen, j.ID)
				return b.naive.Enqueue(t.Context(), j)
			}
		}},
		{"remembers an ID for ever", "same ID after Expires", func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				defer func() { b.seen[j.ID] = j.Expires.Add(1000 * time.Hour) }()
				return b.naive.Enqueue(t.Context(), j)
			}
		}},
		{"loses failed jobs", "retry", loseFailed},
		{"loses failed jobs at the end", "failed at the end", loseFailed},
		{"retries at one pace", "retry", wrap(func(b *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) error {
				for ; ; j.Attempt++ {
					if err := handle(ctx, j); err == nil {
						return nil
					}
					<-time.After(time.Second)
				}
			}
		})},
		{"does not recover", "panic", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) error {
				defer func() { _ = recover() }()
				return handle(ctx, j)
			}
		})},
		{"ignores priorities", "priorities", edit(func(j *store.Job) { j.Priority = store.Normal })},
		{"inverts priorities", "priorities", edit(func(j *store.Job) { j.Priority = -j.Priority })},
		{"ignores NotBefore", "not before", edit(func(j *store.Job) { j.NotBefore = time.Time{} })},
		{"ignores Expires", "expired", edit(func(j *store.Job) { j.Expires = j.Expires.Add(time.Hour) })},
		{"needs no Expires", "refusals", edit(func(j *store.Job) { j.Expires = time.Now().Add(time.Hour) })},
		{"needs no ID", "refusals", edit(func(j *store.Job) { j.ID += "x" })},
		{"takes every priority", "refusals", edit(func(j *store.Job) {
			j.Priority = max(store.Low, min(j.Priority, store.High))
		})},
		{"adds when the context has ended", "ended context", edit(func(*store.Job) {})},
		{"runs when the context has ended", "ended context", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				if ctx.Err() != nil {
					_ = handle(ctx, store.Job{})
				}
				return b.naive.Run(ctx, workers, handle)
			}
		}},
		{"loses the step", "job", edit(func(j *store.Job) { j.Step = 0 })},
		{"one worker too many", "workers", func(b *badQueue) {
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers+1, handle)
			}
		}},
		{"one worker only", "workers", func(b *badQueue) {
			b.run = func(ctx context.Context, _ int, handle handler) error { return b.naive.Run(ctx, 1, handle) }
		}},
		{"hands each job to each Run", "shared", wrap(func(_ *badQueue, handle handler) handler {
			return func(ctx context.Context, j store.Job) error {
				_ = handle(ctx, j)
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
				return b.naive.Run(ctx, workers, func(_ context.Context, j store.Job) error { return handle(ctx, j) })
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
			b.run = func(ctx context.Context, workers int, handle handler) error {
				return b.naive.Run(ctx, workers, func(ctx context.Context, j store.Job) error {
					if err := handle(ctx, j); j.Attempt < naiveAttempts {
						return err
					}
					return nil
				})
			}
		}},
		{"gives the wrong reason", "late", bury(func(d *store.DeadLetter) { d.Reason = store.Failed })},
		{"calls every job late", "failures", bury(func(d *store.DeadLetter) { d.Reason = store.Late })},
		{"forgets the attempts", "failures", bury(func(d *store.DeadLetter) { d.Job.Attempt = 0 })},
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
					b.bury(j, store.Late)
				}
				return b.naive.Enqueue(t.Context(), j)
			}
		}},
		{"adds anew what has failed for good", "failures", func(b *badQueue) {
			b.enqueue = func(j store.Job) error {
				if len(b.naive.dead) > 0 {
					delete(b.seen, j.ID)
				}
				return b.naive.Enqueue(t.Context(), j)
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
