package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// naive is right and slow: one mutex, plain maps, and nothing is ever
// forgotten. The suites are proved by faults added to it.
type naive struct {
	mu     sync.Mutex
	recs   map[string]*store.Record
	runs   map[string]*naiveRun
	limits map[store.Limit][]time.Time // by Key and Per
	tracks map[string]*naiveTrack
	seen   map[string]time.Time
	due    map[string]time.Time
	jobs   []*store.Job
	busy   int
	dead   []store.DeadLetter // the newest first
	wake   chan struct{}
}

func newNaive() *naive {
	return &naive{
		recs:   map[string]*store.Record{},
		runs:   map[string]*naiveRun{},
		limits: map[store.Limit][]time.Time{},
		tracks: map[string]*naiveTrack{},
		seen:   map[string]time.Time{},
		due:    map[string]time.Time{},
		wake:   make(chan struct{}, 1),
	}
}

type naiveRun struct {
	failures int
	locked   bool
	until    time.Time
}

func (s *naive) Create(_ context.Context, r *store.Record, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.recs[r.ID]
	if old != nil && now.Before(old.Expires) {
		return store.ErrExists
	}
	if until := s.lockedUntil(r.Subject, now); !until.IsZero() {
		r.LockedUntil = until
		return store.ErrLocked
	}
	r.Sends, r.NextSend = 1, nextSend(r.Waits, 1, now)
	r.Attempts, r.Revision, r.Outcome, r.LockedUntil = 0, 0, store.Open, time.Time{}
	s.recs[r.ID] = clone(r)
	return nil
}

func nextSend(waits []time.Duration, sends int, now time.Time) time.Time {
	if sends > len(waits) {
		return time.Time{}
	}
	return now.Add(waits[sends-1])
}

func clone(r *store.Record) *store.Record {
	c := *r
	c.Salt, c.Sealed, c.Delivery = bytes.Clone(r.Salt), bytes.Clone(r.Sealed), bytes.Clone(r.Delivery)
	c.Waits = slices.Clone(r.Waits)
	return &c
}

func (s *naive) lockedUntil(subject string, now time.Time) time.Time {
	u := s.runs[subject]
	if u == nil || !u.locked {
		return time.Time{}
	}
	if !now.Before(u.until) {
		delete(s.runs, subject)
		return time.Time{}
	}
	return u.until
}

// with runs f on the live challenge id and returns a copy of it as f left it.
func (s *naive) with(id string, now time.Time, f func(*store.Record) error) (*store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.recs[id]
	if r == nil {
		return nil, store.ErrNotFound
	}
	r.LockedUntil = s.lockedUntil(r.Subject, now)
	if !now.Before(r.Expires) {
		return clone(r), store.ErrExpired
	}
	err := f(r)
	return clone(r), err
}

func (s *naive) Get(_ context.Context, id string, now time.Time) (*store.Record, error) {
	return s.with(id, now, func(*store.Record) error { return nil })
}

func (s *naive) Attempt(_ context.Context, id string, now time.Time) (*store.Record, error) {
	return s.with(id, now, func(r *store.Record) error {
		switch {
		case r.Outcome != store.Open:
			return store.ErrClosed
		case !r.LockedUntil.IsZero():
			return store.ErrLocked
		case r.Attempts >= r.MaxAttempts:
			return store.ErrExhausted
		}
		r.Attempts++
		s.fail(r, now)
		return nil
	})
}

func (s *naive) fail(r *store.Record, now time.Time) {
	u := s.runs[r.Subject]
	if u == nil || !now.Before(u.until) {
		u = &naiveRun{}
		s.runs[r.Subject] = u
	}
	u.failures++
	if until := now.Add(r.Lock); until.After(u.until) {
		u.until = until
	}
	if r.MaxFailures > 0 && u.failures >= r.MaxFailures {
		u.locked, u.until = true, now.Add(r.Lock)
		r.LockedUntil = u.until
	}
}

func (s *naive) Finish(_ context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
	return s.with(id, now, func(r *store.Record) error {
		if r.Outcome != store.Open {
			return store.ErrClosed
		}
		r.Outcome = o
		if o == store.Verified {
			delete(s.runs, r.Subject)
			r.LockedUntil = time.Time{}
		}
		return nil
	})
}

func (s *naive) Resend(_ context.Context, id string, now time.Time) (*store.Record, error) {
	return s.with(id, now, func(r *store.Record) error {
		switch {
		case r.Outcome != store.Open:
			return store.ErrClosed
		case !r.LockedUntil.IsZero():
			return store.ErrLocked
		case r.Sends > len(r.Waits):
			return store.ErrExhausted
		case now.Before(r.NextSend):
			return store.ErrTooSoon
		}
		r.Sends++
		r.Revision++
		r.NextSend = nextSend(r.Waits, r.Sends, now)
		return nil
	})
}

func (s *naive) Update(
	_ context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	return s.with(id, now, func(r *store.Record) error {
		if r.Revision != revision {
			return store.ErrConflict
		}
		r.Revision++
		r.Delivery = bytes.Clone(delivery)
		return nil
	})
}

func checkLimits(limits []store.Limit) error {
	for _, l := range limits {
		if l.Most < 1 || l.Per <= 0 {
			return fmt.Errorf("naive: limit %q: most %d in %v", l.Key, l.Most, l.Per)
		}
	}
	return nil
}

