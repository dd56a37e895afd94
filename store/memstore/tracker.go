package memstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// maxParked is how many receipts are parked for one key.
const maxParked = 16

// A thread is a key of the Tracker. It takes room for itself and for each
// receipt that it parks.
type thread struct {
	link[thread]
	message string // empty: not tracked yet
	parked  []string
}

func (t *thread) weight() int64 { return 1 + int64(len(t.parked)) }

// Track implements store.Tracker. A message other than the one that key is
// mapped to is told nothing.
func (s *Store) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if message == "" {
		return nil, errors.New("memstore: Track of an empty message")
	}
	var early [][]byte
	err := s.onThread(key, expires, now, func(t *thread) error {
		if t.message == "" {
			t.message = strings.Clone(message)
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
func (s *Store) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	err = s.onThread(key, expires, now, func(t *thread) error {
		message = t.message
		switch {
		case message != "" || slices.Contains(t.parked, string(receipt)):
			return nil
		case len(t.parked) >= maxParked:
			return store.ErrFull
		case !s.threads.reserve(1):
			return errNoRoom
		}
		t.parked = append(t.parked, string(receipt))
		return nil
	})
	return message, err
}

// onThread calls f on key's thread, new if there is none that lives.
func (s *Store) onThread(key string, expires, now time.Time, f func(*thread) error) error {
	at, until := nanos(now), nanos(expires)
	err := s.tryThread(key, until, at, f)
	for try := 0; errors.Is(err, errNoRoom) && try < reclaims && s.threads.reclaim(at, s.threads.has(2)); try++ {
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
			s.threads.used.Add(-t.weight())
			return err
		}
		sh.insert(t)
		return nil
	}
	if t.expires <= now { // dead: starts anew
		s.threads.used.Add(-int64(len(t.parked)))
		t.message, t.parked, t.expires = "", nil, expires
	}
	t.expires = max(t.expires, expires)
	return f(t)
}
