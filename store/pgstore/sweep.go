package pgstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// Each process that makes calls removes a few expired rows from time to time. A row must have
// expired by the process's clock and by the server's: a process whose clock is ahead must not
// remove rows that others need.
const (
	sweepEvery = time.Second
	sweepLate  = 5 * time.Second // by a verification, if no other call does
	sweepRows  = 500             // of each table
)

// tidy removes expired rows, if it was not done for the span of every. It runs after the work of a
// call, whose result does not depend on it.
func (s *Store) tidy(ctx context.Context, every time.Duration, now time.Time) {
	began := time.Now()
	last := s.swept.Load()
	if !s.sweeps || began.UnixNano()-last < int64(every) || !s.swept.CompareAndSwap(last, began.UnixNano()) {
		return
	}
	var most int
	switch err := s.row(ctx, []any{&most}, s.sql.sweep, nanos(now), sweepRows); {
	case err != nil:
		s.logger.DebugContext(ctx, "pgstore: expired rows not removed", "err", err)
	case most >= sweepRows: // there may be more: the next call goes on
		s.swept.Store(0)
	}
}

// tidyAfter is tidy for a verification, after which a person waits: it leaves the work to other calls,
// unless there are none. err is the result of the call: if the server did not answer, tidyAfter does nothing.
func (s *Store) tidyAfter(ctx context.Context, err error, now time.Time) {
	if errors.Is(err, store.ErrNotFound) || slices.Contains(refusals[:], err) {
		s.tidy(ctx, sweepLate, now)
	}
}
