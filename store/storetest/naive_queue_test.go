package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A naiveJob is a job that waits, or is with a worker.
type naiveJob struct {
	store.Job
	due      time.Time
	failures int // since it last succeeded in coming again
}

func (s *naive) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.Challenge == "" || j.Expires.IsZero() || !j.Priority.Valid() {
		return errors.New("naive: job without Challenge or Expires, or of no priority")
	}
	if j.NotBefore.Before(j.Expires) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.wait(&naiveJob{Job: j}, j.NotBefore)
	}
	return nil
}

// wait has j wait until due.
func (s *naive) wait(j *naiveJob, due time.Time) {
	j.due = latest(due, time.Now())
	s.jobs = append(s.jobs, j)
	s.signal()
}

func (s *naive) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes the first job that is due, or says how long until there may be one.
func (s *naive) next() (*naiveJob, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	best, wait := -1, time.Hour
	for i, j := range s.jobs {
		if d := j.due.Sub(now); d > 0 {
			wait = min(wait, d)
		} else if best < 0 || j.Priority > s.jobs[best].Priority {
			best = i
		}
	}
	if best < 0 {
		return nil, wait
	}
	j := s.jobs[best]
	s.jobs = append(s.jobs[:best], s.jobs[best+1:]...)
	s.busy++
	if len(s.jobs) > 0 {
		s.signal()
	}
	return j, 0
}

func (s *naive) Run(ctx context.Context, workers int, handle store.Handler) error {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			defer s.signal()
			for ctx.Err() == nil {
				j, wait := s.next()
				if j != nil {
					s.handle(ctx, j, handle)
					continue
				}
				t := time.NewTimer(wait)
				select {
				case <-t.C:
				case <-s.wake:
				case <-ctx.Done():
				}
				t.Stop()
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

const naiveAttempts = 4

func (s *naive) handle(ctx context.Context, j *naiveJob, handle store.Handler) {
	late := !time.Now().Before(j.Expires)
	var again time.Time
	var err error
	if !late {
		again, err = call(context.WithoutCancel(ctx), j.Job, handle)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	switch {
	case late:
		s.bury(j, store.Late)
	case err != nil:
		if j.failures++; j.failures == naiveAttempts {
			s.bury(j, store.Failed)
			return
		}
		s.wait(j, time.Now().Add(time.Second<<min(j.failures-1, 5)))
	case !again.IsZero() && again.Before(j.Expires):
		if j.failures = 0; s.again != nil {
			s.again(j)
		}
		s.wait(j, again)
	}
}

// call calls handle, and takes a panic for an error.
func call(ctx context.Context, j store.Job, handle store.Handler) (again time.Time, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("naive: handler panicked with %T", p)
		}
	}()
	return handle(ctx, j)
}

func (s *naive) bury(j *naiveJob, why store.Reason) {
	letter := store.DeadLetter{Job: j.Job, Attempts: j.failures, Reason: why, At: time.Now()}
	s.dead = append([]store.DeadLetter{letter}, s.dead...)
}

func (s *naive) Stats(context.Context) (store.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := store.Stats{Running: s.busy, Dead: len(s.dead)}
	now := time.Now()
	for _, j := range s.jobs {
		if j.due.After(now) {
			st.Delayed++
			continue
		}
		st.Oldest = max(st.Oldest, now.Sub(j.due))
		switch j.Priority {
		case store.High:
			st.High++
		case store.Normal:
			st.Normal++
		case store.Low:
			st.Low++
		}
	}
	return st, nil
}

func (s *naive) Dead(_ context.Context, n int) ([]store.DeadLetter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dead[:min(n, len(s.dead))]), nil
}
