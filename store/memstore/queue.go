package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Enqueue implements store.Queue.
func (s *Store) Enqueue(_ context.Context, j store.Job) error {
	if j.ID == "" || j.Expires.IsZero() {
		return errors.New("memstore: job without ID or Expires")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.seen[j.ID]; ok && time.Now().Before(e) {
		return nil
	}
	if len(s.seen) >= s.cfg.MaxJobs {
		return store.ErrFull
	}
	s.seen[j.ID] = j.Expires
	j.Attempt = 0
	s.jobs = append(s.jobs, &j)
	s.signal()
	return nil
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes the first job that is due, or says how long until there may be one.
func (s *Store) next() (*store.Job, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	best, wait := -1, time.Hour
	for i, j := range s.jobs {
		if d := j.NotBefore.Sub(now); d > 0 {
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
	if len(s.jobs) > 0 {
		s.signal()
	}
	return j, 0
}

// Run implements store.Queue.
func (s *Store) Run(ctx context.Context, workers int, handle func(context.Context, store.Job) error) error {
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

func (s *Store) handle(ctx context.Context, j *store.Job, handle func(context.Context, store.Job) error) {
	if !time.Now().Before(j.Expires) {
		return
	}
	j.Attempt++
	err := func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("memstore: handler panicked with %T", p)
			}
		}()
		return handle(context.WithoutCancel(ctx), *j)
	}()
	if err == nil {
		return
	}
	s.cfg.Logger.WarnContext(ctx, "memstore: job failed", "job", j.ID, "attempt", j.Attempt, "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	j.NotBefore = time.Now().Add(time.Second << min(j.Attempt-1, 5))
	s.jobs = append(s.jobs, j)
	s.signal()
}
