package memstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A run is a subject's failures since the latest success. It expires when both of its
// counts are forgotten.
type run struct {
	removable[run] // its place holds the counts
	ends           int64
}

// errNoRoom means that the call must reclaim room first.
var errNoRoom = errors.New("memstore: no room")

// errNoToken refuses token 0: if all calls had one token, later guesses would be
// repeats of the first, and free.
var errNoToken = errors.New("memstore: token 0")

// reclaims is how often a call may lose its reclaimed room to others.
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
	for try := 0; errors.Is(err, errNoRoom) && try < reclaims && s.challenges.reclaim(at, s.challenges.has(1)); try++ {
		err = s.create(r, at)
	}
	if errors.Is(err, errNoRoom) {
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
		if _, _, salt, _, _ := unpack(old.blob); salt != string(r.Salt) {
			return store.ErrExists
		}
		begin(r)
		return nil
	}
	if until := s.lockedUntil(r.Subject, now); until != math.MinInt64 {
		r.LockedUntil = instant(until)
		return store.ErrLocked
	}
	if old == nil && !s.challenges.reserve(1) {
		return errNoRoom
	}
	c := challenge{
		policy:  s.policies.of(r),
		blob:    pack(r.Subject, r.Group, r.Salt, r.Sealed, r.Delivery),
		created: nanos(r.Created),
	}
	c.key, c.expires = k, nanos(r.Expires)
	if old != nil {
		c.chain, c.due = old.chain, old.due
		*old = c
	} else {
		sh.insert(&c)
	}
	begin(r)
	return nil
}

// begin sets the fields of a record that a store keeps.
func begin(r *store.Record) {
	r.Attempts, r.Revision, r.Outcome, r.LockedUntil = 0, 0, store.Open, time.Time{}
}

// lockedUntil returns the end of the subject's lock, or the least int64.
func (s *Store) lockedUntil(subject string, now int64) int64 {
	k := s.runs.key(subject)
	sh := s.runs.lock(k, now)
	defer sh.Unlock()
	return sh.live(k, now).until(now)
}

// until returns the end of the lock, or the least int64.
func (u *run) until(now int64) int64 {
	if u == nil || !u.at.locked || u.ends <= now {
		return math.MinInt64
	}
	return u.ends
}

// A hold is a challenge and its subject's run in a call. The call has locked both:
//
//	for h.begin() {
//		h.end(h.attempt())
//	}
//	return h.answer()
type hold struct {
	store *Store
	id    string
	now   int64
	tries int

	*challenge
	shard   *shard[challenge, *challenge]
	subject key
	runs    *shard[run, *run]
	run     *run // nil: no failures

	copy  challenge // at the end of the call; without a policy: there is none
	until int64     // the lock's end at the end of the call
	err   error
}

func (s *Store) hold(ctx context.Context, id string, now time.Time) hold {
	return hold{store: s, id: id, now: nanos(now), err: ctx.Err()}
}

// begin locks the challenge and the run. It returns false if the call is over.
func (h *hold) begin() bool {
	switch {
	case h.tries == 0 && h.err == nil:
	case errors.Is(h.err, errNoRoom) && h.tries <= reclaims && h.store.runs.reclaim(h.now, h.store.runs.has(1)):
	default:
		return false
	}
	h.tries++
	k := h.store.challenges.key(h.id)
	h.shard = h.store.challenges.lock(k, h.now)
	if h.challenge = h.shard.table.get(k); h.challenge == nil {
		h.shard.Unlock()
		h.err = store.ErrNotFound
		return false
	}
	subject, group, _, _, _ := unpack(h.blob)
	h.subject = h.store.runs.key(subject)
	h.runs = h.store.runs.lock(h.subject, h.now)
	h.run = h.runs.live(h.subject, h.now)
	if h.expires <= h.now {
		h.end(store.ErrExpired)
		return false
	}
	if h.outcome == store.Open && h.store.cancelled(h.subject, group, h.created, h.now) {
		h.outcome = store.Cancelled
	}
	return true
}

// end unlocks. Making a record takes longer, so answer does it.
func (h *hold) end(err error) {
	h.copy, h.until, h.err = *h.challenge, h.run.until(h.now), err
	h.runs.Unlock()
	h.shard.Unlock()
}

func (h *hold) answer() (*store.Record, error) {
	if errors.Is(h.err, errNoRoom) {
		h.err = store.ErrFull
	}
	if h.copy.policy == nil {
		return nil, h.err
	}
	return h.copy.record(h.id, h.until), h.err
}

