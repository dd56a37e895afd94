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
// expires, the later one where they differ. Then the key and what was parked
// for it are forgotten: the next call finds a key of which nothing is known.
//
// Anyone who can make receipts up can park them. So parking takes at most half
// of a backend's room, and the rest stays for Track.
type Tracker interface {
	// Track maps key to message and returns the receipts that were parked for
	// it, in the order of their coming. A repeated call returns them again:
	// who dies while handling them is followed by someone who is told. A key
	// is mapped once; a later call with another message changes nothing and
	// returns no receipts.
	//
	// ErrFull: there is no room for the key.
	Track(ctx context.Context, key, message string, expires, now time.Time) (early [][]byte, err error)

	// Match returns the message of key. If there is none yet it parks receipt
	// for Track and returns "". Parking is bounded per key and in all: beyond,
	// ErrFull, so that the provider repeats the receipt. The same receipt
	// twice is parked once.
	//
	// A receipt of more than 4096 bytes is refused, whatever is known of key,
	// with an error that is none of this package's: to repeat it is no use.
	Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error)
}
