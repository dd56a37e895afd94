package smtp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// A guard is a connection on which a context has the last word. go-smtp knows
// no context: it sets deadlines of minutes before each command, clears them
// after it, and writes a message's body without any. On a guard the context's
// deadline is the only one, and all I/O ends when the context is cancelled. It
// belongs under TLS, so that the handshake obeys too.
type guard struct{ net.Conn }

// follow makes ctx the guard's context until release is called, and ends I/O at
// the time until, too, unless that is zero.
func (g *guard) follow(ctx context.Context, until time.Time) (release func()) {
	g.limit(ctx, until)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		g.limitTo(longAgo)
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

var longAgo = time.Unix(1, 0)

// limit sets another until while the guard follows ctx.
func (g *guard) limit(ctx context.Context, until time.Time) {
	deadline, bounded := ctx.Deadline()
	if !until.IsZero() && (!bounded || until.Before(deadline)) {
		deadline = until
	}
	g.limitTo(deadline)
	if ctx.Err() != nil { // a cancel that came just before is not undone
		g.limitTo(longAgo)
	}
}

func (g *guard) limitTo(t time.Time) { _ = g.Conn.SetDeadline(t) } // fails only on a closed connection

// SetDeadline and the like leave the context's deadline in force: a message's
// context always has one, and a later one is never wanted.
func (g *guard) SetDeadline(time.Time) error      { return nil }
func (g *guard) SetReadDeadline(time.Time) error  { return nil }
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// replyBudget is how many octets a server may say in answer to one command;
// RFC 5321 §4.5.3.1.5 allows 512 for a line of a reply.
const replyBudget = 64 << 10

var (
	errReplyTooLong = errors.New("the server's reply is longer than 64 KiB")
	errUnsolicited  = errors.New("the server sent more than the reply it was asked for")
	errAuthAborted  = errors.New("authentication aborted")
)

// A meter is a connection on which a server can say no more than it is asked
// for: one reply, of limited length in all, for each command that is written.
// Without it an endless reply fills the memory, and octets sent after the reply
// to STARTTLS, in the clear, or after any other, could pass for the reply to
// the next command. Octets after the reply to the final dot are cut off, and
// the connection is not used again: what the server has taken stays taken. A
// meter belongs above TLS, where replies can be read; one goroutine uses it.
type meter struct {
	net.Conn
	pending string // read before anything the server says

	awaited int    // replies that have not ended; the greeting is the first
	spent   int    // octets of replies since the last command
	column  int    // in the current line
	more    bool   // the current line says that others follow
	written error  // of the last write that failed
	cut     error  // of the last read
	final   bool   // the reply awaited is that to the final dot
	excess  bool   // more came with that
	heard   func() // called once, when the server next says something
}

func newMeter(c net.Conn) *meter { return &meter{Conn: c, awaited: 1} }

func (m *meter) Write(p []byte) (int, error) {
	// go-smtp answers a refused password with "*" and waits for the reply to
	// that, which not every server gives. The connection ends here anyway.
	if string(p) == "*\r\n" {
		return 0, errAuthAborted
	}
	return m.send(p, 1)
}

// send writes p, which asks for so many replies.
func (m *meter) send(p []byte, replies int) (int, error) {
	m.awaited, m.spent, m.column, m.more = replies, 0, 0, false
	n, err := m.Conn.Write(p)
	if err != nil {
		m.written = err
	}
	return n, err
}

// done reports that all replies have come.
func (m *meter) done() bool { return m.awaited == 0 }

// whole passes on what go-smtp made of a reply, unless that broke off within a
// line: it takes "550 5." for a refusal, because bufio.Reader.ReadLine passes
// over an error that comes after half a line.
func (m *meter) whole(err error) error {
	if m.done() {
		return err
	}
	if _, replied := replyOf(err); err != nil && !replied {
		return err
	}
	return cmp.Or(m.cut, io.ErrUnexpectedEOF)
}

func (m *meter) Read(p []byte) (n int, err error) {
	defer func() { m.cut = err }()
	if m.pending != "" {
		n := copy(p, m.pending)
		m.pending = m.pending[n:]
		return n, nil
	}
	if m.spent >= replyBudget {
		return 0, errReplyTooLong
	}
	n, err = m.Conn.Read(p[:min(len(p), replyBudget-m.spent)])
	m.spent += n
	if n > 0 && m.heard != nil {
		m.heard()
		m.heard = nil
	}
	for i, b := range p[:n] {
		switch {
		case m.done() && m.final && i > 0: // what became of the mail has been said
			m.excess = true
			return i, nil
		case m.done():
			return 0, errUnsolicited
		}
		m.see(b)
	}
	return n, err
}

// see follows the replies' lines: "250-" begins one that others follow.
func (m *meter) see(b byte) {
	switch {
	case b == '\n':
		if !m.more {
			m.awaited--
		}
		m.column, m.more = 0, false
		return
	case m.column == 3:
		m.more = b == '-'
	}
	m.column++
}
