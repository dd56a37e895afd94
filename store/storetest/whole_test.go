package storetest_test

import (
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/store"
	"github.com/otpcourier/otpcourier/store/storetest"
)

func TestOwnStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Store:   func(*testing.T) store.Store { return newOwnStore() },
		Live:    func(backend any, now time.Time) int { return backend.(*ownStore).live(now) },
		Virtual: true,
	})
}

// live returns how many entries are left at now.
func (s *ownStore) live(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collect(now)
	return len(s.challenges) + len(s.runs) + len(s.marks)
}

func TestOwnLimiter(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Limiter: func(*testing.T) store.Limiter { return newOwnLimiter() },
		Live:    func(backend any, now time.Time) int { return backend.(*ownLimiter).live(now) },
		Virtual: true,
	})
}

// live returns how many counts are left at now.
func (s *ownLimiter) live(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collect(now)
	return len(s.takings)
}

func TestOwnQueue(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Harness{
		Queue: func(*testing.T) store.Queue { return newOwnQueue() },
		Process: func(_ *testing.T, q store.Queue) storetest.Process {
			other := &ownQueue{table: q.(*ownQueue).table}
			return storetest.Process{
				Queue:  other,
				Stop:   func() { other.cut.Store(true) },
				Resume: func() { other.cut.Store(false) },
			}
		},
		Virtual: true,
	})
}
