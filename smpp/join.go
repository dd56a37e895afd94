package smpp

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp/internal/wire"
)

// A joiner puts long messages together. Their parts may come over different
// sessions, in any order, and more than once. Each is acknowledged as it comes,
// so a restart loses the parts of an incomplete message.
type joiner struct {
	life   time.Duration // how long a message may take to become complete
	most   int           // how many may be incomplete; then the oldest is forgotten
	octets int           // how long one may be
	keeps  bool          // a whole message is kept until forget

	mu    sync.Mutex
	open  map[joinKey]*joined
	order list.List // of *joined, the oldest in front
}

// A joinKey is what the parts of a message have in common.
type joinKey struct {
	owner, from, to  string // owner: who sent it, where that is not from alone
	reference, parts int
}

type joined struct {
	key    joinKey
	since  time.Time
	parts  []joinPart // by number
	octets int
	place  *list.Element
}

// A joinPart is what is kept of a part.
type joinPart struct {
	text    []byte // nil: it has not come
	id      string // under which it was acknowledged
	receipt bool   // is asked for
}

var errJoinTooLong = errors.New("smpp: the parts of a message are too long")

// add takes part n of a message. It returns the id under which the part is
// acknowledged, that of the first time where it comes again: the answer was
// lost then. Where no part is missing any more it returns them all. A message
// that is too long is forgotten, with errJoinTooLong.
func (j *joiner) add(key joinKey, n int, p joinPart) (all []joinPart, id string, err error) {
	p.text = append([]byte{}, p.text...) // it held on to the whole PDU
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.of(key, time.Now())
	before := v.parts[n-1]
	if before.text != nil {
		p.id = before.id
	}
	v.parts[n-1] = p
	v.octets += len(p.text) - len(before.text)
	if v.octets > j.octets {
		j.remove(v)
		return nil, "", errJoinTooLong
	}
	if slices.ContainsFunc(v.parts, func(p joinPart) bool { return p.text == nil }) {
		return nil, p.id, nil
	}
	if !j.keeps {
		j.remove(v)
	}
	return slices.Clone(v.parts), p.id, nil
}

// forget drops a message, complete or not.
func (j *joiner) forget(key joinKey) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if v := j.open[key]; v != nil {
		j.remove(v)
	}
}

// of returns what has come of a message. j.mu is held.
func (j *joiner) of(key joinKey, now time.Time) *joined {
	for e := j.order.Front(); e != nil && now.Sub(e.Value.(*joined).since) >= j.life; e = j.order.Front() {
		j.remove(e.Value.(*joined))
	}
	if v := j.open[key]; v != nil {
		return v
	}
	if j.order.Len() >= j.most {
		j.remove(j.order.Front().Value.(*joined))
	}
	v := &joined{key: key, since: now, parts: make([]joinPart, key.parts)}
	v.place = j.order.PushBack(v)
	if j.open == nil {
		j.open = make(map[joinKey]*joined)
	}
	j.open[key] = v
	return v
}

// remove drops a message. j.mu is held.
func (j *joiner) remove(v *joined) {
	delete(j.open, v.key)
	j.order.Remove(v.place)
}

// joinedText is what the parts say together.
func joinedText(all []joinPart) []byte {
	text := []byte{} // not nil, even if it is empty
	for _, p := range all {
		text = append(text, p.text...)
	}
	return text
}

// newInboundJoiner is for messages from people. A whole one is kept until it
// was taken, since its last part comes again if it was not.
func newInboundJoiner() *joiner {
	return &joiner{life: 10 * time.Minute, most: 256, octets: 255 * wire.MaxShortMessage, keeps: true}
}

// addInbound takes a message from a person, or a part of one. It returns the
// whole message's octets, not nil, where this completes it, and what to call when they
// were taken.
func (j *joiner) addInbound(m *wire.Message) (data []byte, done func()) {
	udh, text := m.Payload()
	ref, total, n, ok := concatenation(udh, m.TLVs)
	if !ok || len(text) > wire.MaxShortMessage {
		return append([]byte{}, text...), func() {}
	}
	key := joinKey{from: m.Source.Digits, to: m.Dest.Digits, reference: ref, parts: total}
	all, _, err := j.add(key, n, joinPart{text: text})
	if all == nil || err != nil {
		return nil, nil
	}
	return joinedText(all), func() { j.forget(key) }
}

// newSubmitJoiner is for messages to a server. A whole one is handed on at
// once: part of it is another message then.
func newSubmitJoiner(c *ServerConfig) *joiner {
	return &joiner{life: 5 * time.Minute, most: 2000, octets: c.MaxMessage}
}

// addSubmit takes a part of a long message. It returns the whole message if
// this was the last part to come, else nil and how the part is answered.
func (j *joiner) addSubmit(m *Submit, c *ServerConfig) (whole *Submit, id string, status Status) {
	key := joinKey{m.SystemID, m.From, m.To, m.Reference, m.Parts}
	all, id, err := j.add(key, m.Part, joinPart{m.Data, newMessageID(), m.Receipt})
	switch {
	case err != nil:
		return nil, "", StatusInvalidMsgLength
	case all == nil:
		return nil, id, StatusOK
	}
	return m.whole(all, c), "", StatusOK
}

// whole is the message of which m is the part that came last, as which it is
// answered. The text is decoded as a whole, since not every sender keeps a
// surrogate pair within one part.
func (m *Submit) whole(all []joinPart, c *ServerConfig) *Submit {
	v := *m
	v.Part, v.Parts = 1, 1
	v.Receipt = false
	for i, p := range all {
		v.Receipt = v.Receipt || p.receipt
		if i != m.Part-1 {
			v.PartIDs = append(v.PartIDs, p.id)
		}
	}
	v.Data = joinedText(all)
	v.Text = c.decode(v.Data, v.DataCoding)
	return &v
}
