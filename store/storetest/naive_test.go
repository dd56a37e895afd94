package storetest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// naive is right and slow: one mutex, plain maps, and nothing is ever
// forgotten. The suites are proved by faults added to it.
type naive struct {
	mu     sync.Mutex
	recs   map[string]*naiveChallenge
	runs   map[string]*naiveRun
	marks  map[string]map[string]naiveMark // of CancelAll, by Subject and group
	limits map[store.Limit][]time.Time     // by Key and Per; no key has no takings
	tracks map[string]*naiveTrack
	jobs   []*naiveJob        // that wait
	held   map[*naiveJob]bool // with a worker
	latest *naiveJob          // of those handed out
	dead   []store.DeadLetter // the newest first
	wake   chan struct{}
	again  func(*naiveJob) // a fault: changes a job that is to come again
	creds  map[string]string

	deaf string // a fault: the method that does not look at its context

	// Faults of a queue.
	noHeartbeat  bool // a job is handed out anew though its process lives
	noTakeover   bool // a dead worker's job is not handed out anew
	lateTakeover bool // it is, and too late
	freeDeath    bool // a worker's death is no failure of its job
	formerEnds   bool // a former worker that succeeds ends the job
	formerFails  bool // a former worker that fails, or has the job come again, hands it out
	formerBeats  bool // a former worker that has sent heartbeats again ends the job
	oneBeat      bool // heartbeats are for the job only that was handed out last
	noLastBeats  bool // no heartbeats when the context of Run has ended
	endsStopped  bool // a Run ends when its process is stopped
	losesTerms   bool // a job that has failed, or whose worker has died, loses NotBefore and priority
}

func newNaive() *naive {
	return &naive{
		recs:   map[string]*naiveChallenge{},
		runs:   map[string]*naiveRun{},
		marks:  map[string]map[string]naiveMark{},
		limits: map[store.Limit][]time.Time{},
		tracks: map[string]*naiveTrack{},
		held:   map[*naiveJob]bool{},
		wake:   make(chan struct{}, 1),
		creds:  map[string]string{},
	}
}

// ended returns the error of a context that has ended.
func (s *naive) ended(ctx context.Context, op string) error {
	if s.deaf == op {
		return nil
	}
	return ctx.Err()
}

// live returns how many things are not over at now.
func (s *naive) live(now time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(until time.Time) {
		if until.After(now) {
			n++
		}
	}
	for _, r := range s.recs {
		add(r.Expires)
	}
	for _, u := range s.runs {
		add(latest(u.until, u.life))
	}
	for _, marks := range s.marks {
		for _, m := range marks {
			add(m.until)
		}
	}
	for k, taken := range s.limits {
		if len(taken) == 0 {
			n++
			continue
		}
		add(slices.MaxFunc(taken, time.Time.Compare).Add(k.Per))
	}
	for _, t := range s.tracks {
		add(t.expires)
	}
	for _, j := range s.jobs {
		add(j.Expires)
	}
	for _, d := range s.dead {
		add(d.At.Add(24 * time.Hour))
	}
	return n + len(s.creds)
}

type naiveChallenge struct {
	store.Record
	charged []store.Token // in their order
	won     store.Token   // by which it was finished
}

type naiveRun struct {
	failures int
	locked   bool
	until    time.Time
	total    int       // locks notwithstanding
	life     time.Time // until when total is kept
}

// A naiveMark closes the challenges that were created before at.
type naiveMark struct{ at, until time.Time }

