package redisstore

import (
	"context"
	"slices"
	"time"
)

// maxResults bounds the results that one script records.
const maxResults = 500

// The ends of a job with a worker.
const (
	endDone   = "done"   // its handler succeeded
	endAgain  = "again"  // it is due once more: at its handler's time, or after a pause
	endBack   = "back"   // it is due at once, as if it had not been handed out
	endLate   = "late"   // dead letter: store.Late
	endFailed = "failed" // dead letter: store.Failed
)

// A result is the end of a job with a worker.
type result struct {
	streamEntry
	end string // one of the above
	job string // its new form; empty if it is done
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
		if _, err := r.s.run(ctx, scriptAck, r.s.queue.keys, ackArgs(batch)...); err != nil {
			if !r.link.failed(ctx, recording, err, stop) {
				return
			}
			continue
		}
		r.link.works(ctx, recording)
		r.mu.Lock()
		for _, res := range batch {
			delete(r.held, res.streamEntry)
		}
		r.ended = r.ended[len(batch):]
		r.mu.Unlock()
	}
}

// ackArgs returns the ARGV of scriptAck. Done jobs are in the order of the streams.
func ackArgs(batch []result) []any {
	var done [3]int
	args := make([]any, 4, 4+4*len(batch))
	batch = slices.SortedFunc(slices.Values(batch), func(a, b result) int { return a.compare(b.streamEntry) })
	for i := range done {
		for _, res := range batch {
			if res.end == endDone && res.rank == int64(i)+1 {
				args = append(args, res.id)
				done[i]++
			}
		}
		args[1+i] = done[i]
	}
	args[0] = micros(time.Now())
	for _, res := range batch {
		if res.end != endDone {
			args = append(args, res.rank, res.id, res.end, res.job)
		}
	}
	return args
}
