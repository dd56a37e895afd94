package memstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// What is parked: so many receipts for one key, of so many bytes at most.
const (
	maxParked  = 16
	maxReceipt = 4 << 10
)

// A thread is a key of the Tracker. It takes room for itself and for each
// receipt that it parks.
type thread struct {
	link[thread]
	message string // empty: not tracked yet
	parked  []string
}

// parking returns how much of t's room is for parking: that of its receipts,
// and while it is not tracked its own.
func (t *thread) parking() int64 {
	n := int64(len(t.parked))
	if n > 0 && t.message == "" {
		n++
	}
	return n
}

// leave gives t's parking back, and returns how much room t took in all.
func (s *Store) leave(t *thread) int64 {
	s.parking.used.Add(-t.parking())
	return 1 + int64(len(t.parked))
}

// Track implements store.Tracker.
func (s *Store) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if message == "" {
		return nil, errors.New("memstore: Track of an empty message")
	}
	var early [][]byte
	err := s.onThread(key, expires, now, s.threads.has(1), func(t *thread) error {
		if t.message == "" {
			before := t.parking()
			t.message = strings.Clone(message)
			s.parking.used.Add(t.parking() - before)
		}
		if t.message == message {
			for _, receipt := range t.parked {
				early = append(early, []byte(receipt))
			}
		}
		return nil
	})
	return early, err
}

// Match implements store.Tracker. It parks 16 receipts per key.
func (s *Store) Match(
	ctx context.Context, key string, receipt []byte, expires, now time.Time,
) (message string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(receipt) > maxReceipt {
		return "", fmt.Errorf("memstore: receipt of %d bytes, over %d", len(receipt), maxReceipt)
	}
	all, parking := s.threads.has(2), s.parking.has(2)
	enough := func() bool { return all() && parking() }
	err = s.onThread(key, expires, now, enough, func(t *thread) error {
		message = t.message
		switch {
		case message != "" || slices.Contains(t.parked, string(receipt)):
			return nil
		case len(t.parked) >= maxParked:
			return store.ErrFull
		}
		return s.park(t, string(receipt))
	})
	return message, err
}

// park adds receipt to those of t, which is not tracked.
func (s *Store) park(t *thread, receipt string) error {
	before := t.parking()
	t.parked = append(t.parked, receipt)
	n := int(t.parking() - before)
	if s.parking.reserve(n) {
		if s.threads.reserve(1) {
			return nil
		}
		s.parking.used.Add(-int64(n))
	}
	t.parked = t.parked[:len(t.parked)-1]
	return errNoRoom
}

// onThread calls f on key's thread, new if there is none that lives. Where room
// lacks, it reclaims until enough says so.
func (s *Store) onThread(key string, expires, now time.Time, enough func() bool, f func(*thread) error) error {
	at, until := nanos(now), nanos(expires)
	err := s.tryThread(key, until, at, f)
	for try := 0; errors.Is(err, errNoRoom) && try < reclaims && s.threads.reclaim(at, enough); try++ {
		err = s.tryThread(key, until, at, f)
	}
	if errors.Is(err, errNoRoom) {
		return store.ErrFull
	}
	return err
}

func (s *Store) tryThread(name string, expires, now int64, f func(*thread) error) error {
	k := s.threads.key(name)
	sh := s.threads.lock(k, now)
	defer sh.Unlock()
	t := sh.table.get(k)
	if t == nil {
		t = &thread{}
		t.key, t.expires = k, expires
		if !s.threads.reserve(1) {
			return errNoRoom
		}
		if err := f(t); err != nil {
			s.threads.used.Add(-1)
			return err
		}
		sh.insert(t)
		return nil
	}
	if t.expires <= now { // dead: starts anew
		s.threads.used.Add(1 - s.leave(t))
		t.message, t.parked = "", nil
	}
	if err := f(t); err != nil {
		return err
	}
	t.expires = max(t.expires, expires)
	return nil
}
