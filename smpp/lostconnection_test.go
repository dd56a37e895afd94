package smpp_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// tally is what became of each Send, by destination.
type tally struct {
	mu  sync.Mutex
	all map[string]error
}

func (y *tally) add(to string, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.all == nil {
		y.all = make(map[string]error)
	}
	y.all[to] = err
}

// check compares what each Send said with what the SMSC saw.
func (y *tally) check(t *testing.T, s *smpptest.Server) (unknown, temporary int) {
	t.Helper()
	seen := make(map[string]int)
	for _, m := range s.Submits() {
		seen[m.To]++
	}
	for to, err := range y.all {
		n := seen[to]
		switch {
		case n > 1:
			t.Errorf("%s was submitted %d times", to, n)
		case err == nil && n != 1:
			t.Errorf("%s is sent but was submitted %d times", to, n)
		case err == nil:
		case channel.ClassOf(err) == channel.Unknown:
			unknown++
		case channel.ClassOf(err) == channel.Temporary:
			temporary++
			if n != 0 {
				t.Errorf("%s is not sent (%v) but was submitted", to, err)
			}
		default:
			t.Errorf("%s: unexpected %v", to, err)
		}
	}
	return unknown, temporary
}

// TestKillWithFullWindow kills the connection with 100 messages outstanding
// and 50 behind them.
func TestKillWithFullWindow(t *testing.T) {
	t.Parallel()
	const window, behind = 100, 50
	s := newServer(t, smpptest.Config{Handler: func(m smpptest.Submit) smpptest.Reply {
		return smpptest.Reply{Stall: m.Conn == 1}
	}})
	config := plain(s)
	config.Window, config.ReconnectMin = window, time.Millisecond
	c := newClient(t, config)
	var y tally
	var wg sync.WaitGroup
	for i := range window + behind {
		wg.Go(func() {
			to := numbered(i)
			_, err := c.Send(t.Context(), message(to, "482910"))
			y.add(to, err)
		})
	}
	waitSubmits(t, s, window)
	s.Disconnect()
	wg.Wait()
	unknown, temporary := y.check(t, s)
	if len(y.all) != window+behind || unknown != window || temporary != 0 {
		t.Errorf("%d ended, %d unknown, %d temporary; want %d, %d, 0", len(y.all), unknown, temporary, window+behind,
			window)
	}
}

// TestKillsUnderLoad kills connections again and again while messages flow.
func TestKillsUnderLoad(t *testing.T) {
	t.Parallel()
	s := smpptest.NewTLSServer(smpptest.Config{})
	t.Cleanup(s.Close)
	c := newClient(t, smpp.Config{
		Addr: s.Addr, TLS: s.ClientTLS(), Window: 20, ReconnectMin: time.Microsecond, ReconnectMax: time.Millisecond,
		Receipt: newReceipts().handle,
	})
	var y tally
	var wg sync.WaitGroup
	for w := range 40 {
		wg.Go(func() {
			for i := range 50 {
				to := numbered(w*50 + i)
				_, err := c.Send(t.Context(), message(to, "482910"))
				y.add(to, err)
			}
		})
	}
	for i := range 20 {
		waitSubmits(t, s, 50*i+1)
		s.Disconnect()
	}
	wg.Wait()
	unknown, temporary := y.check(t, s)
	t.Logf("%d sent: %d unknown, %d temporary, over %d binds", len(y.all), unknown, temporary, len(s.Binds()))
	if len(y.all) != 2000 {
		t.Errorf("%d Sends ended, want 2000", len(y.all))
	}
}

func TestCloseWithFullWindow(t *testing.T) {
	t.Parallel()
	s := newServer(t, smpptest.Config{Handler: func(smpptest.Submit) smpptest.Reply {
		return smpptest.Reply{Stall: true}
	}})
	c := newClient(t, plain(s))
	var y tally
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			_, err := c.Send(t.Context(), message(numbered(i), "482910"))
			if err == nil || channel.ClassOf(err) == channel.Temporary && !errors.Is(err, smpp.ErrClosed) {
				t.Errorf("Send: %v", err)
			}
			y.add(numbered(i), err)
		})
	}
	waitSubmits(t, s, 10)
	c.Close()
	wg.Wait()
	if unknown, temporary := y.check(t, s); unknown != 10 || temporary != 20 {
		t.Errorf("%d unknown, %d temporary; want 10, 20", unknown, temporary)
	}
}

// TestCutResponse ends the connection within a response, at every octet.
func TestCutResponse(t *testing.T) {
	t.Parallel()
	s := newServer(t, smpptest.Config{})
	config := plain(s)
	config.ReconnectMin, config.ReconnectMax = time.Microsecond, time.Microsecond
	c := newClient(t, config)
	for octets := range 18 {
		s.Next(1, smpptest.Reply{Hangup: true, HangupAfter: octets})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Unknown, "")
	}
	if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
		t.Error(err)
	}
}
