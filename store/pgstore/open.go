package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

var _ store.Opener = (*Store)(nil)

// limited is the status of an Open that a limit refuses.
const limited = 7

// Open implements store.Opener by one statement, for limits of any kind.
func (s *Store) Open(
	ctx context.Context, r *store.Record, now time.Time, limits ...store.Limit,
) (store.Decision, error) {
	if err := ctx.Err(); err != nil {
		return store.Decision{}, err
	}
	a, err := s.encodeLimits(limits)
	if err == nil {
		err = check(r)
	}
	if err != nil {
		return store.Decision{}, err
	}
	if len(limits) == 0 {
		return store.Decision{}, fmt.Errorf("pgstore: Open without limits: %w", errors.ErrUnsupported)
	}
	var status int
	var locked int64
	var waits []int64
	err = s.row(ctx, []any{&status, &locked, &waits}, s.sql.open,
		append(rowOf(r, now), a.locks, a.ids, a.most, a.per, a.step, a.n, a.shadow, a.peek)...)
	if err != nil {
		return store.Decision{}, err
	}
	s.tidy(ctx, sweepEvery, now)
	if status == limited {
		return decide(limits, waits), nil
	}
	if err := created(r, status, locked); err != nil {
		return store.Decision{}, err
	}
	return decide(limits, waits), nil
}
