package memstore

import (
	"math/bits"
	"sync/atomic"
)

// shardCount is the width of the set of shards that lockAll takes.
const shardCount = 64

// shards are entries of one kind, spread over locks by their key. Where locks
// are nested, that of a challenge comes before that of its subject's run, and
// those of one kind are taken in ascending order.
type shards[T any, E entry[T]] struct {
	hasher
	max   int64
	used  atomic.Int64 // reserved of max
	shard [shardCount]shard[T, E]
}

// newShards returns shards with room for limit entries. weight is how much of
// the room an entry gives back when it is dropped; nil means 1.
func newShards[T any, E entry[T]](limit int, weight func(*T) int64) *shards[T, E] {
	s := &shards[T, E]{hasher: newHasher(), max: int64(limit)}
	for i := range s.shard {
		sh := &s.shard[i]
		sh.drop = func(e *T) {
			sh.table.remove(e)
			n := int64(1)
			if weight != nil {
				n = weight(e)
			}
			s.used.Add(-n)
		}
	}
	return s
}

func (s *shards[T, E]) index(k key) int { return int(k[0] % shardCount) }

func (s *shards[T, E]) of(k key) *shard[T, E] { return &s.shard[s.index(k)] }

// lock locks the shard of k and collects a little of what died there.
func (s *shards[T, E]) lock(k key, now int64) *shard[T, E] {
	sh := s.of(k)
	sh.enter(now)
	return sh
}

// lockAll locks the shards whose bits are set.
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

// reserve takes room for n more, if there is that much.
func (s *shards[T, E]) reserve(n int) bool {
	for {
		used := s.used.Load()
		if used+int64(n) > s.max {
			return false
		}
		if s.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

// reclaim collects what died by now until there is room for n, and reports
// whether there is. The caller holds no lock of s.
func (s *shards[T, E]) reclaim(n int, now int64) bool {
	enough := func() bool { return s.used.Load()+int64(n) <= s.max }
	for i := range s.shard {
		if s.shard[i].reclaim(now, enough) {
			return true
		}
	}
	return false
}
