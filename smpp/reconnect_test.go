package smpp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/internal/wire"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func TestReconnectBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials []time.Time
		newClient(t, smpp.Config{
			Addr: "smsc.example:2775", DangerouslyPlaintext: true,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				dials = append(dials, time.Now())
				return nil, errors.New("connection refused")
			},
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		nominal := 500 * time.Millisecond
		for i := 1; i < len(dials); i++ {
			if gap := dials[i].Sub(dials[i-1]); gap < nominal/2 || gap > nominal*3/2+time.Microsecond {
				t.Errorf("pause %d is %v, want %v ± 50 %%", i, gap, nominal)
			}
			nominal = min(2*nominal, 30*time.Second)
		}
		if n := len(dials); n < 90 || n > 250 {
			t.Errorf("%d tries in an hour", n)
		}
	})
}

// An SMSC that takes the bind and hangs up must not be hammered either.
func TestShortSessionsBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var binds int
		newClient(t, peers(t, func(p *peer, _ int) {
			p.bind()
			binds++
		}))
		time.Sleep(time.Hour)
		synctest.Wait()
		if binds < 90 || binds > 250 {
			t.Errorf("%d binds in an hour", binds)
		}
	})
}

func TestSendWaitsForBind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := smpptest.NewPipeServer(smpptest.Config{})
		t.Cleanup(s.Close)
		config := piped(s)
		config.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(3 * time.Second)
			return s.Dial(ctx, network, addr)
		}
		c := newClient(t, config)
		began := time.Now()
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		took(t, began, 3*time.Second)
	})
}

func TestBindTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, peers(t, func(p *peer, _ int) { p.Drain() }))
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second+time.Millisecond)
		defer cancel()
		err := c.Ready(ctx)
		wantClass(t, err, channel.Temporary, "")
		if !strings.Contains(err.Error(), "bind_transceiver") || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
	})
}

// 0x04 for a message means that no other would fare better on this session.
func TestNotBoundStatusRebinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, nil)
		s.On(ann, smpptest.Reply{Status: smpp.StatusInvalidBindStatus}, smpptest.Reply{})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "0x04")
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if n := len(s.Binds()); n != 2 {
			t.Errorf("%d binds, want 2", n)
		}
	})
}

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
			if n := seen[to]; n > 1 || err == nil && n != 1 || err != nil &&
				channel.ClassOf(err) == channel.Temporary && n != 0 {
				t.Errorf("%s was submitted %d times and reported as %v", to, n, err)
			}
		}
		if conns < reconnects || counts["sent"] < 3*reconnects ||
			counts["sent"]+counts["unknown"]+counts["temporary"] != 8000 {
			t.Errorf("over %d connections: %v", conns, counts)
		}
		t.Logf("over %d connections: %v", conns, counts)
	})
}
