package smpp

import (
	"context"
	"errors"
	"fmt"
)

// beginClosing refuses further Sends and ends reconnecting.
func (c *Client) beginClosing() {
	c.stopConnecting()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.life.Closed() {
		c.life.Refuse()
		c.announce()
	}
}

// Shutdown refuses further Sends and waits for those under way. It hands over and
// answers the receipts received so far, for Config.ResponseTimeout at most. Then
// it unbinds, waits for the SMSC's answer, and closes the connection. If a bind is
// under way, Shutdown awaits its answer first, in order to unbind its session,
// too.
//
// If ctx ends earlier, Shutdown closes at once, as Close does, and returns the
// error of ctx. Its other errors are those of Close.
func (c *Client) Shutdown(ctx context.Context) error {
	c.beginClosing()
	select {
	case <-c.life.Idle():
		c.retireSessions()
	case <-ctx.Done():
	}
	select {
	case <-c.unlinked:
		defer c.cancel()
		return c.awaitStopped()
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("smpp: shutdown: %w", ctx.Err()), c.Close())
	}
}

func (c *Client) retireSessions() {
	var all []*session
	c.mu.Lock()
	for _, l := range c.links {
		if l.session != nil {
			all = append(all, l.session)
		}
	}
	c.mu.Unlock()
	for _, s := range all {
		s.retire(ErrClosed)
	}
}

// Close closes the connection at once, without unbind. Every Send under way
// returns. Its class is channel.Unknown if its message was written, else
// channel.Temporary. Close may be called more than once.
//
// Close returns when all goroutines have ended, with the running callbacks of the
// Config, whose ctx it ends. It waits for them for Config.ResponseTimeout at most,
// and then returns an error, because a callback may ignore its ctx. A callback
// must not wait for Close, but it may close the client in a goroutine of its own.
func (c *Client) Close() error {
	c.beginClosing()
	c.cancel()
	return c.awaitStopped()
}

// awaitStopped waits until every goroutine of the client has ended, for
// Config.ResponseTimeout at most.
func (c *Client) awaitStopped() error {
	if err := c.deadline.Await(c.stopped, c.config.ResponseTimeout); err != nil {
		return fmt.Errorf("smpp: %w", err)
	}
	return nil
}
