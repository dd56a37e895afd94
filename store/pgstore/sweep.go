package pgstore

import (
	"context"
	"time"
)

// Each process that makes calls removes a few expired rows from time to time. A row must have
// expired by the process's clock and by the server's: a process whose clock is ahead must not
// remove rows that others need.
const (
	sweepEvery = time.Second
	sweepRows  = 500 // of each table
)

// tidy removes expired rows, if its time has come. It runs after the work of a call, whose
// result does not depend on it.
func (s *Store) tidy(ctx context.Context, now time.Time) {
	began := time.Now()
	last := s.swept.Load()
	if !s.sweeps || began.UnixNano()-last < int64(sweepEvery) || !s.swept.CompareAndSwap(last, began.UnixNano()) {
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
