package storetest_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// An ownStore is a whole store.Store: three tables, and one mutex in the place of
// transactions. It has no clock: each call brings the caller's time.
type ownStore struct {
	mu         sync.Mutex
	challenges map[string]challenge // by ID
	runs       map[string]run       // by subject
	marks      map[group]mark       // of CancelAll
	collected  time.Time            // when garbage was last collected
}

var _ store.Store = (*ownStore)(nil)

// A challenge is a record, and the tokens of the calls that may be repeated.
type challenge struct {
	store.Record
	charged []store.Token // of each Attempt, in order
	winner  store.Token   // of the Finish that closed it
}

// A run counts the failures of a subject. Each count is forgotten at its end.
type run struct {
	failures, total       int // consecutive, for MaxFailures; since the latest Verified, for MaxRun
	failuresEnd, totalEnd time.Time
	locked                time.Time // end of the lock
}

func (u run) end() time.Time { return latest(u.failuresEnd, u.totalEnd) }

// A group is the challenges of a subject and purpose; with an empty name, all of the subject.
type group struct{ subject, name string }

// A mark closes the challenges of a group that were created before a time.
type mark struct{ before, until time.Time }

func newOwnStore() *ownStore {
	return &ownStore{challenges: map[string]challenge{}, runs: map[string]run{}, marks: map[group]mark{}}
}

// begin begins a transaction, unless ctx has ended.
func (s *ownStore) begin(ctx context.Context, now time.Time) (commit func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if now.Sub(s.collected) >= time.Minute {
		s.collect(now)
	}
	return s.mu.Unlock, nil
}

// collect removes entries that expired a minute ago or earlier: the clocks of other callers may
// be behind.
func (s *ownStore) collect(now time.Time) {
	old := now.Add(-time.Minute)
	maps.DeleteFunc(s.challenges, func(_ string, c challenge) bool { return c.Expires.Before(old) })
	maps.DeleteFunc(s.runs, func(_ string, u run) bool { return u.end().Before(old) })
	maps.DeleteFunc(s.marks, func(_ group, m mark) bool { return m.until.Before(old) })
	s.collected = now
}

// Create knows a repeated call by its salt.
func (s *ownStore) Create(ctx context.Context, r *store.Record, now time.Time) error {
	commit, err := s.begin(ctx, now)
	if err != nil {
		return err
	}
	defer commit()
	r.Attempts, r.Revision = 0, 0
	if old, ok := s.challenges[r.ID]; ok && now.Before(old.Expires) {
		if bytes.Equal(old.Salt, r.Salt) {
			return nil // a repeat
		}
		return store.ErrExists
	}
	if u := s.runs[r.Subject]; now.Before(u.locked) {
		r.LockedUntil = u.locked
		return store.ErrLocked
	}
	s.challenges[r.ID] = challenge{Record: *clone(*r)}
	return nil
}

// clone copies a record, so that a caller cannot change what the store keeps.
func clone(r store.Record) *store.Record {
	r.Salt, r.Sealed, r.Delivery = bytes.Clone(r.Salt), bytes.Clone(r.Sealed), bytes.Clone(r.Delivery)
	return &r
}

// A step changes a live challenge and the run of its subject, or returns an error and
// changes neither.
type step func(c *challenge, u *run) error

// change reads a challenge and its subject's run, and writes them if f returns nil. No other
// call may change them meanwhile. The record is returned with each error but ErrNotFound.
func (s *ownStore) change(ctx context.Context, id string, now time.Time, f step) (*store.Record, error) {
	commit, err := s.begin(ctx, now)
	if err != nil {
		return nil, err
	}
	defer commit()
	c, ok := s.challenges[id]
	if !ok {
		return nil, store.ErrNotFound
	}
	u := s.runs[c.Subject]
	cancelled := latest(s.marks[group{c.Subject, ""}].before, s.marks[group{c.Subject, c.Group}].before)
	if c.Outcome == store.Open && c.Created.Before(cancelled) {
		c.Outcome = store.Cancelled
	}
	if c.LockedUntil = (time.Time{}); now.Before(u.locked) {
		c.LockedUntil = u.locked
	}
	err = store.ErrExpired
	if now.Before(c.Expires) {
		err = f(&c, &u)
	}
	if err == nil {
		s.challenges[id], s.runs[c.Subject] = c, u
	}
	return clone(c.Record), err
}

