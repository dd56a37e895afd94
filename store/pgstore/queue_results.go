package pgstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// maxResults bounds the results that one statement records.
const maxResults = 500

// ends are the ends of a job as the function ack knows them.
var ends = [...]int16{worker.Done: 0, worker.Late: 1, worker.Failed: 2, worker.Again: 3, worker.Back: 3}

// ack records results.
func (s *Store) ack(ctx context.Context, batch []worker.Result[hold]) error {
	n := len(batch)
	ids, leases, due := make([]int64, n), make([]int64, n), make([]int64, n)
	status, attempts := make([]int16, n), make([]int32, n)
	for i, r := range batch {
		ids[i], leases[i], status[i] = r.Hold.id, r.Hold.lease, ends[r.End]
		due[i], attempts[i] = nanos(r.Due), int32(r.Attempts)
	}
	_, err := s.exec(ctx, s.sql.ack, ids, leases, status, due, attempts, nanos(time.Now()))
	return err
}
