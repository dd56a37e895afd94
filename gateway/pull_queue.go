package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/otpcourier/otpcourier/channel"
)

const (
	// maxHandedOut is how many messages are remembered after they were handed
	// out.
	maxHandedOut = 10_000

	// maxLeases is for how many leases a message without an expiry is handed
	// out again.
	maxLeases = 10

	// maxPollBatch is how many messages one answer holds: more than a phone sends
	// in a minute could go stale on it while another phone has nothing to do.
	maxPollBatch = 20
)

// pullCustody is who has a message.
type pullCustody uint8

const (
	pullWaiting pullCustody = iota // nobody
	pullWriting                    // its answer is being written
	pullFetched                    // a phone, as far as is known
	pullDoubted                    // its answer may not have arrived
	pullGone                       // nobody, and nobody gets it any more
)

// pulled is a message on its way to a phone. Its fields but id, expires and
// done are guarded by Pull.mu.
type pulled struct {
	id      string
	expires time.Time
	done    chan struct{} // closed when it is fetched or gone

	to, text string // emptied once they are not needed any more
	state    pullCustody
	err      error // why it is gone
	senders  int   // Sends that wait
	phone    string
	leased   time.Time // until when it is not handed out again
	lapses   time.Time // from when it is never handed out again
	told     channel.State
}

// enqueue adds a message, or joins the Sends of the same one.
func (p *Pull) enqueue(m *channel.Message) (*pulled, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, pullError(channel.Temporary, "closed", nil)
	}
	if e := p.entries[m.ID]; e != nil {
		e.senders++
		return e, nil
	}
	now := time.Now()
	p.sweep(now)
	if !now.Before(p.polled.Add(p.config.Wait)) {
		return nil, pullError(channel.Temporary, "no phone polls", nil)
	}
	if len(p.queue) >= p.config.MaxQueue {
		return nil, pullError(channel.Throttled, "too many messages wait for a phone", nil)
	}
	e := &pulled{id: m.ID, to: m.To.Phone, text: m.Text, expires: m.Expires, done: make(chan struct{}), senders: 1}
	p.entries[e.id] = e
	p.queue = append(p.queue, e)
	return e, nil
}

// leave ends a Send's wait. why is its error if the message is still nobody's;
// it is withdrawn then, unless another Send waits for it.
func (p *Pull) leave(e *pulled, why error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.senders--
	switch {
	case e.state == pullFetched:
		return nil
	case e.state == pullGone:
		return e.err
	case e.state == pullWaiting && e.senders == 0:
		p.withdraw(e, why)
		return why
	case e.senders == 0: // an answer that holds it may still fail to be written
		p.release(e)
	}
	return pullError(channel.Unknown, "a phone may have it", nil)
}

// withdraw takes a waiting message away. p.mu is held.
func (p *Pull) withdraw(e *pulled, why error) {
	p.queue = slices.DeleteFunc(p.queue, func(other *pulled) bool { return other == e })
	delete(p.entries, e.id)
	e.state, e.err, e.to, e.text = pullGone, why, "", ""
	close(e.done)
}

// release ends a lease: the message is not handed out again. p.mu is held.
func (p *Pull) release(e *pulled) {
	p.leases[e.phone] = slices.DeleteFunc(p.leases[e.phone], func(other *pulled) bool { return other == e })
	e.to, e.text = "", ""
}

// sweep drops the texts that a phone which stays away will never fetch again.
// p.mu is held.
func (p *Pull) sweep(now time.Time) {
	for _, leased := range p.leases {
		for _, e := range slices.Clone(leased) {
			if e.state != pullWriting && !now.Before(e.lapses) {
				p.release(e)
			}
		}
	}
}

// take hands out what a phone may have missed, then what waits.
func (p *Pull) take(phone string, now time.Time) (batch []*pulled, messages []pollMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polled = now
	for _, e := range slices.Clone(p.leases[phone]) {
		switch {
		case e.state == pullWriting: // in the answer to another poll of this phone
		case !now.Before(e.lapses):
			p.release(e)
		case !now.Before(e.leased) && len(batch) < maxPollBatch:
			batch = append(batch, e)
		}
	}
	rest := p.queue[:0]
	for _, e := range p.queue {
		if len(batch) == maxPollBatch || e.late(now) { // a late one's Send is about to withdraw it
			rest = append(rest, e)
			continue
		}
		e.state, e.phone, e.lapses = pullWriting, phone, now.Add(maxLeases*p.config.Lease)
		if !e.expires.IsZero() {
			e.lapses = e.expires.Add(-pullMinLife)
		}
		p.leases[phone] = append(p.leases[phone], e)
		p.remember(e)
		batch = append(batch, e)
	}
	clear(p.queue[len(rest):])
	p.queue = rest
	messages = make([]pollMessage, 0, len(batch))
	for _, e := range batch {
		e.leased = now.Add(p.config.Lease)
		messages = append(messages, pollMessage{ID: e.id, To: e.to, Content: e.text})
	}
	return batch, messages
}

// late reports whether it is too late to hand a message out.
func (e *pulled) late(now time.Time) bool {
	return !e.expires.IsZero() && e.expires.Sub(now) < pullMinLife
}

// remember keeps a message that is handed out, and forgets the oldest one. p.mu
// is held.
func (p *Pull) remember(e *pulled) {
	p.handed = append(p.handed, e)
	if len(p.handed) <= maxHandedOut {
		return
	}
	oldest := p.handed[0]
	p.handed[0] = nil
	p.handed = p.handed[1:]
	p.release(oldest)
	delete(p.entries, oldest.id)
}

// settle records whether the answer with a batch was written.
func (p *Pull) settle(batch []*pulled, written bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range batch {
		switch {
		case written && (e.state == pullWriting || e.state == pullDoubted):
			e.state = pullFetched
			close(e.done)
		case !written && e.state == pullWriting:
			e.state = pullDoubted
			if p.closed {
				e.lose()
			}
		}
		if !written {
			e.leased = time.Time{} // so that the next poll gets it
		}
	}
}

// lose ends the wait for a message that a phone may have.
func (e *pulled) lose() {
	e.state, e.err = pullGone, pullError(channel.Unknown, "closed, a phone may have it", nil)
	close(e.done)
}

// turn waits until no other poll's report on a message is passed on, because
// only the outcome of that says whether the next is news. The caller ends its
// turn.
func (p *Pull) turn(ctx context.Context, id string) (end func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.telling[id] != nil {
		running := p.telling[id]
		p.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		p.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	running := make(chan struct{})
	p.telling[id] = running
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.telling, id)
		close(running)
	}, nil
}

// heard ends the lease of a message that its phone reports on, and says whether
// the state is news. A message that nobody here knows is always.
func (p *Pull) heard(phone, id string, state channel.State) (news, ours bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[id]
	if e == nil {
		return state != 0, true
	}
	if e.phone != phone {
		return false, false
	}
	p.release(e)
	if e.state == pullDoubted || e.state == pullWriting {
		e.state = pullFetched
		close(e.done)
	}
	return state > e.told, true
}

// tell remembers that a state was told.
func (p *Pull) tell(id string, state channel.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[id]; e != nil {
		e.told = max(e.told, state)
	}
}
