package pgstore

import (
	"context"
	"time"
)

// maxResults bounds the results that one statement records.
const maxResults = 500

// The ends of a job with a worker.
const (
	endDone   int16 = iota // its handler succeeded
	endLate                // dead letter: store.Late
	endFailed              // dead letter: store.Failed
	endAgain               // it is due once more
)

// A result is the end of a job with a worker.
type result struct {
	hold
	end      int16
	due      int64 // of endAgain
	attempts int   // of endAgain: the new number of attempts
}

// recordResults records results until r.drained is closed. Then it records the rest, until
// last ends.
func (r *runner) recordResults(ctx, last context.Context) {
	for {
		select {
		case <-r.results:
			r.recordBatches(ctx, r.drained)
		case <-r.drained:
			r.recordBatches(last, last.Done())
			return
		}
	}
}

// recordBatches records the results at hand. If it fails, it tries again until stop is
// closed.
func (r *runner) recordBatches(ctx context.Context, stop <-chan struct{}) {
	for {
		r.mu.Lock()
		batch := r.ended[:min(len(r.ended), maxResults)]
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if err := r.s.ack(ctx, batch); err != nil {
			if !r.link.failed(ctx, recording, err, stop) {
				return
			}
			continue
		}
		r.link.works(ctx, recording)
		r.mu.Lock()
		for _, res := range batch {
			delete(r.held, res.hold)
		}
		r.ended = r.ended[len(batch):]
		r.mu.Unlock()
	}
}

func (s *Store) ack(ctx context.Context, batch []result) error {
	n := len(batch)
	ids, leases, due := make([]int64, n), make([]int64, n), make([]int64, n)
	ends, attempts := make([]int16, n), make([]int32, n)
	for i, res := range batch {
		ids[i], leases[i], ends[i], due[i], attempts[i] = res.id, res.lease, res.end, res.due, int32(res.attempts)
	}
	_, err := s.exec(ctx, s.sql.ack, ids, leases, ends, due, attempts, nanos(time.Now()))
	return err
}
