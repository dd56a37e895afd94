package memstore

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

type run struct {
	failures int
	locked   bool
	until    time.Time
}

// Create implements store.Store.
func (s *Store) Create(_ context.Context, r *store.Record, now time.Time) error {
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
	if old == nil && len(s.recs) >= s.cfg.MaxChallenges && !s.sweep(now) {
		return store.ErrFull
	}
	r.Sends, r.NextSend = 1, nextSend(r.Waits, 1, now)
	r.Attempts, r.Revision, r.Outcome, r.LockedUntil = 0, 0, store.Open, time.Time{}
	s.recs[r.ID] = clone(r)
	return nil
}

func (s *Store) sweep(now time.Time) bool {
	n := len(s.recs)
	for id, r := range s.recs {
		if !now.Before(r.Expires) {
			delete(s.recs, id)
		}
	}
	return len(s.recs) < n
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

func (s *Store) lockedUntil(subject string, now time.Time) time.Time {
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
func (s *Store) with(id string, now time.Time, f func(*store.Record) error) (*store.Record, error) {
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

// Get implements store.Store.
func (s *Store) Get(_ context.Context, id string, now time.Time) (*store.Record, error) {
	return s.with(id, now, func(*store.Record) error { return nil })
}

// Attempt implements store.Store.
func (s *Store) Attempt(_ context.Context, id string, now time.Time) (*store.Record, error) {
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

func (s *Store) fail(r *store.Record, now time.Time) {
	u := s.runs[r.Subject]
	if u == nil || !now.Before(u.until) {
		u = &run{}
		s.runs[r.Subject] = u
	}
	u.failures++
	if until := now.Add(r.Lock); until.After(u.until) {
		u.until = until
	}
	if r.MaxFailures > 0 && u.failures >= r.MaxFailures {
		u.locked, r.LockedUntil = true, u.until
	}
}

// Finish implements store.Store.
func (s *Store) Finish(_ context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
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

// Resend implements store.Store.
func (s *Store) Resend(_ context.Context, id string, now time.Time) (*store.Record, error) {
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

// Update implements store.Store.
func (s *Store) Update(_ context.Context, id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
	return s.with(id, now, func(r *store.Record) error {
		if r.Revision != revision {
			return store.ErrConflict
		}
		r.Revision++
		r.Delivery = bytes.Clone(delivery)
		return nil
	})
}
