package memstore

import (
	"bytes"
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

const maxParked = 16 // receipts parked per key

type tracked struct {
	message string
	parked  [][]byte
	expires time.Time
}

func (s *Store) tracked(key string, expires, now time.Time) *tracked {
	t := s.tracks[key]
	if t == nil || !now.Before(t.expires) {
		t = &tracked{}
		s.tracks[key] = t
	}
	if expires.After(t.expires) {
		t.expires = expires
	}
	return t
}

// Track implements store.Tracker.
func (s *Store) Track(_ context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracked(key, expires, now)
	if t.message == "" {
		t.message = message
	}
	var early [][]byte
	for _, p := range t.parked {
		early = append(early, bytes.Clone(p))
	}
	return early, nil
}

// Match implements store.Tracker.
func (s *Store) Match(_ context.Context, key string, receipt []byte, expires, now time.Time) (string, error) {
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
	if len(t.parked) >= maxParked {
		return "", store.ErrFull
	}
	t.parked = append(t.parked, bytes.Clone(receipt))
	return "", nil
}
