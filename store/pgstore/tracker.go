package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Tracker = (*Store)(nil)

// Bounds of parked receipts.
const (
	maxParked  = 16      // receipts for one key
	maxReceipt = 4 << 10 // bytes
	shards     = 256     // that keys are spread over; each has a part of Config.MaxParked
)

// Track implements store.Tracker.
func (s *Store) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	if message == "" {
		return nil, errors.New("pgstore: Track of an empty message")
	}
	id := digest(key)
	var early [][]byte
	err := s.row(ctx, []any{&early}, s.sql.track,
		id, int(id.Bytes[0]), octets(message), nanos(expires), nanos(now))
	if err != nil {
		return nil, err
	}
	s.tidy(ctx, sweepEvery, now)
	return early, nil
}

// Match implements store.Tracker. It parks 16 receipts per key.
func (s *Store) Match(
	ctx context.Context, key string, receipt []byte, expires, now time.Time,
) (message string, err error) {
	if len(receipt) > maxReceipt {
		return "", fmt.Errorf("pgstore: receipt of %d bytes, over %d", len(receipt), maxReceipt)
	}
	id := digest(key)
	var found []byte
	var full bool
	err = s.row(ctx, []any{&found, &full}, s.sql.match,
		id, int(id.Bytes[0]), octets(receipt), nanos(expires), nanos(now), int64(s.parked), maxParked)
	switch {
	case err != nil:
		return "", err
	case full:
		return "", store.ErrFull
	}
	s.tidy(ctx, sweepEvery, now)
	return string(found), nil
}
