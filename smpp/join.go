package smpp

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/ajankovic/smpp/pdu"

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
	if text == nil {
		text = []byte{}
	}
	ref, total, seq := segmentOf(udh, m.TLVs)
	if total < 2 || seq < 1 || seq > total || len(text) > wire.MaxShortMessage {
		return text, func() {}
	}
	key := joinKey{m.Source.Digits, m.Dest.Digits, ref, total}
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.of(key)
	v.parts[seq-1] = text
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

// segmentOf says which part of which long message this is, by its user data
// header (3GPP TS 23.040, sections 9.2.3.24.1 and 9.2.3.24.8) or its sar
// parameters (SMPP 3.4, sections 5.3.2.22 to 5.3.2.24). total is 0 where it is
// none.
func segmentOf(udh []byte, t wire.TLVs) (ref, total, seq int) {
	if len(udh) > 0 {
		udh = udh[1:]
	}
	for len(udh) >= 2 && len(udh) >= 2+int(udh[1]) {
		switch v := udh[2 : 2+int(udh[1])]; {
		case udh[0] == 0x00 && len(v) == 3:
			return int(v[0]), int(v[1]), int(v[2])
		case udh[0] == 0x08 && len(v) == 4:
			return int(binary.BigEndian.Uint16(v)), int(v[2]), int(v[3])
		}
		udh = udh[2+int(udh[1]):]
	}
	if v, ok := t.Get(pdu.TagSarMsgRefNum); ok && len(v) == 2 {
		of, _ := t.Uint8(pdu.TagSarTotalSegments)
		n, _ := t.Uint8(pdu.TagSarSegmentSeqnum)
		return int(binary.BigEndian.Uint16(v)), int(of), int(n)
	}
	return 0, 0, 0
}
