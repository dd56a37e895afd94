package concat

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"time"
)

// Limits bound the memory of a [Reassembler].
type Limits struct {
	Life     time.Duration // longest time until a message is complete
	PerOwner int           // incomplete messages of one owner; parts of further ones are refused
	Octets   int           // length of a message

	// PerSender is the largest number of an owner's incomplete messages from
	// one address, so that one phone does not use up PerOwner. 0: no limit.
	PerSender int
}

// A Reassembler joins the parts of long messages. The parts may come over
// different sessions, in any order, and more than once. Each part is
// acknowledged on arrival, so a restart loses the parts of an incomplete
// message.
//
// A complete message is with its handler until Forget or Retry is called. The
// handler may ask the sender for another try, and the sender repeats only the
// last part. A Reassembler is safe for concurrent use.
type Reassembler struct {
	limits Limits

	mu         sync.Mutex
	incomplete map[Key]*Message // and complete ones with their handlers
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

// A Key holds the common properties of a message's parts. Limits.PerOwner
// counts by Owner.
type Key struct {
	Owner, From, To  string
	Reference, Parts int
}

// A sender is an address among one owner's messages.
type sender struct{ owner, from string }

func (k Key) sender() sender { return sender{k.Owner, k.From} }

// A Part is one part of a message.
type Part struct {
	Text       []byte    // nil: the part is missing
	ID         string    // message_id of its acknowledgement
	DataCoding uint8     // data_coding
	Registered uint8     // registered_delivery
	Expires    time.Time // end of its validity_period; zero: none
}

// A Message is a long message. Its Reassembler guards it. While the message is
// with its handler, parts and last do not change.
type Message struct {
	key     Key
	since   time.Time
	parts   []Part // by number
	last    int    // index of the last part to come
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

// Add takes part n of a message, counted from 1. It returns the id for the
// part's acknowledgement. If the part comes again, because its answer was lost,
// it is the id of the first time. If the message is complete, Add returns it,
// and Forget or Retry must follow.
//
// If a message is too long, Add forgets it and returns ErrTooLong.
func (r *Reassembler) Add(key Key, n int, p Part) (whole *Message, id string, err error) {
	p.Text = append([]byte{}, p.Text...) // it would keep the whole PDU in memory
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

// Forget drops a complete message after its handling.
func (r *Reassembler) Forget(m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.incomplete[m.key] == m { // else its life has ended
		r.remove(m)
	}
}

// Retry keeps a complete message after a failure, and waits for its last part
// again.
func (r *Reassembler) Retry(m *Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.incomplete[m.key] != m { // its life has ended
		return
	}
	m.octets -= len(m.parts[m.last].Text)
	m.parts[m.last] = Part{}
	m.handled = false
	r.renew(m, time.Now())
}

// find returns the message of a part, or begins a message. It returns nil if
// the owner or the sender has too many: their parts were acknowledged, but this
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

// renew restarts the life of a message. r.mu is held.
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

// EarlierIDs returns the ids of all parts of a complete message, without the
// last to come.
func (m *Message) EarlierIDs() []string {
	var ids []string
	for i, p := range m.parts {
		if i != m.last {
			ids = append(ids, p.ID)
		}
	}
	return ids
}
