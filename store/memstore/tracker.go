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

// Bounds of parked receipts.
const (
	maxParked  = 16      // for one key
	maxReceipt = 4 << 10 // bytes
)

// A trackedKey is a key of the Tracker. It takes room for itself and for each of
// its parked receipts.
type trackedKey struct {
	link[trackedKey]
	message string // empty: not tracked yet
	parked  []string
}

// parking returns the part of t's room that counts as parking: its receipts and,
// until it has a message, itself.
func (t *trackedKey) parking() int64 {
	n := int64(len(t.parked))
	if n > 0 && t.message == "" {
		n++
	}
	return n
}

// release returns t's parking room, and reports how much room t took in all.
func (s *Store) release(t *trackedKey) int64 {
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
	err := s.onKey(key, expires, now, s.tracked.has(1), func(t *trackedKey) error {
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
	all, parking := s.tracked.has(2), s.parking.has(2)
	enough := func() bool { return all() && parking() }
	err = s.onKey(key, expires, now, enough, func(t *trackedKey) error {
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

// park adds receipt to t, which must have no message.
func (s *Store) park(t *trackedKey, receipt string) error {
	before := t.parking()
	t.parked = append(t.parked, receipt)
	n := int(t.parking() - before)
	if s.parking.reserve(n) {
		if s.tracked.reserve(1) {
			return nil
		}
		s.parking.used.Add(-int64(n))
	}
	t.parked = t.parked[:len(t.parked)-1]
	return errNoRoom
}

// onKey calls f with the entry of key. If there is no live entry, onKey makes one.
// If there is no room, it reclaims until enough returns true, and tries again.
func (s *Store) onKey(key string, expires, now time.Time, enough func() bool, f func(*trackedKey) error) error {
	at, until := nanos(now), nanos(expires)
	err := s.tryKey(key, until, at, f)
	for try := 0; errors.Is(err, errNoRoom) && try < reclaims && s.tracked.reclaim(at, enough); try++ {
		err = s.tryKey(key, until, at, f)
	}
	if errors.Is(err, errNoRoom) {
		return store.ErrFull
	}
	return err
}

func (s *Store) tryKey(name string, expires, now int64, f func(*trackedKey) error) error {
	k := s.tracked.key(name)
	sh := s.tracked.lock(k, now)
	defer sh.Unlock()
	t := sh.table.get(k)
	if t == nil {
		t = &trackedKey{}
		t.key, t.expires = k, expires
		if !s.tracked.reserve(1) {
			return errNoRoom
		}
		if err := f(t); err != nil {
			s.tracked.used.Add(-1)
			return err
		}
		sh.insert(t)
		return nil
	}
	if t.expires <= now { // expired: it starts anew
		s.tracked.used.Add(1 - s.release(t))
		t.message, t.parked = "", nil
	}
	if err := f(t); err != nil {
		return err
	}
	t.expires = max(t.expires, expires)
	return nil
}
