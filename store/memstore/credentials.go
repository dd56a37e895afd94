package memstore

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Credentials = (*Store)(nil)

// credentials are the values of store.Credentials. They never expire, so they are in
// a plain map and not in shards.
type credentials struct {
	mu  sync.RWMutex
	max int
	of  map[string][]byte // by subject; the octets of a value never change
}

// Load implements store.Credentials.
func (s *Store) Load(ctx context.Context, subject string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &s.credentials
	c.mu.RLock()
	defer c.mu.RUnlock()
	return bytes.Clone(c.of[subject]), nil
}

// Swap implements store.Credentials.
func (s *Store) Swap(ctx context.Context, subject string, old, new []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(new) > store.MaxCredentials {
		return fmt.Errorf("memstore: credentials of %d bytes, over %d", len(new), store.MaxCredentials)
	}
	c := &s.credentials
	value := bytes.Clone(new)
	c.mu.Lock()
	defer c.mu.Unlock()
	now, found := c.of[subject]
	switch {
	case !bytes.Equal(now, old):
		return store.ErrConflict
	case len(value) == 0:
		delete(c.of, subject)
	case !found && len(c.of) >= c.max:
		return store.ErrFull
	default:
		c.of[subject] = value
	}
	return nil
}
