package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
	shards     = 256     // slots that keys are spread over; each has a part of Config.MaxParked
)

// entryKeys returns the keys of the entry of a Tracker's key and of its shard, and
// the name of the entry in the shard.
func (s *Store) entryKeys(key string) (keys []string, name string) {
	sum := sha256.Sum256([]byte(key))
	shard := "t" + hex.EncodeToString(sum[:1])
	name = base64.RawURLEncoding.EncodeToString(sum[1:17])
	return []string{s.key(shard, "r"+name), s.key(shard, "p")}, name
}

// Track implements store.Tracker.
func (s *Store) Track(ctx context.Context, key, message string, expires, now time.Time) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if message == "" {
		return nil, errors.New("redisstore: Track of an empty message")
	}
	keys, name := s.entryKeys(key)
	cmd, err := s.run(ctx, scriptTrack, keys, micros(now), micros(expires), name, message)
	if err != nil {
		return nil, err
	}
	parked, err := cmd.StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	var early [][]byte
	for _, receipt := range parked {
		if len(receipt) < nonceLen {
			return nil, errors.New("redisstore: a receipt that cannot be read")
		}
		early = append(early, []byte(receipt[nonceLen:]))
	}
	return early, nil
}

// Match implements store.Tracker. It parks 16 receipts per key.
func (s *Store) Match(
	ctx context.Context, key string, receipt []byte, expires, now time.Time,
) (message string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(receipt) > maxReceipt {
		return "", fmt.Errorf("redisstore: receipt of %d bytes, over %d", len(receipt), maxReceipt)
	}
	keys, name := s.entryKeys(key)
	given := string(receipt) // the client may read it after Match has returned
	cmd, err := s.run(ctx, scriptMatch, keys,
		micros(now), micros(expires), name, nonceBytes(), given, s.parked, maxParked)
	if err != nil {
		return "", err
	}
	answer, err := cmd.StringSlice()
	switch {
	case err != nil:
		return "", fmt.Errorf("redisstore: %w", err)
	case len(answer) == 0: // parked
		return "", nil
	case len(answer) == 1:
		return answer[0], nil
	}
	return "", store.ErrFull
}
