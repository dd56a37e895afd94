package redisstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// maxNewJobs bounds the jobs that one script adds.
const maxNewJobs = 128

// A newJob is a job that is to be added to the queue.
type newJob struct {
	key  string // of its ID
	life int64  // of that key, in milliseconds
	job  string // encoded
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, j store.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkJob(j); err != nil {
		return err
	}
	now, expires := micros(time.Now()), micros(j.Expires)
	due := max(microsUp(j.NotBefore), now)
	if due >= expires {
		return nil
	}
	j.Attempt = 0
	_, err := s.queue.enqueues.ask(ctx, newJob{s.key(queueTag, "id:"+j.ID), lifetime(expires - now), encodeJob(j, due)})
	return err
}

// enqueues returns the batcher of new jobs: one script adds a batch, as a script for
// each job is most of what a queue costs.
func (s *Store) enqueues() *batcher[newJob, struct{}] {
	return &batcher[newJob, struct{}]{timeout: s.timeout, maxBatch: maxNewJobs, maxInFlight: 1, send: s.addJobs}
}

func (s *Store) addJobs(ctx context.Context, batch []*request[newJob, struct{}]) {
	keys := append(make([]string, 0, len(s.queue.keys)+len(batch)), s.queue.keys...)
	args := append(make([]any, 0, 2+2*len(batch)), micros(time.Now()), s.queue.max)
	for _, r := range batch {
		keys = append(keys, r.query.key)
		args = append(args, r.query.life, r.query.job)
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
