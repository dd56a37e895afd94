package smpp

import (
	"bytes"
	"container/list"
	"slices"
	"sync"
	"time"
)

const (
	// partsLife is how long a message may take to become complete.
	partsLife = 5 * time.Minute
	// maxIncomplete is how many messages may be incomplete at a time, over all
	// sessions; then the oldest is forgotten. Each holds at most MaxMessage
	// octets.
	maxIncomplete = 2_000
)

// An assembler joins the parts of long messages. The parts of one message may
// come over different sessions of a system_id.
type assembler struct {
	mu    sync.Mutex
	open  map[partsKey]*incomplete
	order list.List // of *incomplete, the oldest in front
}

type partsKey struct {
	systemID, from, to string
	reference, parts   int
}

type incomplete struct {
	key    partsKey
	since  time.Time
	pieces []piece // by number
	octets int
	place  *list.Element
}

// A piece is what is kept of a part; without an id it has not come.
type piece struct {
	id      string
	data    []byte
	receipt bool
}

func newAssembler() *assembler { return &assembler{open: make(map[partsKey]*incomplete)} }

// add takes a part. It returns the whole message if this was the last part to
// come, else nil and how the part is answered. A part that comes again replaces
// the first one: its answer was lost.
func (a *assembler) add(m *Submit, c *ServerConfig) (whole *Submit, id string, status Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgetOld(time.Now())
	v := a.of(m)
	p := &v.pieces[m.Part-1]
	v.octets += len(m.Data) - len(p.data)
	p.data, p.receipt = bytes.Clone(m.Data), m.Receipt // not the whole PDU
	if p.id == "" {
		p.id = newMessageID()
	}
	if v.octets > c.MaxMessage {
		a.remove(v)
		return nil, "", StatusInvalidMsgLength
	}
	if slices.ContainsFunc(v.pieces, func(p piece) bool { return p.id == "" }) {
		return nil, p.id, StatusOK
	}
	a.remove(v)
	return v.join(m, c), "", StatusOK
}

// of returns what has come of m's message. a.mu is held.
func (a *assembler) of(m *Submit) *incomplete {
	key := partsKey{m.SystemID, m.From, m.To, m.Reference, m.Parts}
	v := a.open[key]
	if v == nil {
		v = &incomplete{key: key, since: time.Now(), pieces: make([]piece, m.Parts)}
		v.place = a.order.PushBack(v)
		a.open[key] = v
	}
	return v
}

func (a *assembler) forgetOld(now time.Time) {
	for e := a.order.Front(); e != nil; e = a.order.Front() {
		v := e.Value.(*incomplete)
		if now.Sub(v.since) < partsLife && a.order.Len() <= maxIncomplete {
			return
		}
		a.remove(v)
	}
}

func (a *assembler) remove(v *incomplete) {
	delete(a.open, v.key)
	a.order.Remove(v.place)
}

// join makes the whole message, answered as its last part. The text is decoded
// as a whole, since not every sender keeps a surrogate pair within one part.
func (v *incomplete) join(last *Submit, c *ServerConfig) *Submit {
	whole := *last
	whole.Part, whole.Parts = 1, 1
	whole.Data = make([]byte, 0, v.octets)
	whole.Receipt = false
	for i, p := range v.pieces {
		whole.Data = append(whole.Data, p.data...)
		whole.Receipt = whole.Receipt || p.receipt
		if i != last.Part-1 {
			whole.PartIDs = append(whole.PartIDs, p.id)
		}
	}
	whole.Text = c.decode(whole.Data, whole.DataCoding)
	return &whole
}
