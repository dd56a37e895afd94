package smtp_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/smtp"
)

// A busyRelay allows few connections at once, and refuses a further one in a step
// by reply.
type busyRelay struct {
	*fake
	allowed atomic.Int32
	open    atomic.Int32
	refused atomic.Int32
}

func (b *busyRelay) dial(t *testing.T, step, reply string) func(context.Context, string, string) (net.Conn, error) {
	willing := b.fake
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		f := willing
		if b.open.Add(1) > b.allowed.Load() {
			b.refused.Add(1)
			if step == "dial" {
				b.open.Add(-1)
				return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("connection refused")}
			}
			f = &fake{
				script: map[string]string{step: reply}, certificate: willing.certificate, done: willing.done,
				pipelining: willing.pipelining,
			}
			if step == "dial silently" {
				f.script = map[string]string{"greeting": stall}
			}
		}
		conn, err := f.dial(ctx, network, addr)
		if f != willing {
			t.Cleanup(func() { f.serve.Wait() })
		}
		return countedConn{conn, &b.open, new(sync.Once)}, err
	}
}

// While the relay allows fewer connections than MaxConns, each message goes out,
// over those that it allows.
func TestFewerConnectionsThanMaxConns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step, reply string
		allowed     int32
	}{
		{"greeting", "421 4.3.2 The maximum number of concurrent connections has exceeded a limit\r\n", 3},
		{"greeting", "421 4.7.0 mx Error: too many connections from 192.0.2.1\r\n", 1},
		{"greeting", "554 too many connections\r\n", 2},
		{"greeting", hangUp, 3},
		{"EHLO", "421 4.7.0 too many\r\n", 3},
		{"EHLO+", "421 4.7.0 too many\r\n", 3},
		{"AUTH", "421 4.7.0 Maximum number of connections from user+IP exceeded\r\n", 3},
		{"AUTH", "454 4.7.0 Temporary authentication failure: too many sessions\r\n", 3},
		{"AUTH", hangUp, 3},
		{"MAIL", "421 4.7.0 too many\r\n", 3},
		{"MAIL", hangUp, 3},
		{"MAIL", "450 4.7.0 Too many concurrent connections\r\n", 3},
		{"RCPT", "451 4.7.1 Too many connections from your host\r\n", 2},
		{"DATA", "452 4.3.2 connection limit\r\n", 3},
		{".", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded\r\n", 3},
		{".", "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending\r\n", 3},
		{"dial", "", 3},
		{"dial silently", "", 3},
	} {
		t.Run(tt.step+" "+strings.Trim(tt.reply, "\x00\r\n"), func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					f.slow = 20 * time.Millisecond
					b := &busyRelay{fake: f}
					b.allowed.Store(tt.allowed)
					c.Dial = b.dial(t, tt.step, tt.reply)
					sendEagerly(t, c)
					f.stop()
					t.Logf("%d connections were refused", b.refused.Load())
					if b.refused.Load() > 60 {
						t.Errorf("%d connections were refused", b.refused.Load())
					}
				})
			})
		})
	}
}

// sendEagerly sends 400 messages by 8 senders through a failover.
func sendEagerly(t *testing.T, c smtp.Config) {
	t.Helper()
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	route := byFailover(t, ch)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				m := message(fmt.Sprintf("w%d-%d.1", w, i))
				m.Expires = time.Time{}
				if _, err := route.Send(t.Context(), m); err != nil {
					t.Errorf("%s: %v", m.ID, err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	for _, h := range route.Health() {
		if h.Open {
			t.Error("the failover's breaker is open")
		}
	}
}

// Once the relay allows more connections, they are used.
func TestOneMoreConnectionIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(nil)
		f.slow = 20 * time.Millisecond
		b := &busyRelay{fake: f}
		b.allowed.Store(2)
		c.Dial = b.dial(t, "greeting", "421 4.7.0 too many\r\n")
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		var most atomic.Int32
		send := func(during time.Duration) {
			most.Store(0)
			begun := time.Now()
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := 0; time.Since(begun) < during; i++ {
						if _, err := ch.Send(t.Context(), message(fmt.Sprintf("w%d-%d.1", w, i))); err != nil {
							t.Error(err)
						}
						if n := b.open.Load(); n > most.Load() {
							most.Store(n)
						}
					}
				})
			}
			wg.Wait()
		}
		send(5 * time.Second)
		b.allowed.Store(8)
		send(30 * time.Second)
		if most.Load() != 8 {
			t.Errorf("%d connections at once in the end, want 8", most.Load())
		}
		_ = ch.Close()
		f.stop()
	})
}

// A connection carries MaxMessages; by default ten if the relay may be an Exim.
func TestMaxMessages(t *testing.T) {
	t.Parallel()
	const exim = "250-exim Hello\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 " +
		"HELP\r\n"
	for _, tt := range []struct {
		ehlo  string
		max   int
		dials int
	}{
		{"", 0, 1}, {"", 5, 10}, {exim, 0, 5}, {exim, 50, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			script := map[string]string{"EHLO+": tt.ehlo}
			if tt.ehlo == "" {
				script = nil
			}
			f, c := newFake(script)
			c.MaxMessages = tt.max
			for i, class := range sendAll(t, f, c, 50) {
				if class != "" {
					t.Errorf("message %d: %s", i, class)
				}
			}
			if f.dials != tt.dials || countOf(f.commands(), "QUIT+") != tt.dials {
				t.Errorf("%+v: %d connections, %d of them left by QUIT", tt, f.dials, countOf(f.commands(), "QUIT+"))
			}
		})
	}
}

// A few wrong addresses in a row end a connection, before a relay slows it down.
func TestFewRefusalsEndAConnection(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newFake newFakeFunc) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(nil)
			defer f.stop()
			f.reject = func(line string) string {
				if strings.HasPrefix(line, "RCPT TO:<nobody") {
					return "550 5.1.1 unknown\r\n"
				}
				return ""
			}
			ch, err := smtp.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = ch.Close() }()
			for i, wrong := range []bool{true, true, false, true, true, true, false} {
				m := message(fmt.Sprint("few.", i))
				if wrong {
					m.To.Email = "nobody@example.com"
				}
				if _, err := ch.Send(t.Context(), m); (err != nil) != wrong {
					t.Errorf("message %d: %v", i, err)
				}
				if want := 1 + i/6; f.dials != want {
					t.Errorf("%d connections after message %d, want %d", f.dials, i, want)
				}
			}
		})
	})
}
