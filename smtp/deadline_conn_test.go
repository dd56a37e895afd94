package smtp

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A slowConn is a connection on which it takes a while to end I/O.
type slowConn struct {
	net.Conn
	last    time.Time // the deadline set last
	release chan struct{}
}

func (s *slowConn) SetDeadline(t time.Time) error {
	if t.Before(time.Now()) && !t.IsZero() {
		<-s.release
	}
	s.last = t
	return nil
}

// A context that ends while its message leaves the connection ends nothing of
// the next message.
func TestDeadlineEndsWithItsMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := &slowConn{release: make(chan struct{})}
		g := &deadlineConn{Conn: conn}
		ctx, cancel := context.WithCancel(t.Context())
		release := g.bind(ctx, time.Time{})
		cancel()
		synctest.Wait()
		next := time.Now().Add(time.Minute)
		go func() {
			release()
			g.setDeadline(next)
		}()
		synctest.Wait()
		close(conn.release)
		synctest.Wait()
		if !conn.last.Equal(next) {
			t.Errorf("the next message has until %v, want %v", conn.last, next)
		}
	})
}
