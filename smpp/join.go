package smpp

import (
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

const (
	joinLife = 10 * time.Minute // how long the parts of a message may take
	maxJoins = 256              // how many messages may be incomplete; then the oldest is forgotten
)

// A joiner puts long messages from people together again. Their parts may come
// over different binds, in any order, and more than once. Each is acknowledged
// as it comes, so a restart loses the parts of an incomplete message.
type joiner struct {
	mu   sync.Mutex
	open map[joinKey]*joined
}

type joinKey struct {
	from, to   string
	ref, total int
}

type joined struct {
	since time.Time
	parts [][]byte // nil: has not come
}

func newJoiner() *joiner { return &joiner{open: make(map[joinKey]*joined)} }

// add takes a message, or a part of one. It returns the whole message's octets
// where this completes it, and what to call when they were taken: until then
// the parts are kept, as the last one comes again.
func (j *joiner) add(m *wire.Message) (data []byte, done func()) {
	udh, text := m.Payload()
	ref, total, seq, ok := concatenation(udh, m.TLVs)
	if !ok || len(text) > wire.MaxShortMessage {
		return append([]byte{}, text...), func() {} // an empty message is not nil
	}
	key := joinKey{m.Source.Digits, m.Dest.Digits, ref, total}
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.of(key)
	v.parts[seq-1] = append([]byte{}, text...) // text holds on to the whole PDU
	if slices.ContainsFunc(v.parts, func(p []byte) bool { return p == nil }) {
		return nil, nil
	}
	return slices.Concat(v.parts...), func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.open, key)
	}
}

// of returns what has come of a message. j.mu is held.
func (j *joiner) of(key joinKey) *joined {
	now := time.Now()
	if v := j.open[key]; v != nil && now.Sub(v.since) < joinLife {
		return v
	}
	var oldest *joinKey
	for k, v := range j.open {
		if now.Sub(v.since) >= joinLife {
			delete(j.open, k)
		} else if oldest == nil || v.since.Before(j.open[*oldest].since) {
			oldest = &k
		}
	}
	if len(j.open) >= maxJoins {
		delete(j.open, *oldest)
	}
	v := &joined{since: now, parts: make([][]byte, key.total)}
	j.open[key] = v
	return v
}
