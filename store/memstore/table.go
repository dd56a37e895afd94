package memstore

import (
	"hash/maphash"
	"math/bits"
)

// A key identifies an entry by a hash of 128 bits under seeds of this process. So
// an entry takes the same memory for a name of any length. Two of a million names
// share a key with a probability of 2^-89.
type key [2]uint64

// A hasher makes keys.
type hasher struct{ seeds [2]maphash.Seed }

func newHasher() hasher { return hasher{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}} }

func (h *hasher) key(name string) key {
	return key{maphash.String(h.seeds[0], name), maphash.String(h.seeds[1], name)}
}

// A link begins every kind of entry. After expires the entry is dead: only the
// wheel still uses it.
type link[T any] struct {
	key     key
	expires int64 // nanoseconds
	chain   *T    // next in a bucket of the table
	due     *T    // next in a slot of the wheel
}

func (l *link[T]) links() *link[T] { return l } //nolint:unused // called through entry

func (l *link[T]) place() *place[T] { return nil } //nolint:unused // called through entry

// A removable is the link of an entry that can be removed before its death.
type removable[T any] struct {
	link[T]
	at place[T]
}

func (r *removable[T]) place() *place[T] { return &r.at } //nolint:unused // called through entry

// A place is the place of an entry in a wheel.
type place[T any] struct {
	slot **T // points to the entry; nil: it is in no wheel
	fine bool

	// A run's own fields. They use the padding, so that a run has 64 bytes.
	locked   bool   // until the run's ends
	total    uint16 // all failures; forgotten when the run expires
	failures uint32 // since the latest lock; forgotten at the run's ends
}

// An entry is a pointer to a type that embeds its link, or a removable.
type entry[T any] interface {
	*T
	links() *link[T]
	place() *place[T] // nil: the entry stays until its death
}

// A table finds entries by key. It uses linear hashing: each new entry adds one
// bucket, so the table grows without a long pause.
type table[T any, E entry[T]] struct {
	buckets []*T
	n       int
}

// bucket returns the bucket of k. With 2^i < len(buckets) <= 2^(i+1), it is given
// by i+1 bits of k, or by i bits if that bucket does not exist yet.
func (t *table[T, E]) bucket(k key) *(*T) {
	last := uint64(len(t.buckets) - 1)
	mask := uint64(1)<<bits.Len64(last) - 1
	i := k[1] & mask
	if i > last {
		i &= mask >> 1
	}
	return &t.buckets[i]
}

// get returns the entry of k, dead or not, or nil.
func (t *table[T, E]) get(k key) *T {
	if t.n == 0 {
		return nil
	}
	e := *t.bucket(k)
	for e != nil && E(e).links().key != k {
		e = E(e).links().chain
	}
	return e
}

// insert adds e; there must be no entry with its key.
func (t *table[T, E]) insert(e *T) {
	if t.n++; t.n > len(t.buckets) {
		t.grow()
	}
	l := E(e).links()
	b := t.bucket(l.key)
	l.chain, *b = *b, e
}

// grow adds a bucket and moves its entries to it from the bucket that held them.
func (t *table[T, E]) grow() {
	n := len(t.buckets)
	t.buckets = append(t.buckets, nil)
	if n == 0 {
		return
	}
	elder := n - 1<<(bits.Len(uint(n))-1)
	e := t.buckets[elder]
	t.buckets[elder] = nil
	for e != nil {
		l := E(e).links()
		next := l.chain
		b := t.bucket(l.key)
		l.chain, *b = *b, e
		e = next
	}
}

// remove removes e, which must be there.
func (t *table[T, E]) remove(e *T) {
	l := E(e).links()
	at := t.bucket(l.key)
	for *at != e {
		at = &E(*at).links().chain
	}
	*at, l.chain = l.chain, nil
	t.n--
}
