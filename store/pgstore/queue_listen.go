package pgstore

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// listen wakes the runner when the server tells of jobs, until ctx ends. While there is no
// connection, the runner looks for jobs each second.
func (r *runner) listen(ctx context.Context) {
	for r.s.listen != nil && ctx.Err() == nil {
		err := r.s.hear(ctx, func() {
			r.link.works(ctx, listening)
			signal(r.woken)
		})
		if ctx.Err() != nil {
			return
		}
		r.link.failed(ctx, listening, err, ctx.Done())
	}
}

// hear opens a connection, and calls told when it listens and at each notification, until
// the connection or ctx ends.
func (s *Store) hear(ctx context.Context, told func()) error {
	within, cancel := s.within(ctx)
	defer cancel()
	conn, err := s.listen(within)
	if err != nil {
		return err
	}
	defer s.hangUp(ctx, conn)
	if _, err := conn.Exec(within, inSchema(`LISTEN "otpcourier.jobs"`, s.schema)); err != nil {
		return err
	}
	for {
		told()
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// hangUp closes a connection that hear has opened.
func (s *Store) hangUp(ctx context.Context, conn *pgx.Conn) {
	within, cancel := s.within(context.WithoutCancel(ctx))
	defer cancel()
	_ = conn.Close(within)
}

// The loops of a runner that need the server.
const (
	fetching = iota
	beating
	recording
	listening
	loops
)

// A link logs when the server cannot be reached, and when it can be again, once
// each. It paces the tries of a runner meanwhile.
type link struct {
	logger *slog.Logger
	mu     sync.Mutex
	since  time.Time
	pauses [loops]time.Duration // before the next try of each loop; 0: it works
}

const (
	shortestPause = 20 * time.Millisecond
	longestPause  = time.Second
)

// failed waits, because loop has failed with err. It returns false if stop is
// closed meanwhile.
func (l *link) failed(ctx context.Context, loop int, err error, stop <-chan struct{}) bool {
	l.mu.Lock()
	first := l.pauses == [loops]time.Duration{}
	if first {
		l.since = time.Now()
	}
	pause := max(l.pauses[loop], shortestPause)
	l.pauses[loop] = min(2*pause, longestPause)
	l.mu.Unlock()
	if first {
		l.logger.WarnContext(ctx, "pgstore: the queue cannot be reached; trying again", "err", err)
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

// works notes that loop works.
func (l *link) works(ctx context.Context, loop int) {
	l.mu.Lock()
	was := l.pauses[loop]
	l.pauses[loop] = 0
	last := was > 0 && l.pauses == [loops]time.Duration{}
	since := l.since
	l.mu.Unlock()
	if last {
		after := time.Since(since).Round(time.Millisecond)
		l.logger.InfoContext(ctx, "pgstore: the queue is reached again", "after", after)
	}
}
