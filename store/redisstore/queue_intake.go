package redisstore

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/store"
)

// mostArrivals bounds the jobs that one script adds.
const mostArrivals = 128

// An arrival is a job on its way into the queue.
type arrival struct {
	key  string // of its ID
	args [4]any // for the script
	done chan error
	gone <-chan struct{} // closed when nobody waits any more
}

// An intake adds the jobs that arrive while the server is busy with others
// together, in one script: a script for each is most of what a queue costs.
// What arrives when there are no others goes at once.
type intake struct {
	mu      sync.Mutex
	waiting []*arrival
	busy    bool
}

// add waits until a is added, ctx ends, or Config.Timeout is over, those before
// it included. What nobody waits for any more is not added.
func (in *intake) add(ctx context.Context, s *Store, a *arrival) error {
	within, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	a.gone = within.Done()
	in.mu.Lock()
	in.waiting = append(in.waiting, a)
	first := !in.busy
	in.busy = true
	in.mu.Unlock()
	if first {
		go in.send(context.WithoutCancel(ctx), s) // ends when nobody waits
	}
	select {
	case err := <-a.done:
		return err
	case <-within.Done():
		if err := ctx.Err(); err != nil {
			return err
		}
		return fmt.Errorf("redisstore: no answer within %v: %w", s.timeout, os.ErrDeadlineExceeded)
	}
}

// send adds what waits, until nothing does. Each script is bounded by
// Config.Timeout.
func (in *intake) send(ctx context.Context, s *Store) {
	for {
		batch := in.next()
		if len(batch) == 0 {
			return
		}
		s.addJobs(ctx, batch)
	}
}

// next takes from what waits. If that is nothing, send is over.
func (in *intake) next() (batch []*arrival) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := 0
	for ; n < len(in.waiting) && len(batch) < mostArrivals; n++ {
		a := in.waiting[n]
		select {
		case <-a.gone:
		default:
			batch = append(batch, a)
		}
	}
	in.waiting = in.waiting[n:]
	in.busy = len(batch) > 0
	return batch
}

// addJobs adds what has arrived, and tells those who wait.
func (s *Store) addJobs(ctx context.Context, batch []*arrival) {
	keys := append(make([]string, 0, len(s.queue.keys)+len(batch)), s.queue.keys...)
	args := append(make([]any, 0, 2+4*len(batch)), micros(time.Now()), s.queue.max)
	for _, a := range batch {
		keys = append(keys, a.key)
		args = append(args, a.args[:]...)
	}
	var reply []int64
	cmd, err := s.run(ctx, scriptEnqueue, keys, args...)
	if err == nil {
		if reply, err = cmd.Int64Slice(); err != nil {
			err = fmt.Errorf("redisstore: jobs added: %w", err)
		} else if len(reply) != len(batch) {
			err = fmt.Errorf("redisstore: %d replies to %d jobs", len(reply), len(batch))
		}
	}
	for i, a := range batch {
		switch {
		case err != nil:
			a.done <- err
		case reply[i] < 0:
			a.done <- store.ErrFull
		default:
			a.done <- nil
		}
	}
}
