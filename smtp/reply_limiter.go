package smtp

import (
	"cmp"
	"errors"
	"io"
	"net"
)

// maxReply is the largest number of octets that a server may send in answer to
// one command; RFC 5321 §4.5.3.1.5 allows 512 for a line of a reply.
const maxReply = 64 << 10

var (
	errReplyTooLong = errors.New("the server's reply is longer than 64 KiB")
	errUnsolicited  = errors.New("the server sent more than the expected reply")
	errAuthAborted  = errors.New("authentication aborted")
)

// A replyLimiter is a connection that lets through only expected replies: one
// for each command, with a limited length in all. Without it an endless reply
// would fill the memory. Octets after a reply would count as the reply to the
// next command, for example plaintext octets after the reply to STARTTLS.
//
// Octets after the reply to the final dot are cut off and are no error, because
// the reply still says whether the server accepted the mail. The connection is
// then not used again.
//
// A replyLimiter belongs above TLS, where it can read replies. It is not safe
// for concurrent use.
type replyLimiter struct {
	net.Conn
	pending string // read before the server's data

	awaited int    // unfinished replies; the greeting is the first
	octets  int    // of replies since the last command
	column  int    // in the current line
	more    bool   // the current line announces another
	onReply func() // called once, when the server next sends data

	writeErr error // of the last write that failed
	readErr  error // of the last read

	final  bool // the awaited reply answers the final dot
	excess bool // octets followed that reply, and were cut off
}

func newReplyLimiter(c net.Conn) *replyLimiter { return &replyLimiter{Conn: c, awaited: 1} }

func (l *replyLimiter) Write(p []byte) (int, error) {
	// go-smtp answers a refused password with "*" and waits for another reply,
	// which not every server gives. The connection ends here anyway.
	if string(p) == "*\r\n" {
		return 0, errAuthAborted
	}
	return l.send(p, 1)
}

// send writes p, which expects that many replies.
func (l *replyLimiter) send(p []byte, replies int) (int, error) {
	l.awaited, l.octets, l.column, l.more = replies, 0, 0, false
	n, err := l.Conn.Write(p)
	if err != nil {
		l.writeErr = err
	}
	return n, err
}

// done reports whether all replies have come.
func (l *replyLimiter) done() bool { return l.awaited == 0 }

// ifComplete returns err, which go-smtp made of a reply, unless that reply broke
// off within a line. go-smtp mistakes "550 5." for a refusal, because
// bufio.Reader.ReadLine ignores an error after half a line.
func (l *replyLimiter) ifComplete(err error) error {
	if l.done() {
		return err
	}
	if _, replied := replyOf(err); err != nil && !replied {
		return err
	}
	return cmp.Or(l.readErr, io.ErrUnexpectedEOF)
}

func (l *replyLimiter) Read(p []byte) (n int, err error) {
	defer func() { l.readErr = err }()
	if l.pending != "" {
		n := copy(p, l.pending)
		l.pending = l.pending[n:]
		return n, nil
	}
	if l.octets >= maxReply {
		return 0, errReplyTooLong
	}
	room := len(p) - len(p)/4 // for addSpaces
	n, err = l.Conn.Read(p[:min(room, maxReply-l.octets)])
	l.octets += n
	if n > 0 && l.onReply != nil {
		l.onReply()
		l.onReply = nil
	}
	began, bare := l.column, 0
	for i, b := range p[:n] {
		switch {
		case l.done() && l.final && i > 0: // the reply about the mail is whole
			l.excess = true
			return l.addSpaces(p[:i], p, began, bare), nil
		case l.done():
			return 0, errUnsolicited
		}
		if l.column == 3 && (b == '\r' || b == '\n') {
			bare++
		}
		l.scan(b)
	}
	return l.addSpaces(p[:n], p, began, bare), err
}

// addSpaces puts a space after each code without a text. RFC 5321 §4.2 lets a
// server leave out both, but net/textproto requires the space. bare is the
// number of such codes in read, which began at the column. The result goes to p,
// as far as there is room, and its length is returned.
func (l *replyLimiter) addSpaces(read, p []byte, column, bare int) int {
	if bare == 0 {
		return len(read)
	}
	spaced := make([]byte, 0, len(read)+bare)
	for _, b := range read {
		if column == 3 && (b == '\r' || b == '\n') {
			spaced = append(spaced, ' ')
		}
		column++
		if b == '\n' {
			column = 0
		}
		spaced = append(spaced, b)
	}
	n := copy(p, spaced)
	l.pending = string(spaced[n:])
	return n
}

// scan follows the lines of the replies: after a line that begins with "250-"
// another follows.
func (l *replyLimiter) scan(b byte) {
	switch {
	case b == '\n':
		if !l.more {
			l.awaited--
		}
		l.column, l.more = 0, false
		return
	case l.column == 3:
		l.more = b == '-'
	}
	l.column++
}
