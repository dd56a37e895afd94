package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// ask sends one command over a connection of its own and returns the reply as
// text, the elements of an array on a line each. It is all of a client that
// setting servers up takes.
func ask(addr string, command ...string) (string, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	return reply(bufio.NewReader(conn))
}

func reply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("empty reply")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n > 1<<20 {
		return "", fmt.Errorf("reply %q", line)
	}
	if n < 0 { // null
		return "", nil
	}
	if kind == '$' {
		text := make([]byte, n+2) // with its line end
		_, err := io.ReadFull(r, text)
		return string(text[:n]), err
	}
	var all []string
	for range n {
		element, err := reply(r)
		if err != nil {
			return "", err
		}
		all = append(all, element)
	}
	return strings.Join(all, "\n"), nil
}
