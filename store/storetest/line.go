package storetest

import (
	"context"
	"errors"
	"net"
	"sync"
)

// A Line dials the connections of a [Process], and can stop them all. Its Dial goes
// into the client's options: Dialer of go-redis, or DialFunc of pgx. The zero Line is
// ready for use. Its methods are safe for concurrent use.
type Line struct {
	mu      sync.Mutex
	stopped bool
	conns   map[net.Conn]struct{}
}

var errStopped = errors.New("storetest: the process is stopped")

// Dial connects, unless the line is stopped.
func (l *Line) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if err := l.refuses(); err != nil {
		return nil, err
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		_ = c.Close()
		return nil, errStopped
	}
	if l.conns == nil {
		l.conns = map[net.Conn]struct{}{}
	}
	kept := &lineConn{c, l}
	l.conns[kept] = struct{}{}
	return kept, nil
}

func (l *Line) refuses() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return errStopped
	}
	return nil
}

// Stop cuts all connections, and refuses others until Resume.
func (l *Line) Stop() {
	l.mu.Lock()
	l.stopped = true
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}

// Resume ends Stop.
func (l *Line) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = false
}

// A lineConn leaves its line when it is closed.
type lineConn struct {
	net.Conn
	line *Line
}

func (c *lineConn) Close() error {
	c.line.mu.Lock()
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}
