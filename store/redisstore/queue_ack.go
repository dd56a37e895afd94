package redisstore

import (
	"context"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/store/internal/worker"
)

// maxResults bounds the results that one script records.
const maxResults = 500

// The ends of a job as the scripts name them. worker.Done has no name.
const (
	endAgain  = "again"
	endBack   = "back"
	endLate   = "late"
	endFailed = "failed"
)

var ends = [...]string{worker.Again: endAgain, worker.Back: endBack, worker.Late: endLate, worker.Failed: endFailed}

type result = worker.Result[streamEntry]

// ack records results.
func (r *runner) ack(ctx context.Context, batch []result) error {
	_, err := r.s.run(ctx, scriptAck, r.s.queue.keys, ackArgs(batch)...)
	return err
}

// ackArgs returns the ARGV of scriptAck. Done jobs are in the order of the streams.
func ackArgs(batch []result) []any {
	var done [3]int
	args := make([]any, 4, 4+4*len(batch))
	batch = slices.SortedFunc(slices.Values(batch), func(a, b result) int { return a.Hold.compare(b.Hold) })
	for i := range done {
		for _, res := range batch {
			if res.End == worker.Done && res.Hold.rank == int64(i)+1 {
				args = append(args, res.Hold.id)
				done[i]++
			}
		}
		args[1+i] = done[i]
	}
	args[0] = micros(time.Now())
	for _, res := range batch {
		if res.End != worker.Done {
			job := dueThen(res.Form, micros(res.Due), res.Attempts)
			args = append(args, res.Hold.rank, res.Hold.id, ends[res.End], job)
		}
	}
	return args
}
