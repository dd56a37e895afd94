package smtp

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"unicode/utf8"
)

// A scriptedConn gives what a server says, some octets at a time.
type scriptedConn struct {
	net.Conn
	said  []byte
	chunk int
}

func (c *scriptedConn) Read(p []byte) (int, error) {
	if len(c.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.said[:min(len(c.said), c.chunk)])
	c.said = c.said[n:]
	return n, nil
}

// However a reply arrives, and however small the reader's buffer is, a bare code
// gets its space, and nothing else changes.
func FuzzBareReplies(f *testing.F) {
	f.Add([]byte("250\r\n"), 1, 4096)
	f.Add([]byte("250-\r\n250-SIZE\r\n250\n"), 3, 2)
	f.Add([]byte("354\n"), 100, 1)
	f.Add([]byte("250-a\r\n250\r\n"), 7, 5)
	f.Fuzz(func(t *testing.T, said []byte, chunk, room int) {
		if chunk < 1 || room < 1 || chunk > 1<<12 || room > 1<<12 || len(said) > 1<<12 {
			return
		}
		l := newReplyLimiter(&scriptedConn{said: said, chunk: chunk})
		l.awaited = 1 << 20
		var got []byte
		p := make([]byte, room)
		for {
			n, err := l.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				break
			}
		}
		var want []byte
		for line := range bytes.Lines(said) {
			switch text := bytes.TrimRight(line, "\r\n"); {
			case len(text) < 3 && len(line) > 3: // no reply has a code of two digits
				return
			case len(text) == 3 && len(line) > 3:
				line = append(append(bytes.Clone(text), ' '), line[3:]...)
			}
			want = append(want, line...)
		}
		if !bytes.ContainsRune(bytes.ReplaceAll(said, []byte("\r\n"), nil), '\r') && !bytes.Equal(got, want) {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	})
}

// Whatever a relay replies to a mail, its id is short and plain.
func FuzzProviderID(f *testing.F) {
	for _, said := range []string{
		"2.0.0 Ok: queued as 4XyZ12", "OK id=1tBcDe-0000000012x-2abC", "Ok " + idOfSES, "Message Queued (A-1.1)",
		"2.0.0 OK 1700000000 d9443c01a7336-1234 - gsmtp", "2.0.0 3ATHx0Yz012345 Message accepted for delivery", "\n\n<",
		"\xe1 id=",
	} {
		f.Add(said)
	}
	f.Fuzz(func(t *testing.T, said string) {
		id := providerID(said)
		if len(id) > maxProviderID || !utf8.ValidString(id) ||
			strings.ContainsFunc(id, func(r rune) bool { return !isIDChar(r) }) {
			t.Errorf("%q: %q", said, id)
		}
	})
}
