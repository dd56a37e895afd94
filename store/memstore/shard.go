package memstore

import "sync"

// A shard is a table and its wheel, under a lock.
type shard[T any, E entry[T]] struct {
	sync.Mutex
	table table[T, E]
	wheel wheel[T, E]
	drop  func(*T) // the wheel calls it with expired entries
	_     [64]byte // keeps neighbours in other cache lines
}

// enter locks, and collects a few expired entries.
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

// insert adds e. There must be no entry with its key, not even an expired one.
func (sh *shard[T, E]) insert(e *T) {
	sh.table.insert(e)
	sh.wheel.put(e)
}

// remove removes e, which must be removable.
func (sh *shard[T, E]) remove(e *T) {
	sh.table.remove(e)
	sh.wheel.remove(e)
}

// reclaimLooks is the number of live entries that a reclaim may look at, in all, to
// find an entry that expired in the current second.
const reclaimLooks = 64

// reclaim collects expired entries until enough returns true, and returns its last
// result. It holds the lock for a short time each. It also finds entries that
// expired in the current second, as long as looks are left.
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
