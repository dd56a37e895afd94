package smtp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// A guard is a connection on which a context has the last word. go-smtp knows
// no context: it sets deadlines of minutes before each command, clears them
// after it, and writes a message's body without any. The guard shortens every
// deadline to the context's, and ends all I/O when the context is cancelled.
// It belongs under TLS, so that the handshake obeys too.
type guard struct {
	net.Conn

	mu    sync.Mutex
	limit time.Time // the context's deadline; zero: none
}

// follow makes ctx the guard's context until release is called.
func (g *guard) follow(ctx context.Context) (release func()) {
	deadline, _ := ctx.Deadline()
	g.limitTo(deadline)
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		g.limitTo(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-ended
		}
	}
}

func (g *guard) limitTo(t time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = t
	_ = g.Conn.SetDeadline(t) // fails only on a closed connection
}

func (g *guard) set(t time.Time, set func(time.Time) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.limit.IsZero() && (t.IsZero() || t.After(g.limit)) {
		t = g.limit
	}
	return set(t)
}

func (g *guard) SetDeadline(t time.Time) error      { return g.set(t, g.Conn.SetDeadline) }
func (g *guard) SetReadDeadline(t time.Time) error  { return g.set(t, g.Conn.SetReadDeadline) }
func (g *guard) SetWriteDeadline(t time.Time) error { return g.set(t, g.Conn.SetWriteDeadline) }

// replyBudget is how many octets a server may say in answer to one command;
// RFC 5321 §4.5.3.1.5 allows 512 for a line of a reply.
const replyBudget = 64 << 10

var (
	errReplyTooLong = errors.New("the server's reply is longer than 64 KiB")
	errUnsolicited  = errors.New("the server sent more than the reply it was asked for")
	errAuthAborted  = errors.New("authentication aborted")
)

// A meter is a connection on which a server can say no more than one reply of
// limited length for each thing that is written. Without it an endless reply
// fills the memory, and octets sent after the reply to STARTTLS, in the clear,
// or after any other, could pass for the reply to the next command. It belongs
// above TLS, where replies can be read; one goroutine uses it.
type meter struct {
	net.Conn
	pending string // read before anything the server says

	spent   int  // octets of the reply so far
	column  int  // in its current line
	more    bool // the current line says that others follow
	done    bool // the reply's last line has ended
	written error
}

func (m *meter) Write(p []byte) (int, error) {
	// go-smtp answers a refused password with "*" and waits for the reply to
	// that, which not every server gives. The connection ends here anyway.
	if string(p) == "*\r\n" {
		return 0, errAuthAborted
	}
	m.spent, m.column, m.more, m.done = 0, 0, false, false
	n, err := m.Conn.Write(p)
	if err != nil {
		m.written = err
	}
	return n, err
}

func (m *meter) Read(p []byte) (int, error) {
	if m.pending != "" {
		n := copy(p, m.pending)
		m.pending = m.pending[n:]
		return n, nil
	}
	if m.spent >= replyBudget {
		return 0, errReplyTooLong
	}
	n, err := m.Conn.Read(p[:min(len(p), replyBudget-m.spent)])
	m.spent += n
	for _, b := range p[:n] {
		if m.done {
			return 0, errUnsolicited
		}
		m.see(b)
	}
	return n, err
}

// see follows the reply's lines: "250-" begins one that others follow.
func (m *meter) see(b byte) {
	switch {
	case b == '\n':
		m.done = !m.more
		m.column, m.more = 0, false
		return
	case m.column == 3:
		m.more = b == '-'
	}
	m.column++
}
