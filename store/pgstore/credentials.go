package pgstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Credentials = (*Store)(nil)

// subjectDigest names the row of a subject, which may be an address.
func subjectDigest(subject string) []byte {
	sum := sha256.Sum256([]byte(subject))
	return sum[:]
}

// Load implements store.Credentials.
func (s *Store) Load(ctx context.Context, subject string) ([]byte, error) {
	var value []byte
	err := s.row(ctx, []any{&value}, s.sql.load, subjectDigest(subject))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return value, err
}

// Swap implements store.Credentials.
func (s *Store) Swap(ctx context.Context, subject string, old, new []byte) error {
	if len(new) > store.MaxCredentials {
		return fmt.Errorf("pgstore: credentials of %d bytes, over %d", len(new), store.MaxCredentials)
	}
	name := subjectDigest(subject)
	var changed int64
	var err error
	switch {
	case len(old) > 0 && len(new) > 0:
		changed, err = s.exec(ctx, s.sql.swap, name, old, new)
	case len(old) > 0:
		changed, err = s.exec(ctx, s.sql.remove, name, old)
	case len(new) > 0:
		changed, err = s.exec(ctx, s.sql.firstValue, name, new)
	default: // there is nothing to change, if there is no value
		var value []byte
		if value, err = s.Load(ctx, subject); value == nil {
			changed = 1
		}
	}
	if err == nil && changed == 0 {
		err = store.ErrConflict
	}
	return err
}
