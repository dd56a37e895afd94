package smpp

import (
	"sync"
	"sync/atomic"
)

// An intake counts what has begun and lets nothing begin after close. It needs
// no lock: every Send passes it twice.
type intake struct {
	closed atomic.Bool
	busy   atomic.Int64
	once   sync.Once
	idle   chan struct{} // closed: closed, and all that had begun is over
}

func newIntake() *intake { return &intake{idle: make(chan struct{})} }

// enter reports whether one more may begin; then leave must follow. It counts
// before it looks, so that close either is seen here or sees the count.
func (i *intake) enter() bool {
	i.busy.Add(1)
	if i.closed.Load() {
		i.leave()
		return false
	}
	return true
}

func (i *intake) leave() {
	if i.busy.Add(-1) == 0 && i.closed.Load() {
		i.finish()
	}
}

// close may be called more than once.
func (i *intake) close() {
	i.closed.Store(true)
	if i.busy.Load() == 0 {
		i.finish()
	}
}

func (i *intake) finish() { i.once.Do(func() { close(i.idle) }) }