func (s *naive) Create(ctx context.Context, r *store.Record, now time.Time) error {
	if err := s.ended(ctx, "Create"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(r, now)
}

func (s *naive) create(r *store.Record, now time.Time) error {
	old := s.recs[r.ID]
	if old != nil && now.Before(old.Expires) {
		if !bytes.Equal(old.Salt, r.Salt) {
			return store.ErrExists
		}
		r.Attempts, r.Revision = 0, 0
		return nil
	}
	if until := s.lockedUntil(r.Subject, now); !until.IsZero() {
		r.LockedUntil = until
		return store.ErrLocked
	}
	r.Attempts, r.Revision, r.Outcome, r.LockedUntil = 0, 0, store.Open, time.Time{}
	s.recs[r.ID] = &naiveChallenge{Record: *clone(r)}
	return nil
}

func clone(r *store.Record) *store.Record {
	c := *r
	c.Salt, c.Sealed, c.Delivery = bytes.Clone(r.Salt), bytes.Clone(r.Sealed), bytes.Clone(r.Delivery)
	return &c
}

func (s *naive) lockedUntil(subject string, now time.Time) time.Time {
	u := s.runs[subject]
	if u == nil || !u.locked {
		return time.Time{}
	}
	if !now.Before(u.until) {
		return time.Time{}
	}
	return u.until
}

// cancelled tells whether a CancelAll has closed r.
func (s *naive) cancelled(r *naiveChallenge) bool {
	marks := s.marks[r.Subject]
	return r.Created.Before(marks[""].at) || r.Created.Before(marks[r.Group].at)
}

// with runs f on the live challenge id and returns a copy of it as f left it.
func (s *naive) with(id string, now time.Time, f func(*naiveChallenge) error) (*store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.recs[id]
	if r == nil {
		return nil, store.ErrNotFound
	}
	r.LockedUntil = s.lockedUntil(r.Subject, now)
	if !now.Before(r.Expires) {
		return clone(&r.Record), store.ErrExpired
	}
	if r.Outcome == store.Open && s.cancelled(r) {
		r.Outcome = store.Cancelled
		defer func() { r.Outcome = store.Open }() // what was stored
	}
	err := f(r)
	return clone(&r.Record), err
}

func (s *naive) Get(ctx context.Context, id string, now time.Time) (*store.Record, error) {
	if err := s.ended(ctx, "Get"); err != nil {
		return nil, err
	}
	return s.with(id, now, func(*naiveChallenge) error { return nil })
}

func (s *naive) Attempt(ctx context.Context, id string, t store.Token, now time.Time) (*store.Record, error) {
	if err := s.ended(ctx, "Attempt"); err != nil {
		return nil, err
	}
	number := 0
	r, err := s.with(id, now, func(r *naiveChallenge) error {
		number = slices.Index(r.charged, t) + 1
		switch {
		case number > 0:
			return nil
		case r.Outcome != store.Open:
			return store.ErrClosed
		case !r.LockedUntil.IsZero():
			return store.ErrLocked
		case r.Attempts >= r.MaxAttempts:
			return store.ErrExhausted
		}
		r.Attempts++
		r.charged = append(r.charged, t)
		s.fail(&r.Record, now)
		return nil
	})
	if number > 0 {
		r.Attempts = number
	}
	return r, err
}

func (s *naive) fail(r *store.Record, now time.Time) {
	u := s.runs[r.Subject]
	if u == nil || !now.Before(latest(u.until, u.life)) {
		u = &naiveRun{}
		s.runs[r.Subject] = u
	}
	if !now.Before(u.until) {
		u.failures, u.locked = 0, false
	}
	u.failures++
	u.total++
	if r.MaxRun > 0 {
		u.life = latest(u.life, now.Add(r.RunLife))
	}
	if until := now.Add(r.Lock); until.After(u.until) {
		u.until = until
	}
	if r.MaxFailures > 0 && u.failures >= r.MaxFailures {
		u.locked, u.until = true, now.Add(r.Lock)
		r.LockedUntil = u.until
	}
	if r.MaxRun > 0 && u.total >= r.MaxRun {
		u.locked, u.until = true, now.Add(max(r.RunLife, r.Lock))
		u.life, r.LockedUntil = u.until, u.until
	}
}

func (s *naive) Finish(
	ctx context.Context, id string, o store.Outcome, t store.Token, now time.Time,
) (*store.Record, error) {
	if err := s.ended(ctx, "Finish"); err != nil {
		return nil, err
	}
	return s.with(id, now, func(r *naiveChallenge) error {
		switch {
		case r.won == t && r.Outcome == o:
			return nil
		case r.Outcome != store.Open:
			return store.ErrClosed
		}
		r.Outcome, r.won = o, t
		if o == store.Verified {
			delete(s.runs, r.Subject)
			r.LockedUntil = time.Time{}
		}
		return nil
	})
}

func (s *naive) Forget(ctx context.Context, _, subject string, _ time.Time) error {
	if err := s.ended(ctx, "Forget"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, subject)
	return nil
}

func (s *naive) Update(
	ctx context.Context, id string, revision uint64, delivery []byte, now time.Time,
) (*store.Record, error) {
	if err := s.ended(ctx, "Update"); err != nil {
		return nil, err
	}
	return s.with(id, now, func(r *naiveChallenge) error {
		if r.Revision != revision {
			return store.ErrConflict
		}
		r.Revision++
		r.Delivery = bytes.Clone(delivery)
		return nil
	})
}

func (s *naive) CancelAll(ctx context.Context, _, subject, group string, until, now time.Time) error {
	if err := s.ended(ctx, "CancelAll"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks[subject] == nil {
		s.marks[subject] = map[string]naiveMark{}
	}
	m := s.marks[subject][group]
	s.marks[subject][group] = naiveMark{at: latest(m.at, now), until: latest(m.until, until)}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