func (s *naive) Take(_ context.Context, now time.Time, limits ...store.Limit) (store.Decision, error) {
	if err := checkLimits(limits); err != nil {
		return store.Decision{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := store.Decision{Allowed: true}
	asked := map[store.Limit]int{}
	var take []store.Limit
	for i, l := range limits {
		k := store.Limit{Key: l.Key, Per: l.Per}
		taken := s.window(k, now)
		if over := len(taken) + asked[k] + 1 - l.Most; over > 0 {
			d.Over = append(d.Over, i)
			if !l.Shadow {
				d.Allowed = false
				d.RetryAfter = max(d.RetryAfter, l.Per)
				if over <= len(taken) {
					d.RetryAfter = max(d.RetryAfter, taken[over-1].Add(l.Per).Sub(now))
				}
			}
			continue
		}
		asked[k]++
		take = append(take, k)
	}
	if d.Allowed {
		for _, k := range take {
			s.limits[k] = append(s.limits[k], now)
		}
	}
	return d, nil
}

// window returns the takings that count at now, oldest first.
func (s *naive) window(k store.Limit, now time.Time) []time.Time {
	taken := s.limits[k]
	slices.SortFunc(taken, time.Time.Compare)
	for len(taken) > 0 && !taken[0].Add(k.Per).After(now) {
		taken = taken[1:]
	}
	return taken
}

func (s *naive) Give(_ context.Context, now time.Time, limits ...store.Limit) error {
	if err := checkLimits(limits); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range limits {
		k := store.Limit{Key: l.Key, Per: l.Per}
		if taken := s.window(k, now); len(taken) > 0 {
			s.limits[k] = append(s.limits[k][:len(s.limits[k])-len(taken)], taken[1:]...)
		}
	}
	return nil
}

const (
	maxParked  = 16   // receipts parked per key
	maxParking = 1000 // in all
	maxReceipt = 4096 // bytes
)

type naiveTrack struct {
	message string
	parked  [][]byte
	expires time.Time
}

func (s *naive) tracked(key string, expires, now time.Time) *naiveTrack {
	t := s.tracks[key]
	if t == nil || !now.Before(t.expires) {
		t = &naiveTrack{}
		s.tracks[key] = t
	}
	if expires.After(t.expires) {
		t.expires = expires
	}
	return t
}

func (s *naive) Track(_ context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracked(key, expires, now)
	if t.message == "" {
		t.message = message
	}
	if t.message != message {
		return nil, nil
	}
	var early [][]byte
	for _, p := range t.parked {
		early = append(early, bytes.Clone(p))
	}
	return early, nil
}

func (s *naive) Match(_ context.Context, key string, receipt []byte, expires, now time.Time) (string, error) {
	if len(receipt) > maxReceipt {
		return "", fmt.Errorf("naive: receipt of %d bytes", len(receipt))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracked(key, expires, now)
	if t.message != "" {
		return t.message, nil
	}
	for _, p := range t.parked {
		if bytes.Equal(p, receipt) {
			return "", nil
		}
	}
	all := 0
	for _, t := range s.tracks {
		if now.Before(t.expires) {
			all += len(t.parked)
		}
	}
	if len(t.parked) >= maxParked || all >= maxParking {
		return "", store.ErrFull
	}
	t.parked = append(t.parked, bytes.Clone(receipt))
	return "", nil
}

func (s *naive) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if j.ID == "" || j.Expires.IsZero() || !j.Priority.Valid() {
		return errors.New("naive: job without ID or Expires, or of no priority")
	}
	if !j.NotBefore.Before(j.Expires) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.seen[j.ID]; ok && time.Now().Before(e) {
		return nil
	}
	s.seen[j.ID] = j.Expires
	j.Attempt = 0
	if s.due[j.ID] = j.NotBefore; j.NotBefore.Before(time.Now()) {
		s.due[j.ID] = time.Now()
	}
	s.jobs = append(s.jobs, &j)
	s.signal()
	return nil
}

func (s *naive) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next takes the first job that is due, or says how long until there may be one.
func (s *naive) next() (*store.Job, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	best, wait := -1, time.Hour
	for i, j := range s.jobs {
		if d := s.due[j.ID].Sub(now); d > 0 {
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

func (s *naive) Run(ctx context.Context, workers int, handle func(context.Context, store.Job) error) error {
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

func (s *naive) handle(ctx context.Context, j *store.Job, handle func(context.Context, store.Job) error) {
	late := !time.Now().Before(j.Expires)
	var err error
	if !late {
		j.Attempt++
		err = func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("naive: handler panicked with %T", p)
				}
			}()
			return handle(context.WithoutCancel(ctx), *j)
		}()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
	switch {
	case late:
		s.bury(*j, store.Late)
	case err != nil && j.Attempt == naiveAttempts:
		s.bury(*j, store.Failed)
	case err != nil:
		s.due[j.ID] = time.Now().Add(time.Second << min(j.Attempt-1, 5))
		s.jobs = append(s.jobs, j)
		s.signal()
	}
}

func (s *naive) bury(j store.Job, why store.Reason) {
	s.dead = append([]store.DeadLetter{{Job: j, Reason: why, At: time.Now()}}, s.dead...)
}

func (s *naive) Stats(context.Context) (store.Stats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := store.Stats{Running: s.busy, Dead: len(s.dead)}
	now := time.Now()
	for _, j := range s.jobs {
		if s.due[j.ID].After(now) {
			st.Delayed++
			continue
		}
		st.Oldest = max(st.Oldest, now.Sub(s.due[j.ID]))
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
