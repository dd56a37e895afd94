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

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/peertest"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// TestThousandReconnects loses a connection a thousand times over, by turns
// closed at once, unbound by the SMSC, and cut within a response, with messages
// on their way all the time.
func TestThousandReconnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const reconnects = 1000
		var mu sync.Mutex
		seen := make(map[string]int)
		var conns int
		config := peers(t, func(p *peer, n int) {
			p.bind()
			mu.Lock()
			conns = n
			mu.Unlock()
			for taken := 0; taken < 3 || n > reconnects; taken++ {
				f, ok := p.Await(pdu.SubmitSmID)
				if !ok {
					return
				}
				m, err := wire.DecodeMessage(f.Body)
				if err != nil {
					t.Errorf("submit_sm: %v", err)
					return
				}
				mu.Lock()
				seen["+"+m.Dest.Digits]++
				mu.Unlock()
				_, _ = p.Write(accept(f, "m1"))
			}
			switch n % 3 {
			case 0:
				_, _ = p.Write(wire.AppendEmpty(nil, pdu.UnbindID, 0, 1))
				p.Drain()
			case 1:
				_, _ = p.Write(accept(wire.Frame{}, "m1")[:17])
			}
		})
		config.ReconnectMin, config.ReconnectMax = time.Millisecond, time.Millisecond
		config.Binds = 2
		c := newClient(t, config)
		all := map[string]error{}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := range 2000 {
					to := numbered(w*2000 + i)
					_, err := c.Send(context.Background(), message(to, "482910"))
					mu.Lock()
					all[to] = err
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		counts := map[string]int{}
		for to, err := range all {
			class := "sent"
			if err != nil {
				class = channel.ClassOf(err).String()
			}
			counts[class]++
			if n := seen[to]; n > 1 || err == nil && n != 1 || err != nil && channel.ClassOf(err) == channel.Temporary && n != 0 {
				t.Errorf("%s was submitted %d times and reported as %v", to, n, err)
			}
		}
		if conns < reconnects || counts["sent"] < 3*reconnects || counts["sent"]+counts["unknown"]+counts["temporary"] != 8000 {
			t.Errorf("over %d connections: %v", conns, counts)
		}
		t.Logf("over %d connections: %v", conns, counts)
	})
}

// The SMSC unbinds with a full window, answers half of it, and closes: half is
// sent, half unknown, and what waited behind goes over the next session.
func TestUnbindMidWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const window, behind = 10, 5
		config := peers(t, func(p *peer, n int) {
			p.bind()
			if n > 1 {
				for f, ok := p.Await(pdu.SubmitSmID); ok; f, ok = p.Await(pdu.SubmitSmID) {
					_, _ = p.Write(accept(f, "second"))
				}
				return
			}
			var all []wire.Frame
			for range window {
				f, _ := p.Await(pdu.SubmitSmID)
				all = append(all, f)
			}
			_, _ = p.Write(wire.AppendEmpty(nil, pdu.UnbindID, 0, 1))
			p.Await(pdu.UnbindRespID)
			for _, f := range all[:window/2] {
				_, _ = p.Write(accept(f, "first"))
			}
			time.Sleep(time.Second)
		})
		c := newClient(t, config)
		ready(t, c)
		var mu sync.Mutex
		counts := map[string]int{}
		var wg sync.WaitGroup
		for i := range window + behind {
			wg.Go(func() {
				sub, err := c.Send(context.Background(), message(numbered(i), "482910"))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					counts[channel.ClassOf(err).String()]++
				} else {
					counts[sub.ProviderIDs[0]]++
				}
			})
		}
		wg.Wait()
		if counts["first"] != window/2 || counts["unknown"] != window/2 || counts["second"] != behind {
			t.Errorf("outcomes are %v", counts)
		}
	})
}

// A connection whose other end is gone without a word: what is outstanding is
// unknown after ResponseTimeout, the connection is given up after an
// enquire_link, and the next one serves.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var gone time.Time
		var second time.Duration
		config := peers(t, func(p *peer, n int) {
			p.bind()
			if n > 1 {
				second = time.Since(gone)
			}
			for f := p.Next(); f.ID != 0; f = p.Next() {
				switch {
				case n == 1 && !gone.IsZero(): // it reads, as a network's buffers do, and that is all
				case f.ID == pdu.SubmitSmID:
					_, _ = p.Write(accept(f, "m1"))
				case !f.IsResponse():
					_, _ = p.Write(peertest.Answer(f))
				}
			}
		})
		c := newClient(t, config)
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(70 * time.Second) // two enquire_link were answered
		synctest.Wait()
		gone = time.Now()
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
		took(t, gone, 10*time.Second)
		time.Sleep(time.Minute - time.Since(gone))
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if second != 30*time.Second { // the enquire_link at 90 s, unanswered for 10 s
			t.Errorf("bound again after %v, want 30 s", second)
		}
	})
}

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
			slow := limitedClient(t, 10*time.Minute, 5*time.Minute, func(c *smpp.Config) { c.EnquireLink = 2 * time.Minute })
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
