package store

import (
	"context"
	"time"
)

// A Tracker finds the message of a provider's receipt. A receipt may come before the
// provider's id has been tracked, and to another process: then it is parked.
//
// A key names a route and a provider's id: any octets, each of which counts. A key, its
// message and its parked receipts must be kept until the latest expires among the calls
// for the key. After that the key is unknown.
//
// An attacker who forges receipts can park them. So parked receipts must take at most half
// of a backend's room, and the rest stays for Track.
type Tracker interface {
	// Track maps key to message and returns the receipts parked for the key, in the
	// order in which they came. A repeated call returns them again, so that another
	// process can finish if this one dies. A key is mapped once: a later call with
	// another message changes nothing and returns no receipts.
	//
	// ErrFull: there is no room for the key.
	Track(ctx context.Context, key, message string, expires, now time.Time) (early [][]byte, err error)

	// Match returns the message of key. If the key is unknown, Match parks receipt for
	// Track and returns "". The same receipt twice is parked once.
	//
	// ErrFull: there is no room to park receipt, for this key or in the backend. The
	// provider should repeat the receipt.
	//
	// For a receipt of more than 4096 octets, Match returns an error without a
	// sentinel. The provider must not repeat such a receipt.
	Match(ctx context.Context, key string, receipt []byte, expires, now time.Time) (message string, err error)
}
