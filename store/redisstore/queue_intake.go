package redisstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// maxNewJobs bounds the jobs that one script adds.
const maxNewJobs = 128

// A newJob is a job on its way into the queue.
type newJob struct {
	key  string // of its ID
	args [2]any // for the script
}

// enqueues returns what adds jobs: those that come while others are on their way
// are added by one script, as a script for each is most of what a queue costs.
func (s *Store) enqueues() *batcher[newJob, struct{}] {
	return &batcher[newJob, struct{}]{timeout: s.timeout, maxBatch: maxNewJobs, maxInFlight: 1, send: s.addJobs}
}

func (s *Store) addJobs(ctx context.Context, batch []*request[newJob, struct{}]) {
	keys := append(make([]string, 0, len(s.queue.keys)+len(batch)), s.queue.keys...)
	args := append(make([]any, 0, 2+2*len(batch)), micros(time.Now()), s.queue.max)
	for _, r := range batch {
		keys = append(keys, r.query.key)
		args = append(args, r.query.args[:]...)
	}
	var answer []int64
	cmd, err := s.run(ctx, scriptEnqueue, keys, args...)
	if err == nil {
		if answer, err = cmd.Int64Slice(); err != nil || len(answer) != len(batch) {
			err = unreadable("jobs added", err)
		}
	}
	for i, r := range batch {
		if err == nil && answer[i] == enqueuedFull {
			r.reply(struct{}{}, store.ErrFull)
		} else {
			r.reply(struct{}{}, err)
		}
	}
}
