package store

import (
	"context"
	"time"
)

// A Tracker finds the message that a provider's receipt belongs to. A receipt may
// come before its submission has been recorded, and to another process.
//
// A key is route "/" provider id. A key, its message and its parked receipts are kept
// until the latest expires that a call gave for the key. After that the next call
// finds an unknown key.
//
// Anyone who can make receipts up can park them. So parked receipts must take at
// most half of a backend's room, and the rest stays for Track.
type Tracker interface {
	// Track maps key to message and returns the receipts that were parked for
	// it, in the order in which they came. A repeated call returns them again,
	// so that another process can finish if this one dies. A key is mapped
	// once; a later call with another message changes nothing and returns no
	// receipts.
	//
	// ErrFull: there is no room for the key.
	Track(ctx context.Context, key, message string, expires, now time.Time) (early [][]byte, err error)

	// Match returns the message of key. If there is none yet, it parks receipt
	// for Track and returns "". The same receipt twice is parked once.
	//
	// ErrFull: there is no room to park receipt, for this key or in all. The
	// provider should repeat the receipt.
	//
	// A receipt of more than 4096 bytes is refused with an error that is none
	// of this package's: the provider must not repeat it.
	Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error)
}
