package memstore

import (
	"math/bits"
	"sync/atomic"
)

// shardCount is the width of lockAll's set of shards.
const shardCount = 64

// shards are entries of one kind, spread over locks by their key. The order of
// nested locks is: a challenge, its subject's run, a mark. Locks of one kind are
// taken in ascending order, marks one at a time.
type shards[T any, E entry[T]] struct {
	hasher
	room
	shard [shardCount]shard[T, E]
}

// newShards returns shards with room for limit entries. When an entry is dropped,
// release returns the room that it took; nil means 1.
func newShards[T any, E entry[T]](limit int, release func(*T) int64) *shards[T, E] {
	s := &shards[T, E]{hasher: newHasher(), room: room{max: int64(limit)}}
	for i := range s.shard {
		sh := &s.shard[i]
		sh.drop = func(e *T) {
			sh.table.remove(e)
			n := int64(1)
			if release != nil {
				n = release(e)
			}
			s.used.Add(-n)
		}
	}
	return s
}

func (s *shards[T, E]) index(k key) int { return int(k[0] % shardCount) }

func (s *shards[T, E]) of(k key) *shard[T, E] { return &s.shard[s.index(k)] }

// lock locks the shard of k and collects a few of its expired entries.
func (s *shards[T, E]) lock(k key, now int64) *shard[T, E] {
	sh := s.of(k)
	sh.enter(now)
	return sh
}

// lockAll locks the shards of the set bits.
func (s *shards[T, E]) lockAll(set uint64, now int64) {
	for ; set != 0; set &= set - 1 {
		s.shard[bits.TrailingZeros64(set)].enter(now)
	}
}

func (s *shards[T, E]) unlockAll(set uint64) {
	for ; set != 0; set &= set - 1 {
		s.shard[bits.TrailingZeros64(set)].Unlock()
	}
}

// reclaim collects expired entries until enough returns true, and returns its last
// result. The caller must hold no lock of s.
func (s *shards[T, E]) reclaim(now int64, enough func() bool) bool {
	looks := reclaimLooks
	for i := range s.shard {
		if s.shard[i].reclaim(now, &looks, enough) {
			return true
		}
	}
	return false
}

// A room bounds a number of entries.
type room struct {
	max  int64
	used atomic.Int64 // reserved of max
}

// reserve takes room for n more, if there is enough.
func (r *room) reserve(n int) bool {
	for {
		used := r.used.Load()
		if used+int64(n) > r.max {
			return false
		}
		if r.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

// has returns a function that reports whether there is room for n more.
func (r *room) has(n int) func() bool {
	return func() bool { return r.used.Load()+int64(n) <= r.max }
}
