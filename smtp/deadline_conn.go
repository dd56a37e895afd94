package smtp

import (
	"context"
	"net"
	"time"
)

// A deadlineConn is a connection with the deadlines of a context. go-smtp knows
// no context: it sets deadlines of minutes before each command, clears them
// after it, and writes a message's body without a deadline. On a deadlineConn
// the context's deadline is the only one, and all I/O ends when the context is
// cancelled. It belongs under TLS, so that the handshake ends in time, too.
type deadlineConn struct{ net.Conn }

// bind makes ctx the connection's context until release is called. If until is
// not zero, I/O also ends then.
func (c *deadlineConn) bind(ctx context.Context, until time.Time) (release func()) {
	c.limit(ctx, until)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		c.setDeadline(longAgo)
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

var longAgo = time.Unix(1, 0)

// limit replaces the time until while the connection is bound to ctx.
func (c *deadlineConn) limit(ctx context.Context, until time.Time) {
	deadline, bounded := ctx.Deadline()
	if !until.IsZero() && (!bounded || until.Before(deadline)) {
		deadline = until
	}
	c.setDeadline(deadline)
	if ctx.Err() != nil { // an earlier cancellation stays in force
		c.setDeadline(longAgo)
	}
}

func (c *deadlineConn) setDeadline(t time.Time) { _ = c.Conn.SetDeadline(t) } // fails only on a closed connection

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing, because the
// context's deadline must stay in force. A message's context always has a
// deadline, and a later deadline is never useful.
func (c *deadlineConn) SetDeadline(time.Time) error      { return nil }
func (c *deadlineConn) SetReadDeadline(time.Time) error  { return nil }
func (c *deadlineConn) SetWriteDeadline(time.Time) error { return nil }
