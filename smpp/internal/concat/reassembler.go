package concat

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"time"
)

// Limits bound what a [Reassembler] holds.
type Limits struct {
	Life     time.Duration // how long a message may take to become complete
	PerOwner int           // incomplete messages of one owner; the parts of a further one are refused
	Octets   int           // length of a message

	// PerSender is how many of an owner's incomplete messages may be from one
	// address, so that one phone does not use up PerOwner. 0: no limit.
	PerSender int
}

// A Reassembler puts long messages together. Their parts may come over
// different sessions, in any order, and more than once. Each part is
// acknowledged as it comes, so a restart loses the parts of an incomplete
// message.
//
// A complete message is with its handler until Forget or Retry is called: its
// sender may be asked to send the part that came last again, and that part
// only. A Reassembler is safe for concurrent use.
type Reassembler struct {
	limits Limits

	mu         sync.Mutex
	incomplete map[Key]*Message // and those with their handlers
	perOwner   map[string]int   // length of incomplete, by owner
	perSender  map[sender]int   // and by owner and sender
	order      list.List        // of *Message, the oldest in front
}

// New returns an empty Reassembler.
func New(l Limits) *Reassembler {
	return &Reassembler{
		limits: l, incomplete: make(map[Key]*Message), perOwner: make(map[string]int), perSender: make(map[sender]int),
	}
}

// A Key holds what the parts of a message have in common. Owner is counted for
// Limits.PerOwner.
type Key struct {
	Owner, From, To  string
	Reference, Parts int
}

// A sender is an address, as far as one owner's messages go.
type sender struct{ owner, from string }

func (k Key) sender() sender { return sender{k.Owner, k.From} }

// A Part is one part of a message.
type Part struct {
	Text       []byte    // nil: the part has not come
	ID         string    // message_id under which it was acknowledged
	DataCoding uint8     // data_coding
	Registered uint8     // registered_delivery
	Expires    time.Time // end of its validity_period; zero: none
}

// A Message is a long message. Its Reassembler guards it, apart from parts and
// last while the message is with its handler.
type Message struct {
	key     Key
	since   time.Time
	parts   []Part // by number
	last    int    // index of the part that came last
	octets  int
	handled bool // complete, and with its handler
	place   *list.Element
}

// Errors of Add.
var (
	ErrTooLong = errors.New("smpp: the parts of a message are too long")
	ErrFull    = errors.New("smpp: too many messages are incomplete")
	ErrHandled = errors.New("smpp: a part has come again while its message is being handled")
)

// Add takes part n of a message, counted from 1. It returns the id under which
// the part is acknowledged. If the part comes again, because its answer was
// lost, that is the id of the first time. If no part is missing any more, Add
// returns the complete message, and Forget or Retry must follow.
//
// A message that is too long is forgotten, with ErrTooLong.
func (r *Reassembler) Add(key Key, n int, p Part) (whole *Message, id string, err error) {
	p.Text = append([]byte{}, p.Text...) // it held on to the whole PDU
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.find(key, now)
	switch {
	case m == nil:
		return nil, "", ErrFull
	case m.handled:
		return nil, "", ErrHandled
	}
	before := m.parts[n-1]
	if before.Text != nil {
		p.ID = before.ID
	}
	m.parts[n-1], m.last = p, n-1
	m.octets += len(p.Text) - len(before.Text)
	if m.octets > r.limits.Octets {
		r.remove(m)
		return nil, "", ErrTooLong
	}
	if slices.ContainsFunc(m.parts, func(p Part) bool { return p.Text == nil }) {
		return nil, p.ID, nil
	}
	m.handled = true
	r.renew(m, now)
	return m, p.ID, nil
}

// Forget drops a complete message that was handled for good.
func (r *Reassembler) Forget(m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.incomplete[m.key] == m { // else its life is over
		r.remove(m)
	}
}

// Retry keeps a complete message that could not be handled, and waits again for
// the part that came last.
func (r *Reassembler) Retry(m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.incomplete[m.key] != m { // its life is over
		return
	}
	m.octets -= len(m.parts[m.last].Text)
	m.parts[m.last] = Part{}
	m.handled = false
	r.renew(m, time.Now())
}

// find returns the message of a part, or begins one. It returns nil if the
// owner or the sender has too many: the parts of those were acknowledged, this
// part can be refused. r.mu is held.
func (r *Reassembler) find(key Key, now time.Time) *Message {
	for e := r.order.Front(); e != nil && now.Sub(e.Value.(*Message).since) >= r.limits.Life; e = r.order.Front() {
		r.remove(e.Value.(*Message))
	}
	if m := r.incomplete[key]; m != nil {
		return m
	}
	if r.perOwner[key.Owner] >= r.limits.PerOwner ||
		r.limits.PerSender > 0 && r.perSender[key.sender()] >= r.limits.PerSender {
		return nil
	}
	m := &Message{key: key, since: now, parts: make([]Part, key.Parts)}
	m.place = r.order.PushBack(m)
	r.incomplete[key] = m
	r.perOwner[key.Owner]++
	r.perSender[key.sender()]++
	return m
}

// renew lets the life of a message begin again. r.mu is held.
func (r *Reassembler) renew(m *Message, now time.Time) {
	m.since = now
	r.order.MoveToBack(m.place)
}

// remove drops a message. r.mu is held.
func (r *Reassembler) remove(m *Message) {
	delete(r.incomplete, m.key)
	r.order.Remove(m.place)
	if r.perOwner[m.key.Owner]--; r.perOwner[m.key.Owner] == 0 {
		delete(r.perOwner, m.key.Owner)
	}
	if r.perSender[m.key.sender()]--; r.perSender[m.key.sender()] == 0 {
		delete(r.perSender, m.key.sender())
	}
}

// Text returns the octets of a complete message. It is not nil, even if the
// message is empty.
func (m *Message) Text() []byte {
	text := []byte{}
	for _, p := range m.parts {
		text = append(text, p.Text...)
	}
	return text
}

// Parts returns the parts of a complete message. They must not be changed.
func (m *Message) Parts() []Part { return m.parts }

// EarlierIDs returns the ids of all parts of a complete message, apart from the
// one that came last.
func (m *Message) EarlierIDs() []string {
	var ids []string
	for i, p := range m.parts {
		if i != m.last {
			ids = append(ids, p.ID)
		}
	}
	return ids
}
