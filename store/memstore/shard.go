package memstore

import "sync"

// A shard is a table and the wheel that collects from it, under a lock.
type shard[T any, E entry[T]] struct {
	sync.Mutex
	table table[T, E]
	wheel wheel[T, E]
	drop  func(*T) // what the wheel does with the dead
	_     [64]byte // apart from its neighbour's cache line
}

// enter locks, and collects a little of what died.
func (sh *shard[T, E]) enter(now int64) {
	sh.Lock()
	sh.wheel.sweep(before(now, grace), sweepCosts, sh.drop)
}

// live returns the entry of k if it is alive at now.
func (sh *shard[T, E]) live(k key, now int64) *T {
	if e := sh.table.get(k); e != nil && E(e).links().expires > now {
		return e
	}
	return nil
}

// insert adds e, of whose key there is none, not even dead.
func (sh *shard[T, E]) insert(e *T) {
	sh.table.insert(e)
	sh.wheel.put(e)
}

// reclaimLooks is how many entries that live a reclaim looks at, in all, for
// one that died in the second that has begun.
const reclaimLooks = 64

// reclaim collects what died by now, with the lock held for a little at a
// time, until enough says so, and returns what enough said last. What died in
// the second that has begun at now it finds as long as there are looks left.
func (sh *shard[T, E]) reclaim(now int64, looks *int, enough func() bool) bool {
	for more := true; more; {
		sh.Lock()
		if more = sh.wheel.sweep(now, sweepCosts, sh.drop); !more {
			more = sh.wheel.dropOne(now, looks, sh.drop)
		}
		done := enough()
		sh.Unlock()
		if done {
			return true
		}
	}
	return false
}
