package storetest

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

const (
	maxParked  = 16   // receipts parked per key
	maxParking = 1000 // in all
	maxReceipt = 4096 // bytes
)

type naiveTrack struct {
	message string
	parked  [][]byte
	expires time.Time
}

func (s *naive) tracked(key string, expires, now time.Time) *naiveTrack {
	t := s.tracks[key]
	if t == nil || !now.Before(t.expires) {
		t = &naiveTrack{}
		s.tracks[key] = t
	}
	if expires.After(t.expires) {
		t.expires = expires
	}
	return t
}

func (s *naive) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	if err := s.ended(ctx, "Track"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracked(key, expires, now)
	if t.message == "" {
		t.message = message
	}
	if t.message != message {
		return nil, nil
	}
	var early [][]byte
	for _, p := range t.parked {
		early = append(early, bytes.Clone(p))
	}
	return early, nil
}

func (s *naive) Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (string, error) {
	if err := s.ended(ctx, "Match"); err != nil {
		return "", err
	}
	if len(receipt) > maxReceipt {
		return "", fmt.Errorf("naive: receipt of %d bytes", len(receipt))
	}
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
	all := 0
	for _, t := range s.tracks {
		if now.Before(t.expires) {
			all += len(t.parked)
		}
	}
	if len(t.parked) >= maxParked || all >= maxParking {
		return "", store.ErrFull
	}
	t.parked = append(t.parked, bytes.Clone(receipt))
	return "", nil
}
