package smtp_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A countedConn tells when it is closed.
type countedConn struct {
	net.Conn
	open *atomic.Int32
	once *sync.Once
}

func (c countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// However connections end, no more than MaxConns are open at once.
func TestMaxConnsAreOpen(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]map[string]string{
		"RSET is refused":              {"RCPT": "550 5.1.1 unknown\r\n", "RSET": "503 5.5.1 no\r\n"},
		"RSET is answered by 421":      {"RCPT": "550 5.1.1 unknown\r\n", "RSET": "421 4.3.2 no\r\n"},
		"RSET is answered by silence":  {"RCPT": "550 5.1.1 unknown\r\n", "RSET": stall},
		"MAIL is answered by 421":      {"MAIL": "421 4.3.2 closing\r\n"},
		"the dot is answered by a 5xx": {".": "554 5.6.0 no\r\n"},
		"hanging up after the dot":     {".": hangUp},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(script)
					var open, most atomic.Int32
					dial := c.Dial
					c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
						conn, err := dial(ctx, network, addr)
						most.Store(max(most.Load(), open.Add(1))) // one message after the other
						return countedConn{conn, &open, new(sync.Once)}, err
					}
					c.MaxConns = 1
					sendAll(t, f, c, 4)
					if most.Load() != 1 || open.Load() != 0 {
						t.Errorf("%d connections were open at once, and %d in the end", most.Load(), open.Load())
					}
				})
			})
		})
	}
}
