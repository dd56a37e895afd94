package pull

import (
	"context"

	"github.com/otpcourier/otpcourier/channel"
)

// lockReports waits until Receipt does not run for a message, because only its
// outcome tells whether the next report is news. The caller must call unlock.
func (c *Channel) lockReports(ctx context.Context, id string) (unlock func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.reporting[id] != nil {
		running := c.reporting[id]
		c.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		c.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	running := make(chan struct{})
	c.reporting[id] = running
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.reporting, id)
		close(running)
	}, nil
}

// acknowledge ends the lease of a message that its phone reports on, and returns
// whether the state is news. If the message is another phone's, ours is false.
func (c *Channel) acknowledge(phone, id string, state channel.State) (news, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[id]
	if e == nil {
		return state > c.others.states[id], true
	}
	if e.phone != phone {
		return false, false
	}
	c.release(e)
	if e.state == doubted || e.state == writing {
		e.state = fetched
		close(e.done)
	}
	return state > e.reported, true
}

// recordReceipt records that Receipt has accepted a state.
func (c *Channel) recordReceipt(id string, state channel.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[id]; e != nil {
		e.reported = max(e.reported, state)
		return
	}
	c.others.record(id, state)
}

// others remembers the furthest states that Receipt has accepted of messages which
// are not in Channel.entries: another process has handed them out, or this one long
// ago. At maxHandedOut the oldest is forgotten. Channel.mu guards it.
type others struct {
	states map[string]channel.State
	order  []string
}

func (o *others) record(id string, state channel.State) {
	if state <= o.states[id] {
		return
	}
	if o.states == nil {
		o.states = make(map[string]channel.State)
	}
	if _, known := o.states[id]; !known {
		o.order = append(o.order, id)
	}
	o.states[id] = state
	if len(o.order) > maxHandedOut {
		delete(o.states, o.order[0])
		o.order = o.order[1:]
	}
}
