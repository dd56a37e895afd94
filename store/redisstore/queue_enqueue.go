package redisstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// maxNewJobs bounds the jobs that one script adds.
const maxNewJobs = 128

// Enqueue implements store.Queue. If a reply is lost and the client asks again, the
// job may be added twice.
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
	_, err := s.queue.enqueues.ask(ctx, encodeJob(j, due))
	return err
}

// enqueues returns the batcher of new jobs. One script adds a batch, since a script for
// each job would be most of the cost of a queue.
func (s *Store) enqueues() *batcher[string, struct{}] {
	return &batcher[string, struct{}]{timeout: s.timeout, maxBatch: maxNewJobs, maxInFlight: 1, send: s.addJobs}
}

// addJobs adds a batch of encoded jobs.
func (s *Store) addJobs(ctx context.Context, batch []*request[string, struct{}]) {
	args := append(make([]any, 0, 2+len(batch)), micros(time.Now()), s.queue.max)
	for _, r := range batch {
		args = append(args, r.query)
	}
	var added int
	cmd, err := s.run(ctx, scriptEnqueue, s.queue.keys, args...)
	if err == nil {
		if added, err = cmd.Int(); err != nil {
			err = unreadable("jobs added", err)
		}
	}
	for i, r := range batch {
		if err == nil && i >= added {
			r.reply(struct{}{}, store.ErrFull)
		} else {
			r.reply(struct{}{}, err)
		}
	}
}
