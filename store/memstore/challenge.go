package memstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A run is a subject's run of consecutive failures. It dies when it is
// forgotten, and the lock with it.
type run struct {
	link[run]
	failures uint32
	locked   bool
}

// runLook is after how many seconds runs are looked at for the first time, and
// again: most are ended by a success long before they would be forgotten.
const runLook = 30

// errNoRoom says that what was asked for needs room reclaimed first.
var errNoRoom = errors.New("memstore: no room")

// reclaims is how often room that was reclaimed may be lost to others.
const reclaims = 8

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := check(r); err != nil {
		return err
	}
	at := nanos(now)
	err := s.create(r, at)
	for try := 0; err == errNoRoom && try < reclaims && s.challenges.reclaim(1, at); try++ {
		err = s.create(r, at)
	}
	if err == errNoRoom {
		return store.ErrFull
	}
	return err
}

func (s *Store) create(r *store.Record, now int64) error {
	k := s.challenges.key(r.ID)
	sh := s.challenges.lock(k, now)
	defer sh.Unlock()
	old := sh.table.get(k)
	if old != nil && old.expires > now {
		return store.ErrExists
	}
	if until := s.lockedUntil(r.Subject, now); until != math.MinInt64 {
		r.LockedUntil = instant(until)
		return store.ErrLocked
	}
	if old == nil && !s.challenges.reserve(1) {
		return errNoRoom
	}
	c := challenge{
		policy:   s.policies.of(r),
		blob:     pack(r.Subject, r.Salt, r.Sealed, r.Delivery),
		created:  nanos(r.Created),
		nextSend: nextSend(r.Waits, 1, now),
		sends:    1,
	}
	c.key, c.expires = k, nanos(r.Expires)
	if old != nil {
		c.chain, c.due = old.chain, old.due
		*old = c
	} else {
		sh.insert(&c)
	}
	r.Sends, r.NextSend, r.Attempts, r.Revision = 1, instant(c.nextSend), 0, 0
	r.Outcome, r.LockedUntil = store.Open, time.Time{}
	return nil
}

// nextSend returns when the send after so many is due.
func nextSend(waits []time.Duration, sends int, now int64) int64 {
	if sends > len(waits) {
		return math.MinInt64
	}
	return after(now, max(waits[sends-1], 0))
}

// lockedUntil returns the end of the subject's lock, or the least int64.
func (s *Store) lockedUntil(subject string, now int64) int64 {
	k := s.runs.key(subject)
	sh := s.runs.lock(k, now)
	defer sh.Unlock()
	return sh.live(k, now).until()
}

func (u *run) until() int64 {
	if u == nil || !u.locked {
		return math.MinInt64
	}
	return u.expires
}

// A hold is a live challenge and its subject's run, while both are locked.
type hold struct {
	*challenge
	now   int64
	store *Store
	key   key // of the subject
	runs  *shard[run, *run]
	run   *run // nil: no failures
}

// on calls f on the challenge id, and returns the record as it is then.
func (s *Store) on(ctx context.Context, id string, now time.Time, f func(*hold) error) (*store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at := nanos(now)
	r, err := s.try(id, at, f)
	for n := 0; err == errNoRoom && n < reclaims && s.runs.reclaim(1, at); n++ {
		r, err = s.try(id, at, f)
	}
	if err == errNoRoom {
		err = store.ErrFull
	}
	return r, err
}

func (s *Store) try(id string, now int64, f func(*hold) error) (*store.Record, error) {
	c, until, err := s.locked(id, now, f)
	if c.policy == nil {
		return nil, err
	}
	return c.record(id, until), err
}

// locked calls f with the locks held and returns what the record is made of,
// which takes longer, when they are not.
func (s *Store) locked(id string, now int64, f func(*hold) error) (challenge, int64, error) {
	k := s.challenges.key(id)
	sh := s.challenges.lock(k, now)
	defer sh.Unlock()
	c := sh.table.get(k)
	if c == nil {
		return challenge{}, 0, store.ErrNotFound
	}
	h := hold{challenge: c, now: now, store: s, key: s.runs.key(c.subject())}
	h.runs = s.runs.lock(h.key, now)
	defer h.runs.Unlock()
	h.run = h.runs.live(h.key, now)
	if c.expires <= now {
		return *c, h.run.until(), store.ErrExpired
	}
	err := f(&h)
	return *c, h.run.until(), err
}

// fail counts a failure. The run lives Lock from now, or longer if an earlier
// failure was under a policy that remembers longer.
func (h *hold) fail() error {
	forget := after(h.now, max(h.policy.lock, 0))
	if forget == h.now {
		return nil // nothing is remembered
	}
	if h.run == nil {
		if err := h.begin(forget); err != nil {
			return err
		}
	}
	u := h.run
	u.failures = max(u.failures, u.failures+1) // does not wrap
	u.expires = max(u.expires, forget)
	u.locked = h.policy.maxFailures > 0 && int64(u.failures) >= int64(h.policy.maxFailures)
	return nil
}

// begin starts a run in the place of a dead one, or of its own.
func (h *hold) begin(forget int64) error {
	if dead := h.runs.table.get(h.key); dead != nil {
		dead.failures, dead.locked, dead.expires = 0, false, forget
		h.run = dead
		return nil
	}
	if !h.store.runs.reserve(1) {
		return errNoRoom
	}
	h.run = &run{}
	h.run.key, h.run.expires = h.key, forget
	h.runs.insert(h.run)
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.on(ctx, id, now, func(*hold) error { return nil })
}

// Attempt implements store.Store. It answers store.ErrFull if there is no room
// to remember the failure.
func (s *Store) Attempt(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.on(ctx, id, now, func(h *hold) error {
		switch {
		case h.outcome != store.Open:
			return store.ErrClosed
		case h.run.until() != math.MinInt64:
			return store.ErrLocked
		case int64(h.attempts) >= int64(h.policy.maxAttempts):
			return store.ErrExhausted
		}
		if err := h.fail(); err != nil {
			return err
		}
		h.attempts++
		return nil
	})
}

// Finish implements store.Store.
func (s *Store) Finish(ctx context.Context, id string, o store.Outcome, now time.Time) (*store.Record, error) {
	if o != store.Verified && o != store.Cancelled {
		return nil, fmt.Errorf("memstore: Finish as %v", o)
	}
	return s.on(ctx, id, now, func(h *hold) error {
		if h.outcome != store.Open {
			return store.ErrClosed
		}
		h.outcome = o
		if o == store.Verified && h.run != nil {
			h.run.expires, h.run = h.now, nil
		}
		return nil
	})
}

// Resend implements store.Store.
func (s *Store) Resend(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.on(ctx, id, now, func(h *hold) error {
		switch {
		case h.outcome != store.Open:
			return store.ErrClosed
		case h.run.until() != math.MinInt64:
			return store.ErrLocked
		case int(h.sends) > len(h.policy.waits):
			return store.ErrExhausted
		case h.now < h.nextSend:
			return store.ErrTooSoon
		}
		h.sends++
		h.revision++
		h.nextSend = nextSend(h.policy.waits, int(h.sends), h.now)
		return nil
	})
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, id string, revision uint64, delivery []byte, now time.Time) (*store.Record, error) {
	return s.on(ctx, id, now, func(h *hold) error {
		if h.revision != revision {
			return store.ErrConflict
		}
		h.revision++
		h.setDelivery(delivery)
		return nil
	})
}
