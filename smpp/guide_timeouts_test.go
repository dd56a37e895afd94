package smpp_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A limited SMSC keeps the limits of OTP Blue's integration guide, and counts
// whom it had to cut off.
type limited struct {
	mu          sync.Mutex
	now         int // connections
	most        int
	binds       []time.Duration // after connecting
	cutInactive int
	cutAged     int
	cutPreBind  int
}

func (l *limited) serve(p *peer) {
	connected := time.Now()
	bound := false
	for {
		limit := 90 * time.Second
		if !bound {
			limit = 30 * time.Second
		}
		deadline := time.Now().Add(limit)
		if end := connected.Add(24 * time.Hour); end.Before(deadline) {
			deadline = end
		}
		_ = p.SetReadDeadline(deadline)
		f, err := p.In.Next()
		l.mu.Lock()
		switch timeout := net.Error(nil); {
		case err == nil:
		case !errors.As(err, &timeout) || !timeout.Timeout():
		case time.Since(connected) >= 24*time.Hour:
			l.cutAged++
		case bound:
			l.cutInactive++
		default:
			l.cutPreBind++
		}
		if err == nil && f.ID == pdu.BindTransceiverID {
			bound = true
			l.binds = append(l.binds, time.Since(connected))
		}
		l.mu.Unlock()
		switch {
		case err != nil:
			return
		case f.ID == pdu.SubmitSmID:
			_, _ = p.Write(accept(f, "m1"))
		case !f.IsResponse():
			_, _ = p.Write(peertest.Answer(f))
		}
		if f.ID == pdu.UnbindID {
			return
		}
	}
}

func (l *limited) enter() {
	time.Sleep(time.Nanosecond) // in which a connection that was closed at this moment has left
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now++
	l.most = max(l.most, l.now)
}

func (l *limited) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now--
}

// limitedClient runs a client for d against a limited SMSC, with a message
// every so often, all of which must be taken.
func limitedClient(t *testing.T, d, every time.Duration, edit func(*smpp.Config)) *limited {
	t.Helper()
	l := &limited{}
	config := peers(t, func(p *peer, _ int) {
		l.enter()
		defer l.leave()
		l.serve(p)
	})
	if edit != nil {
		edit(&config)
	}
	c := newClient(t, config)
	for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(every) {
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Errorf("Send: %v", err)
		}
	}
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	return l
}

// TestGuideTimeouts and TestGuideConnectionLimits have a case for each row of
// the tables of timeouts and of connection limits in OTP Blue's integration
// guide: the SMSC enforces them, and never has to.
func TestGuideTimeouts(t *testing.T) {
	t.Parallel()
	t.Run("Pre-bind 30 seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := limitedClient(t, time.Minute, time.Second, nil)
			if l.cutPreBind != 0 || !slices.Equal(l.binds, []time.Duration{0}) {
				t.Errorf("%d cut off, binds came after %v", l.cutPreBind, l.binds)
			}
		})
	})
	t.Run("Inactivity 90 seconds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := limitedClient(t, 20*time.Hour, 5*time.Hour, nil)
			if l.cutInactive != 0 || len(l.binds) != 1 {
				t.Errorf("%d cut off, %d binds", l.cutInactive, len(l.binds))
			}
			slow := limitedClient(t, 10*time.Minute, 5*time.Minute,
				func(c *smpp.Config) { c.EnquireLink = 2 * time.Minute })
			if slow.cutInactive == 0 {
				t.Error("with an enquire_link every 2 min nobody was cut off: the test shows nothing")
			}
		})
	})
	t.Run("Max session duration 24 hours", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := limitedClient(t, 10*24*time.Hour, time.Hour, nil)
			if l.cutAged != 0 || len(l.binds) != 11 {
				t.Errorf("%d cut off, %d binds in 10 days", l.cutAged, len(l.binds))
			}
		})
	})
}

func TestGuideConnectionLimits(t *testing.T) {
	t.Parallel()
	t.Run("Max concurrent connections: no more than Binds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			l := limitedClient(t, 3*24*time.Hour, time.Hour, func(c *smpp.Config) { c.Binds = 3 })
			if l.most != 3 || l.now != 0 {
				t.Errorf("%d connections at most, %d in the end", l.most, l.now)
			}
		})
	})
	t.Run("Max concurrent connections reached: closed at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var dials atomic.Int32
			var open atomic.Bool
			s := smpptest.NewPipeServer(smpptest.Config{})
			t.Cleanup(s.Close)
			config := piped(s)
			config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				if open.Load() {
					return s.Dial(ctx, network, addr)
				}
				client, server := net.Pipe()
				server.Close()
				return client, nil
			}
			c := newClient(t, config)
			time.Sleep(10 * time.Minute)
			if n := dials.Load(); n > 60 {
				t.Errorf("%d connections in 10 min", n)
			}
			open.Store(true)
			time.Sleep(time.Minute)
			if err := c.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
}
