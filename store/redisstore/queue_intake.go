package redisstore

import (
	"context"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// mostArrivals bounds the jobs that one script adds.
const mostArrivals = 128

// An arrival is a job on its way into the queue.
type arrival struct {
	key  string // of its ID
	args [2]any // for the script
}

// intake returns what adds jobs: those that come while others are on their way
// are added by one script, as a script for each is most of what a queue costs.
func (s *Store) intake() *gatherer[arrival, struct{}] {
	return &gatherer[arrival, struct{}]{timeout: s.timeout, most: mostArrivals, ways: 1, answer: s.addJobs}
}

func (s *Store) addJobs(ctx context.Context, batch []*asked[arrival, struct{}]) {
	keys := append(make([]string, 0, len(s.queue.keys)+len(batch)), s.queue.keys...)
	args := append(make([]any, 0, 2+2*len(batch)), micros(time.Now()), s.queue.max)
	for _, a := range batch {
		keys = append(keys, a.question.key)
		args = append(args, a.question.args[:]...)
	}
	var answer []int64
	cmd, err := s.run(ctx, scriptEnqueue, keys, args...)
	if err == nil {
		if answer, err = cmd.Int64Slice(); err != nil || len(answer) != len(batch) {
			err = unreadable("jobs added", err)
		}
	}
	for i, a := range batch {
		if err == nil && answer[i] == enqueuedFull {
			a.reply(struct{}{}, store.ErrFull)
		} else {
			a.reply(struct{}{}, err)
		}
	}
}
