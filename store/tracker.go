package store

import (
	"context"
	"time"
)

// A Tracker finds the message that a provider's receipt belongs to. Receipts
// may come before the submission that they answer has been recorded, and in
// another process.
//
// A key is route "/" provider id. Both methods keep what they are given until
// expires, the later one where they differ.
type Tracker interface {
	// Track maps key to message and returns the receipts that were parked for
	// it, in the order of their coming. A repeated call returns them again:
	// who dies while handling them is followed by someone who is told. A key
	// is mapped once; later messages for it are ignored.
	Track(ctx context.Context, key, message string, expires, now time.Time) (early [][]byte, err error)

	// Match returns the message of key. If there is none yet it parks receipt
	// for Track and returns "". Parking is bounded per key and in all: beyond,
	// ErrFull, so that the provider repeats the receipt. The same receipt
	// twice is parked once.
	Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error)
}