func (s *ownStore) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	return s.change(ctx, id, now, func(*challenge, *run) error { return nil })
}

// Attempt charges the challenge and the subject in one step. It knows a repeated call by its
// token, and returns the number of attempts that the first call returned.
func (s *ownStore) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	attempts := 0
	r, err := s.change(ctx, id, now, func(c *challenge, u *run) error {
		if i := slices.Index(c.charged, t); i >= 0 {
			attempts = i + 1
			return nil
		}
		switch {
		case c.Outcome != store.Open:
			return store.ErrClosed
		case !c.LockedUntil.IsZero():
			return store.ErrLocked
		case c.Attempts >= c.MaxAttempts:
			return store.ErrExhausted
		}
		c.charged = append(c.charged, t)
		c.Attempts = len(c.charged)
		attempts = c.Attempts
		u.fail(c, now)
		return nil
	})
	if err == nil {
		r.Attempts = attempts
	}
	return r, err
}

// fail counts a failure of c, by c's limits.
func (u *run) fail(c *challenge, now time.Time) {
	if !now.Before(u.failuresEnd) {
		u.failures = 0
	}
	if !now.Before(u.end()) {
		u.total = 0
	}
	u.failures, u.failuresEnd = u.failures+1, latest(u.failuresEnd, now.Add(c.Lock))
	u.total, u.totalEnd = u.total+1, latest(u.totalEnd, now.Add(c.RunLife))
	if c.MaxFailures > 0 && u.failures >= c.MaxFailures {
		u.locked = now.Add(c.Lock)
		u.failuresEnd, c.LockedUntil = u.locked, u.locked
	}
	if c.MaxRun > 0 && u.total >= c.MaxRun {
		u.locked = now.Add(max(c.RunLife, c.Lock))
		u.failuresEnd, u.totalEnd, c.LockedUntil = u.locked, u.locked, u.locked
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Finish has one winner, which may repeat the call.
func (s *ownStore) Finish(
	ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time,
) (*store.Record, error) {
	return s.change(ctx, id, now, func(c *challenge, u *run) error {
		switch {
		case c.Outcome == o && c.winner == t:
			return nil // a repeat
		case c.Outcome != store.Open:
			return store.ErrClosed
		}
		if c.Outcome, c.winner = o, t; o == store.Verified {
			*u, c.LockedUntil = run{}, time.Time{}
		}
		return nil
	})
}

func (s *ownStore) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	return s.change(ctx, id, now, func(c *challenge, _ *run) error {
		if c.Revision != revision {
			return store.ErrConflict
		}
		c.Revision, c.Delivery = revision+1, bytes.Clone(delivery)
		return nil
	})
}

// CancelAll keeps the latest mark, since calls overtake one another.
func (s *ownStore) CancelAll(ctx context.Context, _, subject, name string, until, now time.Time) error {
	commit, err := s.begin(ctx, now)
	if err != nil {
		return err
	}
	defer commit()
	g := group{subject, name}
	m := s.marks[g]
	s.marks[g] = mark{latest(m.before, now), latest(m.until, until)}
	return nil
}

// A store of one's own, to be copied: TestOwnStore holds it to the suite. Another backend
// keeps the steps, and replaces the three tables and begin.
func Example_wholeStore() {
	s, ctx, now := newOwnStore(), context.Background(), time.Now()
	r := &store.Record{ID: "abc-1", Created: now, Expires: now.Add(time.Minute), MaxAttempts: 1}
	fmt.Println(s.Create(ctx, r, now))
	for _, token := range []store.Token{4711, 4711, 4712} { // the second call repeats the first
		r, err := s.Attempt(ctx, "abc-1", token, now)
		fmt.Println(r.Attempts, err)
	}
	// Output:
	// <nil>
	// 1 <nil>
	// 1 <nil>
	// 1 store: no attempts left
}
