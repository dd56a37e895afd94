package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Loop is a loop of a Run that needs the server.
type Loop int

// The loops. A store may have fewer.
const (
	Fetching Loop = iota
	Beating
	Recording
	Listening
	loops
)

// A Link logs when the server cannot be reached, and when it can be again, once
// each. It paces the tries of a Run meanwhile.
type Link struct {
	name   string // of the package
	logger *slog.Logger
	mu     sync.Mutex
	since  time.Time
	pauses [loops]time.Duration // before the next try of each loop; 0: it works
}

const (
	shortestPause = 20 * time.Millisecond
	longestPause  = time.Second
)

// Failed waits, because a loop has failed with err. It returns false if stop is
// closed meanwhile.
func (l *Link) Failed(ctx context.Context, loop Loop, err error, stop <-chan struct{}) bool {
	l.mu.Lock()
	first := l.pauses == [loops]time.Duration{}
	if first {
		l.since = time.Now()
	}
	pause := max(l.pauses[loop], shortestPause)
	l.pauses[loop] = min(2*pause, longestPause)
	l.mu.Unlock()
	if first {
		l.logger.WarnContext(ctx, l.name+": the queue cannot be reached; trying again", "err", err)
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

// Works notes that a loop works.
func (l *Link) Works(ctx context.Context, loop Loop) {
	l.mu.Lock()
	was := l.pauses[loop]
	l.pauses[loop] = 0
	last := was > 0 && l.pauses == [loops]time.Duration{}
	since := l.since
	l.mu.Unlock()
	if last {
		after := time.Since(since).Round(time.Millisecond)
		l.logger.InfoContext(ctx, l.name+": the queue is reached again", "after", after)
	}
}
