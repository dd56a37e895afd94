package memstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// A mark is a cancellation of one group of a subject, or of all groups. It is separate
// from the subject's run, because they end at different times.
type mark struct {
	link[mark]
	before int64 // earlier challenges are cancelled
}

// markKey returns the key of a mark; an empty group means all groups.
func (s *Store) markKey(subject key, group string) key {
	if group == "" {
		return subject
	}
	g := s.marks.key(group)
	return key{subject[0] ^ g[0], subject[1] ^ g[1]}
}

// CancelAll implements store.Store. It ignores the bucket.
func (s *Store) CancelAll(ctx context.Context, _, subject, group string, until, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k, at := s.markKey(s.runs.key(subject), group), nanos(now)
	ok := s.mark(k, nanos(until), at)
	for try := 0; !ok && try < reclaims && s.marks.reclaim(at, s.marks.has(1)); try++ {
		ok = s.mark(k, nanos(until), at)
	}
	if !ok {
		return store.ErrFull
	}
	return nil
}

// mark sets the mark of k, and reports whether there was room for it.
func (s *Store) mark(k key, until, now int64) bool {
	sh := s.marks.lock(k, now)
	defer sh.Unlock()
	if m := sh.table.get(k); m != nil {
		if m.expires <= now { // the cancelled challenges have expired
			m.before = now
		}
		m.expires, m.before = max(m.expires, until), max(m.before, now)
		return true
	}
	if !s.marks.reserve(1) {
		return false
	}
	m := &mark{before: now}
	m.key, m.expires = k, until
	sh.insert(m)
	return true
}

// cancelled reports whether a CancelAll applies to challenges of a group of subject
// from the time created.
func (s *Store) cancelled(subject key, group string, created, now int64) bool {
	return s.marks.used.Load() > 0 && // most stores never have a mark
		(s.marked(s.markKey(subject, ""), created, now) ||
			group != "" && s.marked(s.markKey(subject, group), created, now))
}

func (s *Store) marked(k key, created, now int64) bool {
	sh := s.marks.lock(k, now)
	defer sh.Unlock()
	m := sh.live(k, now)
	return m != nil && created < m.before
}
