package redisstore

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// mostResults bounds the results that one script records.
const mostResults = 500

// settle records results as they come, until there will be no more, and then,
// while last lasts, those that are left.
func (r *runner) settle(ctx, last context.Context) {
	for {
		select {
		case <-r.results:
			r.record(ctx, r.drained)
		case <-r.drained:
			r.record(last, last.Done())
			return
		}
	}
}

// record records the results that there are. When it fails it tries again,
// until stop is closed.
func (r *runner) record(ctx context.Context, stop <-chan struct{}) {
	for {
		r.mu.Lock()
		batch := r.done[:min(len(r.done), mostResults)]
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if _, err := r.s.run(ctx, scriptSettle, r.s.queue.keys, settlement(batch)...); err != nil {
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
		r.done = r.done[len(batch):]
		r.mu.Unlock()
	}
}

// settlement returns what scriptSettle needs: what is done in the order of the
// streams.
func settlement(batch []result) []any {
	var done [3]int
	args := make([]any, 4, 4+4*len(batch))
	batch = slices.SortedFunc(slices.Values(batch), func(a, b result) int { return a.compare(b.streamEntry) })
	for i := range done {
		for _, res := range batch {
			if res.verb == verbDone && res.rank == int64(i)+1 {
				args = append(args, res.id)
				done[i]++
			}
		}
		args[1+i] = done[i]
	}
	args[0] = micros(time.Now())
	for _, res := range batch {
		if res.verb != verbDone {
			args = append(args, res.rank, res.id, res.verb, res.job)
		}
	}
	return args
}

// tend tells the server which jobs this consumer has and, now and then, tidies.
func (r *runner) tend(ctx context.Context) error {
	args := []any{micros(time.Now()), r.consumer, staleAfter.Milliseconds(), r.s.queue.attempts}
	r.mu.Lock()
	for at := range r.held {
		args = append(args, at.rank, at.id)
	}
	r.mu.Unlock()
	r.tended = time.Now()
	_, err := r.s.run(ctx, scriptTend, r.s.queue.keys, args...)
	if err == nil && r.tended.Sub(r.tidied) >= r.s.queue.tidyEvery {
		r.tidied = r.tended
		r.tidy(ctx, "")
	}
	return err
}

// tidy removes what consumers that died have left behind, and leaver.
func (r *runner) tidy(ctx context.Context, leaver string) {
	_, _ = r.s.run(ctx, scriptTidy, r.s.queue.keys, leaver, r.s.queue.forgotten.Milliseconds())
}

// What may fail of a link.
const (
	fetching = iota
	recording
	paths
)

// A link tells the log when the server cannot be reached and when it can be
// again, once each, and paces what is tried meanwhile.
type link struct {
	logger *slog.Logger
	mu     sync.Mutex
	since  time.Time
	pauses [paths]time.Duration // 0: it works
}

const (
	shortestPause = 20 * time.Millisecond
	longestPause  = time.Second
)

// failed waits, for path has failed with err, and reports whether it could
// before stop was closed.
func (l *link) failed(ctx context.Context, path int, err error, stop <-chan struct{}) bool {
	l.mu.Lock()
	first := l.pauses == [paths]time.Duration{}
	if first {
		l.since = time.Now()
	}
	pause := max(l.pauses[path], shortestPause)
	l.pauses[path] = min(2*pause, longestPause)
	l.mu.Unlock()
	if first {
		l.logger.WarnContext(ctx, "redisstore: the queue cannot be reached; trying again", "err", err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

// works notes that path does.
func (l *link) works(ctx context.Context, path int) {
	l.mu.Lock()
	was := l.pauses[path]
	l.pauses[path] = 0
	last := was > 0 && l.pauses == [paths]time.Duration{}
	since := l.since
	l.mu.Unlock()
	if last {
		l.logger.InfoContext(ctx, "redisstore: the queue is reached again", "after", time.Since(since).Round(time.Millisecond))
	}
}
