package pull

import (
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

// A custody says where a message is.
type custody uint8

const (
	waiting custody = iota // in the queue
	writing                // in an answer that is being written
	fetched                // on a phone, as far as is known
	doubted                // in an answer that may not have arrived
	gone                   // withdrawn or lost: it is not handed out again
)

// An entry is a message on its way to a phone. Its fields but id, expires and
// done are guarded by Channel.mu.
type entry struct {
	id      string
	expires time.Time
	done    chan struct{} // closed when it is fetched or gone

	to, text string // emptied once they are not needed any more
	state    custody
	err      error // why it is gone
	senders  int   // Sends that wait
	phone    string
	leased   time.Time     // until when it is not handed out again
	lapses   time.Time     // from when it is never handed out again
	reported channel.State // the furthest that Receipt has accepted
}

// enqueue adds a message, or joins the Sends of the same one.
func (c *Channel) enqueue(m *channel.Message) (*entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Closed() {
		return nil, &channel.Error{Class: channel.Temporary, Op: opSend, Err: ErrClosed}
	}
	if e := c.entries[m.ID]; e != nil {
		e.senders++
		return e, nil
	}
	now := time.Now()
	c.sweep(now)
	if !now.Before(c.polled.Add(c.config.Wait)) {
		return nil, sendError(channel.Temporary, "no phone polls", nil)
	}
	if len(c.queue) >= c.config.MaxQueue {
		return nil, sendError(channel.Throttled, "too many messages wait for a phone", nil)
	}
	e := &entry{
		id: m.ID, to: m.To.Phone, text: m.Text, expires: m.Expires, done: make(chan struct{}), senders: 1,
		reported: c.others.states[m.ID],
	}
	c.entries[e.id] = e
	c.queue = append(c.queue, e)
	return e, nil
}

// leave ends a Send's wait. If no phone has the message and no other Send waits
// for it, leave withdraws the message and returns why.
func (c *Channel) leave(e *entry, why error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.senders--
	switch {
	case e.state == fetched:
		return nil
	case e.state == gone:
		return e.err
	case e.state == waiting && e.senders == 0:
		c.withdraw(e, why)
		return why
	case e.senders == 0: // an answer that holds it may still fail to be written
		c.release(e)
	}
	return sendError(channel.Unknown, "a phone may have it", nil)
}

// withdraw takes a waiting message away. c.mu is held.
func (c *Channel) withdraw(e *entry, why error) {
	c.queue = slices.DeleteFunc(c.queue, func(other *entry) bool { return other == e })
	delete(c.entries, e.id)
	e.state, e.err, e.to, e.text = gone, why, "", ""
	close(e.done)
}

// release ends a lease: the message is not handed out again. c.mu is held.
func (c *Channel) release(e *entry) {
	c.leases[e.phone] = slices.DeleteFunc(c.leases[e.phone], func(other *entry) bool { return other == e })
	e.to, e.text = "", ""
}

// sweep drops the texts that a phone which stays away will never fetch again.
// c.mu is held.
func (c *Channel) sweep(now time.Time) {
	for _, leased := range c.leases {
		for _, e := range slices.Clone(leased) {
			if e.state != writing && !now.Before(e.lapses) {
				c.release(e)
			}
		}
	}
}

// take hands out the messages that a phone may have missed, then the queue.
func (c *Channel) take(phone string, now time.Time) (batch []*entry, messages []pollMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.polled = now
	for _, e := range slices.Clone(c.leases[phone]) {
		switch {
		case e.state == writing: // in the answer to another poll of this phone
		case !now.Before(e.lapses):
			c.release(e)
		case !now.Before(e.leased) && len(batch) < maxPollBatch:
			batch = append(batch, e)
		}
	}
	rest := c.queue[:0]
	for _, e := range c.queue {
		if len(batch) == maxPollBatch || e.late(now) { // a late one's Send is about to withdraw it
			rest = append(rest, e)
			continue
		}
		e.state, e.phone, e.lapses = writing, phone, now.Add(maxLeases*c.config.Lease)
		if !e.expires.IsZero() {
			e.lapses = e.expires.Add(-minLife)
		}
		c.leases[phone] = append(c.leases[phone], e)
		c.remember(e)
		batch = append(batch, e)
	}
	clear(c.queue[len(rest):])
	c.queue = rest
	messages = make([]pollMessage, 0, len(batch))
	for _, e := range batch {
		e.leased = now.Add(c.config.Lease)
		messages = append(messages, pollMessage{ID: e.id, To: e.to, Content: e.text})
	}
	return batch, messages
}

// late reports whether it is too late to hand a message out.
func (e *entry) late(now time.Time) bool {
	return !e.expires.IsZero() && e.expires.Sub(now) < minLife
}

// remember keeps a message that is handed out, and forgets the oldest one. c.mu
// is held.
func (c *Channel) remember(e *entry) {
	c.handed = append(c.handed, e)
	if len(c.handed) <= maxHandedOut {
		return
	}
	oldest := c.handed[0]
	c.handed[0] = nil
	c.handed = c.handed[1:]
	c.release(oldest)
	delete(c.entries, oldest.id)
	c.others.record(oldest.id, oldest.reported)
}

// recordWrite records whether the answer with a batch was written.
func (c *Channel) recordWrite(batch []*entry, written bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range batch {
		switch {
		case written && (e.state == writing || e.state == doubted):
			e.state = fetched
			close(e.done)
		case !written && e.state == writing:
			e.state = doubted
			if c.life.Closed() {
				e.lose()
			}
		}
		if !written {
			e.leased = time.Time{} // so that the next poll gets it
		}
	}
}

// lose ends the wait for a message that a phone may have.
func (e *entry) lose() {
	e.state, e.err = gone, sendError(channel.Unknown, "a phone may have it", ErrClosed)
	close(e.done)
}