// fail counts a failure. The run lives Lock from now, or longer if the policy of an
// earlier failure says so. Its count for MaxRun lives RunLife in the same way. A lock
// lasts as long as the policy of its failure says.
func (h *hold) fail() error {
	forget, life := after(h.now, max(h.policy.lock, 0)), h.now
	if h.policy.maxRun > 0 {
		life = after(h.now, max(h.policy.runLife, 0))
	}
	if h.run == nil {
		if max(forget, life) == h.now {
			return nil // nothing to remember
		}
		if err := h.remember(max(forget, life)); err != nil {
			return err
		}
	}
	u, t := h.run, &h.run.at
	if u.ends <= h.now {
		t.failures, t.locked, u.ends = 0, false, h.now
	}
	t.failures, t.total = max(t.failures, t.failures+1), max(t.total, t.total+1) // without overflow
	u.ends = max(u.ends, forget)
	u.expires = max(u.expires, u.ends, life)
	if h.policy.maxFailures > 0 && int64(t.failures) >= int64(h.policy.maxFailures) {
		t.locked, u.ends = true, forget
		if u.ends <= h.now { // a lock of no length
			t.failures, t.locked = 0, false
		}
	}
	if h.policy.maxRun > 0 && int(t.total) >= h.policy.maxRun {
		t.locked, u.ends = true, max(forget, life)
		u.expires = u.ends
	}
	return nil
}

// remember starts a run. If the subject has an expired run, it reuses it.
func (h *hold) remember(forget int64) error {
	if dead := h.runs.table.get(h.subject); dead != nil {
		dead.at.failures, dead.at.total, dead.at.locked, dead.ends, dead.expires = 0, 0, false, 0, forget
		h.run = dead
		return nil
	}
	if !h.store.runs.reserve(1) {
		return errNoRoom
	}
	h.run = &run{}
	h.run.key, h.run.expires = h.subject, forget
	h.runs.insert(h.run)
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	h := s.hold(ctx, id, now)
	for h.begin() {
		h.end(nil)
	}
	return h.answer()
}

// Attempt implements store.Store.
func (s *Store) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	if t == 0 {
		return nil, errNoToken
	}
	h := s.hold(ctx, id, now)
	number := 0
	for h.begin() {
		var err error
		if number = h.charged(t); number == 0 {
			err = h.attempt(t)
		}
		h.end(err)
	}
	r, err := h.answer()
	if number > 0 && r != nil {
		r.Attempts = number
	}
	return r, err
}

func (h *hold) attempt(t store.Token) error {
	switch {
	case h.outcome != store.Open:
		return store.ErrClosed
	case h.run.until(h.now) != math.MinInt64:
		return store.ErrLocked
	case int64(h.attempts) >= int64(h.policy.maxAttempts):
		return store.ErrExhausted
	}
	if err := h.fail(); err != nil {
		return err
	}
	h.attempts++
	h.calls = &call{h.calls, t}
	return nil
}

// Finish implements store.Store.
func (s *Store) Finish(ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time) (*store.Record,
	error) {
	if o != store.Verified && o != store.Cancelled {
		return nil, fmt.Errorf("memstore: Finish as %v", o)
	}
	if t == 0 {
		return nil, errNoToken
	}
	h := s.hold(ctx, id, now)
	for h.begin() {
		h.end(h.finish(o, t))
	}
	return h.answer()
}

func (h *hold) finish(o store.Outcome, t store.Token) error {
	switch {
	case h.outcome == o && h.finished && h.calls.token == t: // a repeat
		return nil
	case h.outcome != store.Open:
		return store.ErrClosed
	}
	h.outcome, h.finished = o, true
	h.calls = &call{h.calls, t}
	if o == store.Verified && h.run != nil {
		h.runs.remove(h.run)
		h.store.runs.used.Add(-1)
		h.run = nil
	}
	return nil
}

var _ store.Forgetter = (*Store)(nil)

// Forget implements store.Forgetter. It ignores the bucket.
func (s *Store) Forget(ctx context.Context, _, subject string, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k := s.runs.key(subject)
	sh := s.runs.lock(k, nanos(now))
	defer sh.Unlock()
	if u := sh.table.get(k); u != nil {
		sh.remove(u)
		s.runs.used.Add(-1)
	}
	return nil
}

// Update implements store.Store.
func (s *Store) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	h := s.hold(ctx, id, now)
	for h.begin() {
		h.end(h.update(revision, delivery))
	}
	return h.answer()
}

func (h *hold) update(revision uint64, delivery []byte) error {
	if h.revision != revision {
		return store.ErrConflict
	}
	h.revision++
	h.setDelivery(delivery)
	return nil
}
