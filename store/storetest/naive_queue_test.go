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
	failures int           // since it last succeeded in coming again
	owner    *naiveProcess // with whose worker it is; nil: it waits, or is with one that cannot die
	since    time.Time     // when it was handed out
	run      context.Context
	heir     *naiveJob // as which it was handed out anew
}

// A naiveProcess is one that can be stopped.
type naiveProcess struct {
	*naive
	stopped time.Time // zero: it runs
	resumed time.Time
	goes    chan struct{} // closed: it runs
}

// naiveTakeover is for how long a process has to be stopped to count as dead.
const naiveTakeover = 5 * time.Second

// openNaive opens a process on a naive queue, or on one with faults.
func openNaive(q store.Queue) Process {
	s, ok := q.(*naive)
	if !ok {
		s = q.(*badQueue).naive
	}
	p := &naiveProcess{naive: s, goes: make(chan struct{})}
	close(p.goes)
	return Process{Queue: p, Stop: p.stop, Resume: p.resume}
}

func (p *naiveProcess) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped, p.goes = time.Now(), make(chan struct{})
	p.signal()
}

func (p *naiveProcess) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped.IsZero() {
		p.stopped, p.resumed = time.Time{}, time.Now()
		close(p.goes)
	}
}

// beating reports whether p has sent heartbeats since it was resumed.
func (p *naiveProcess) beating() bool {
	return p != nil && p.stopped.IsZero() && !p.resumed.IsZero() && time.Since(p.resumed) > time.Second
}

func (p *naiveProcess) isStopped() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.stopped.IsZero()
}

// running waits until p runs.
func (p *naiveProcess) running() {
	if p != nil {
		p.mu.Lock()
		goes := p.goes
		p.mu.Unlock()
		<-goes
	}
}

func (p *naiveProcess) Run(ctx context.Context, workers int, handle store.Handler) error {
	return p.run(ctx, p, workers, handle)
}

// takeOver has jobs wait again whose process is dead, and says how long until there
// may be more.
func (s *naive) takeOver(now time.Time) time.Duration {
	wait := time.Hour
	for j := range s.held {
		since := j.since
		silent := s.noHeartbeat || s.oneBeat && j != s.latest || s.noLastBeats && j.run.Err() != nil
		if s.noLastBeats {
			wait = min(wait, time.Second)
		}
		if !silent {
			if s.noTakeover || j.owner == nil || j.owner.stopped.IsZero() {
				continue
			}
			since = j.owner.stopped
		}
		if s.lateTakeover {
			since = since.Add(time.Second)
		}
		if d := since.Add(naiveTakeover).Sub(now); d > 0 {
			wait = min(wait, d)
			continue
		}
		delete(s.held, j)
		failures := j.failures + 1
		if s.freeDeath {
			failures--
		}
		j.heir = &naiveJob{Job: j.Job, failures: failures}
		s.spoil(j.heir)
		s.wait(j.heir, now)
	}
	return wait
}

func (s *naive) Enqueue(ctx context.Context, j store.Job) error {
	if err := s.ended(ctx, "Enqueue"); err != nil {
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
func (s *naive) next(ctx context.Context, p *naiveProcess) (*naiveJob, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	best, wait := -1, s.takeOver(now)
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
	j.owner, j.since, j.run, s.latest = p, now, ctx, j
	s.held[j] = true
	if len(s.jobs) > 0 {
		s.signal()
	}
	return j, 0
}

func (s *naive) Run(ctx context.Context, workers int, handle store.Handler) error {
	return s.run(ctx, nil, workers, handle)
}

// run is Run in a process; nil: in one that cannot die.
func (s *naive) run(ctx context.Context, p *naiveProcess, workers int, handle store.Handler) error {
	if workers < 1 || handle == nil {
		return errors.New("naive: Run without workers or handler")
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			defer s.signal()
			for ctx.Err() == nil {
				if s.endsStopped && p.isStopped() {
					return
				}
				p.running()
				j, wait := s.next(ctx, p)
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
	j.owner.running()
	s.mu.Lock()
	defer s.mu.Unlock()
	success := err == nil && again.IsZero()
	former := s.formerEnds && success || s.formerFails && !success || s.formerBeats && j.owner.beating()
	if j.heir != nil && former {
		heir := j.heir
		s.jobs = slices.DeleteFunc(s.jobs, func(other *naiveJob) bool { return other == heir })
		delete(s.held, heir)
		j = &naiveJob{Job: heir.Job, failures: heir.failures}
	} else if !s.held[j] {
		return
	}
	delete(s.held, j)
	switch {
	case late:
		s.bury(j, store.Late)
	case err != nil:
		if j.failures++; j.failures == naiveAttempts {
			s.bury(j, store.Failed)
			return
		}
		s.spoil(j)
		s.wait(j, time.Now().Add(time.Second<<min(j.failures-1, 5)))
	case !again.IsZero() && again.Before(j.Expires):
		if j.failures = 0; s.again != nil {
			s.again(j)
		}
		s.wait(j, again)
	}
}

// spoil is a fault of jobs that come again.
func (s *naive) spoil(j *naiveJob) {
	if s.losesTerms {
		j.NotBefore, j.Priority = time.Time{}, store.Low
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

func (s *naive) Stats(ctx context.Context) (store.Stats, error) {
	if err := s.ended(ctx, "Stats"); err != nil {
		return store.Stats{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := store.Stats{Running: len(s.held), Dead: len(s.dead)}
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

func (s *naive) Dead(ctx context.Context, n int) ([]store.DeadLetter, error) {
	if err := s.ended(ctx, "Dead"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.dead[:min(n, len(s.dead))]), nil
}
