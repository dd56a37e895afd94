package smpp_test

import (
	"context"
	"errors"
	"fmt"
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

// inAnySecond is the most that came in a second, of times in order.
func inAnySecond(at []time.Time) int {
	most := 0
	for i := range at {
		n := 0
		for _, t := range at[i:] {
			if t.Sub(at[i]) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// The limit holds for all binds together, and for the parts of long messages.
func TestTPS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		tps, parts int
		form       smpp.LongForm
	}{
		{"slow", 5, 1, smpp.LongUDH},
		{"fast", 500, 1, smpp.LongUDH},
		{"parts", 50, 2, smpp.LongUDH},
		{"made by the SMSC", 50, 2, smpp.LongPayload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var at []time.Time
				_, c := newPipe(t, smpptest.Config{Handler: func(smpptest.Submit) smpptest.Reply {
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Now())
					return smpptest.Reply{}
				}}, func(c *smpp.Config) { c.TPS, c.Binds, c.Long = tt.tps, 3, tt.form })
				synctest.Wait()
				began := time.Now()
				text := strings.Repeat("a", 150*tt.parts)
				var wg sync.WaitGroup
				for i := range 10 * tt.tps / tt.parts {
					wg.Go(func() {
						if _, err := c.Send(context.Background(), message(numbered(i), text)); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				most := inAnySecond(at)
				if tt.form == smpp.LongPayload {
					most *= tt.parts
				}
				if most > tt.tps || most < tt.tps*98/100 {
					t.Errorf("%d messages in a second, want %d", most, tt.tps)
				}
				if d := time.Since(began); d < 9700*time.Millisecond || d > 10500*time.Millisecond {
					t.Errorf("ten seconds' messages took %v", d)
				}
				if r := c.State().Rate; r != float64(tt.tps) {
					t.Errorf("rate is %v", r)
				}
			})
		})
	}
}

// A Send that waits for the rate heeds its ctx and was not sent.
func TestTPSHeedsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 1 })
		ready(t, c)
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			wg.Go(func() {
				_, err := c.Send(ctx, message(numbered(i), "482910"))
				if err != nil {
					wantClass(t, err, channel.Throttled, "")
				}
			})
		}
		wg.Wait()
		if n := len(s.Submits()); n != 2 {
			t.Errorf("%d submit_sm in 1.5 s at one a second", n)
		}
		if d := time.Since(began); d > 1500*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

// Messages that have expired hold up none that have not, and end when they do.
func TestTPSHeedsExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 1 })
		ready(t, c)
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var wg sync.WaitGroup
		send := func(expires time.Time, want channel.Class, within time.Duration) {
			wg.Go(func() {
				m := message(ann, "482910")
				m.Expires = expires
				_, err := c.Send(context.Background(), m)
				if d := time.Since(began); channel.ClassOf(err) != want || d > within {
					t.Errorf("message of class %v: %v after %v", want, err, d)
				}
			})
			synctest.Wait() // in line before the next
		}
		for range 10 {
			send(began.Add(-time.Second), channel.Expired, 0)
		}
		go func() { _, _ = c.Send(context.Background(), message(ann, "482910")) }() // at 1 s
		synctest.Wait()
		for range 10 {
			send(began.Add(500*time.Millisecond), channel.Expired, 500*time.Millisecond)
		}
		send(began.Add(1500*time.Millisecond), channel.Throttled, time.Second) // would go at 2 s
		wg.Wait()
		if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > 2*time.Second+time.Millisecond || len(s.Submits()) != 3 {
			t.Errorf("the third message went after %v", d)
		}
	})
}

