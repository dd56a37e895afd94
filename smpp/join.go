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
//
// A whole message is lent to whoever handles it until settle: its sender may
// be asked to try the part that came last again, and that part only.
type joiner struct {
	life   time.Duration // how long a message may take to become complete
	most   int           // how many of one owner may be incomplete; then no other may begin
	octets int           // how long one may be

	mu    sync.Mutex
	open  map[joinKey]*joined
	owned map[string]int // of open, by owner
	order list.List      // of *joined, the oldest in front
}

// A joinKey is what the parts of a message have in common.
type joinKey struct {
	owner, from, to  string // owner: who sent it, where that is not from alone
	reference, parts int
}

// A joined is guarded by joiner.mu, but for parts and last while it is lent.
type joined struct {
	key    joinKey
	since  time.Time
	parts  []joinPart // by number
	last   int        // index of the part that came last
	octets int
	lent   bool
	place  *list.Element
}

// A joinPart is what is kept of a part.
type joinPart struct {
	text    []byte // nil: it has not come
	id      string // under which it was acknowledged
	receipt bool   // is asked for
}

var (
	errJoinTooLong = errors.New("smpp: the parts of a message are too long")
	errJoinFull    = errors.New("smpp: too many messages are incomplete")
	errJoinLent    = errors.New("smpp: a part has come again while its message is being handled")
)

// add takes part n of a message. It returns the id under which the part is
// acknowledged, that of the first time where it comes again: the answer was
// lost then. Where no part is missing any more it returns the whole message,
// which settle must follow. A message that is too long is forgotten, with
// errJoinTooLong.
func (j *joiner) add(key joinKey, n int, p joinPart) (whole *joined, id string, err error) {
	p.text = append([]byte{}, p.text...) // it held on to the whole PDU
	now := time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	v := j.of(key, now)
	switch {
	case v == nil:
		return nil, "", errJoinFull
	case v.lent:
		return nil, "", errJoinLent
	}
	before := v.parts[n-1]
	if before.text != nil {
		p.id = before.id
	}
	v.parts[n-1], v.last = p, n-1
	v.octets += len(p.text) - len(before.text)
	if v.octets > j.octets {
		j.remove(v)
		return nil, "", errJoinTooLong
	}
	if slices.ContainsFunc(v.parts, func(p joinPart) bool { return p.text == nil }) {
		return nil, p.id, nil
	}
	v.lent = true
	j.renew(v, now)
	return v, p.id, nil
}

// settle drops a message that was handled. Where it is to be tried again, it
// waits once more for the part that came last.
func (j *joiner) settle(v *joined, again bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.open[v.key] != v: // it took too long
	case again:
		v.octets -= len(v.parts[v.last].text)
		v.parts[v.last] = joinPart{}
		v.lent = false
		j.renew(v, time.Now())
	default:
		j.remove(v)
	}
}

// of returns what has come of a message, nil if it is one too many: those
// before it were acknowledged, this one can be refused. j.mu is held.
func (j *joiner) of(key joinKey, now time.Time) *joined {
	for e := j.order.Front(); e != nil && now.Sub(e.Value.(*joined).since) >= j.life; e = j.order.Front() {
		j.remove(e.Value.(*joined))
	}
	if v := j.open[key]; v != nil {
		return v
	}
	if j.owned[key.owner] >= j.most {
		return nil
	}
	v := &joined{key: key, since: now, parts: make([]joinPart, key.parts)}
	v.place = j.order.PushBack(v)
	if j.open == nil {
		j.open, j.owned = make(map[joinKey]*joined), make(map[string]int)
	}
	j.open[key] = v
	j.owned[key.owner]++
	return v
}

// renew gives a message its whole life again. j.mu is held.
func (j *joiner) renew(v *joined, now time.Time) {
	v.since = now
	j.order.MoveToBack(v.place)
}

// remove drops a message. j.mu is held.
func (j *joiner) remove(v *joined) {
	delete(j.open, v.key)
	j.order.Remove(v.place)
	if j.owned[v.key.owner]--; j.owned[v.key.owner] == 0 {
		delete(j.owned, v.key.owner)
	}
}

// joinedText is what the parts say together.
func joinedText(all []joinPart) []byte {
	text := []byte{} // not nil, even if it is empty
	for _, p := range all {
		text = append(text, p.text...)
	}
	return text
}

// newInboundJoiner is for messages from people.
func newInboundJoiner() *joiner {
	return &joiner{life: 10 * time.Minute, most: 256, octets: 255 * wire.MaxShortMessage}
}

// addInbound takes a message from a person, or a part of one. It returns the
// whole message's octets, not nil, where this completes it, and what to call
// with whether they were taken: if not, the last part comes again.
func (j *joiner) addInbound(m *wire.Message) (data []byte, done func(taken bool), err error) {
	udh, text := m.Payload()
	ref, total, n, ok := concatenation(udh, m.TLVs)
	if !ok || len(text) > wire.MaxShortMessage {
		return append([]byte{}, text...), func(bool) {}, nil
	}
	key := joinKey{from: m.Source.Digits, to: m.Dest.Digits, reference: ref, parts: total}
	v, _, err := j.add(key, n, joinPart{text: text})
	switch {
	case errors.Is(err, errJoinTooLong): // no other try would be shorter
		return nil, nil, nil
	case v == nil:
		return nil, nil, err
	}
	return joinedText(v.parts), func(taken bool) { j.settle(v, !taken) }, nil
}

// maxIncomplete is how many long messages of one system_id may be incomplete.
const maxIncomplete = 1000

// newSubmitJoiner is for messages to a server.
func newSubmitJoiner(c *ServerConfig) *joiner {
	return &joiner{life: 5 * time.Minute, most: maxIncomplete, octets: c.MaxMessage}
}

// addSubmit takes a part of a long message. It returns the whole message if
// this was the last part to come, else nil and how the part is answered.
func (j *joiner) addSubmit(m *Submit, c *ServerConfig) (whole *Submit, id string, status Status) {
	key := joinKey{m.SystemID, m.From, m.To, m.Reference, m.Parts}
	v, id, err := j.add(key, m.Part, joinPart{m.Data, newMessageID(), m.Receipt})
	switch {
	case errors.Is(err, errJoinFull):
		return nil, "", StatusQueueFull
	case errors.Is(err, errJoinLent):
		return nil, "", StatusThrottled
	case err != nil:
		return nil, "", StatusInvalidMsgLength
	case v == nil:
		return nil, id, StatusOK
	}
	return m.whole(v, c), "", StatusOK
}

// whole is the message of which m is the part that came last, as which it is
// answered. The text is decoded as a whole, since not every sender keeps a
// surrogate pair within one part.
func (m *Submit) whole(from *joined, c *ServerConfig) *Submit {
	v := *m
	v.Part, v.Parts = 1, 1
	v.Receipt, v.joined = false, from
	for i, p := range from.parts {
		v.Receipt = v.Receipt || p.receipt
		if i != m.Part-1 {
			v.PartIDs = append(v.PartIDs, p.id)
		}
	}
	v.Data = joinedText(from.parts)
	v.Text = c.decode(v.Data, v.DataCoding)
	return &v
}
