package main

import (
	"container/list"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// maxAwaited is the largest number of messages that await their receipts. Beyond it
// the oldest are forgotten.
const maxAwaited = 100_000

// awaited holds the messages whose final state the channel reports later. It is in
// memory: after a restart receipts find no message. A connector with an asynchronous
// channel should keep them in a database.
type awaited struct {
	mu    sync.Mutex
	byID  map[string]*list.Element // by message_id, and by the provider's ids
	order list.List                // of *awaitedMessage, the oldest in front
}

type awaitedMessage struct {
	id      string // message_id
	aliases []string
	submit  *smppserver.Submit
	since   time.Time
	until   time.Time
}

func newAwaited() *awaited { return &awaited{byID: make(map[string]*list.Element)} }

// add awaits the receipt of a message until an hour after its code's life.
func (a *awaited) add(id string, m *smppserver.Submit, expires time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for e := a.order.Front(); e != nil; e = a.order.Front() {
		if a.order.Len() < maxAwaited && now.Before(e.Value.(*awaitedMessage).until) {
			break
		}
		a.remove(e)
	}
	a.byID[id] = a.order.PushBack(&awaitedMessage{id: id, submit: m, since: now, until: expires.Add(time.Hour)})
}

// alias lets the message be found by the provider's id, too.
func (a *awaited) alias(provider, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byID[id]; e != nil && provider != id {
		m := e.Value.(*awaitedMessage)
		m.aliases = append(m.aliases, provider)
		a.byID[provider] = e
	}
}

// find returns the message of the first known id.
func (a *awaited) find(ids ...string) (*awaitedMessage, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if e := a.byID[id]; id != "" && e != nil {
			return e.Value.(*awaitedMessage), true
		}
	}
	return nil, false
}

func (a *awaited) drop(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byID[id]; e != nil {
		a.remove(e)
	}
}

// remove forgets a message. a.mu is held.
func (a *awaited) remove(e *list.Element) {
	m := a.order.Remove(e).(*awaitedMessage)
	for _, id := range append(m.aliases, m.id) {
		if a.byID[id] == e {
			delete(a.byID, id)
		}
	}
}