// Close ends the Sends that wait for the rate, and Shutdown waits for them.
func TestTPSHeedsClose(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end    func(*smpp.Client) error
		want   channel.Class // of those that wait; 0: they go
		within time.Duration
	}{
		"close":    {(*smpp.Client).Close, channel.Temporary, 0},
		"shutdown": {func(c *smpp.Client) error { return c.Shutdown(context.Background()) }, 0, 3 * time.Second},
		"impatient shutdown": {func(c *smpp.Client) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := c.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				return fmt.Errorf("Shutdown: %w", err)
			}
			return nil
		}, channel.Temporary, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 1 })
				ready(t, c)
				if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						_, err := c.Send(context.Background(), message(ann, "482910"))
						switch {
						case tt.want != 0 && (channel.ClassOf(err) != tt.want || !errors.Is(err, smpp.ErrClosed)):
							t.Errorf("Send: %v, want class %v", err, tt.want)
						case tt.want == 0 && err != nil:
							t.Errorf("Send: %v", err)
						}
					})
				}
				synctest.Wait()
				if err := tt.end(c); err != nil {
					t.Error(err)
				}
				wg.Wait()
				if d := time.Since(began); d > tt.within+time.Millisecond {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

// TestThrottlingStorm: far more than the SMSC takes, without a limit set. The
// client finds the SMSC's rate, keeps near it, is told, and is as fast as
// before once the SMSC is.
func TestThrottlingStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		var mu sync.Mutex
		var taken []time.Time
		storm := true
		told := &events{}
		_, c := newPipe(t, smpptest.Config{Handler: func(smpptest.Submit) smpptest.Reply {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			n := 0
			for _, at := range taken[max(0, len(taken)-limit):] {
				if now.Sub(at) < time.Second {
					n++
				}
			}
			if storm && n >= limit {
				return smpptest.Reply{Status: smpp.StatusQueueFull}
			}
			taken = append(taken, now)
			return smpptest.Reply{Delay: time.Millisecond}
		}}, func(c *smpp.Config) { c.Binds, c.Window, c.Event = 2, 50, told.handle })
		ready(t, c)

		load := func(d time.Duration) (sent, throttled int) {
			var wg sync.WaitGroup
			until := time.Now().Add(d)
			for i := range 200 {
				wg.Go(func() {
					for time.Now().Before(until) {
						_, err := c.Send(context.Background(), message(numbered(i), "482910"))
						mu.Lock()
						switch {
						case err == nil:
							sent++
						case errors.Is(err, smpp.StatusQueueFull):
							throttled++
						default:
							t.Error(err)
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			return sent, throttled
		}
		sent, throttled := load(time.Minute)
		if sent < 60*limit*6/10 || throttled > sent/10 {
			t.Errorf("in the storm: %d sent, %d throttled; want most of %d, and few", sent, throttled, 60*limit)
		}
		if told.kinds()[2] != smpp.EventThrottled || told.all[2].Rate < 1 || told.all[2].Rate > limit/2 {
			t.Errorf("the first decrease is %+v, want half of what the SMSC took until then", told.all[2])
		}
		if r := c.State().Rate; r < limit/4 || r > 2*limit {
			t.Errorf("rate after the storm is %v", r)
		}
		t.Logf("storm of a minute at %d/s: %d sent, %d throttled, %d decreases", limit, sent, throttled,
			len(told.all)-2)

		mu.Lock()
		storm = false
		mu.Unlock()
		time.Sleep(time.Minute)
		if r := c.State().Rate; r != 0 {
			t.Errorf("rate is still %v a minute later", r)
		}
		if sent, throttled = load(50 * time.Millisecond); sent < 10*limit || throttled != 0 {
			t.Errorf("afterwards: %d sent, %d throttled", sent, throttled)
		}
	})
}

// A configured TPS is what the rate comes back to.
func TestThrottledBelowTPS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) { c.TPS = 40 })
		ready(t, c)
		send := func(n int) {
			for i := range n {
				if _, err := c.Send(t.Context(), message(numbered(i), "482910")); err != nil {
					wantClass(t, err, channel.Throttled, "0x58")
				}
			}
		}
		send(80)
		s.Next(2, smpptest.Reply{Status: smpp.StatusThrottled}) // counts once
		send(2)
		if r := c.State().Rate; r < 20 || r > 22 {
			t.Errorf("rate is %v, want half of 40", r)
		}
		time.Sleep(5 * time.Second)
		if r := c.State().Rate; r < 29 || r > 31 {
			t.Errorf("5 s later the rate is %v, want 30", r)
		}
		time.Sleep(6 * time.Second)
		if r := c.State().Rate; r != 40 {
			t.Errorf("in the end the rate is %v, want 40", r)
		}
	})
}

// congestion_state of SMPP 5.0 slows down before the SMSC refuses.
func TestCongestionState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state     byte
		low, high float64 // of the rate after 2 s of it, at 100 messages a second
	}{
		{0, 0, 0}, {79, 0, 0}, {80, 60, 95}, {99, 60, 95}, {100, 10, 35},
	} {
		synctest.Test(t, func(t *testing.T) {
			config := peers(t, func(p *peer, _ int) {
				p.bind()
				began := time.Now()
				for f, ok := p.Await(pdu.SubmitSmID); ok; f, ok = p.Await(pdu.SubmitSmID) {
					b := accept(f, "m1")
					if time.Since(began) < time.Second {
						_, _ = p.Write(b)
						continue
					}
					b = wire.TLVs(b).Append(0x0428, []byte{tt.state})
					b[3] = byte(len(b))
					_, _ = p.Write(b)
				}
			})
			config.Version = 0x50
			c := newClient(t, config)
			ready(t, c)
			for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
				if _, err := c.Send(t.Context(), message(ann, "482910")); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if r := c.State().Rate; r < tt.low || r > tt.high {
				t.Errorf("congestion_state %d: rate is %v, want %v to %v", tt.state, r, tt.low, tt.high)
			}
		})
	}
}
