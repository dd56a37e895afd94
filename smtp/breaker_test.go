package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// A relay that fails again and again is left alone for a while, and then tried
// with one message. What it says of messages is no fault.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := twoRelays(map[string]string{"greeting": "421 4.3.2 down\r\n"},
			map[string]string{"RCPT": "550 5.1.1 unknown\r\n"})
		defer a.stop()
		defer b.stop()
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		send := func(n int) {
			for i := range n {
				_, err := ch.Send(t.Context(), message(fmt.Sprint("breaker.", i)))
				if channel.ClassOf(err) != channel.InvalidRecipient { // b's: it has looked at the message
					t.Errorf("error %v", err)
				}
			}
		}
		send(20)
		if a.dials != 5 || b.dials != 7 { // three refusals each
			t.Errorf("%d connections to the first and %d to the second, want 5 and 7", a.dials, b.dials)
		}
		time.Sleep(5*time.Second + 1)
		send(3)
		if a.dials != 6 {
			t.Errorf("%d connections to the first after a pause, want 6", a.dials)
		}
		a.mu.Lock()
		a.script = nil // it is up again
		a.mu.Unlock()
		time.Sleep(5*time.Second + 1)
		for range 3 {
			if _, err := ch.Send(t.Context(), message("up.1")); err != nil {
				t.Errorf("after it is up: %v", err)
			}
		}
	})
}

// A relay that refuses us at every message is left alone, too, and while it is
// the error says why, and when to come again.
func TestBreakerKeepsTheReason(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		command, reply string
		class          channel.Class
		code           string
	}{
		{"AUTH", "535 5.7.8 no\r\n", channel.Misconfigured, "5.7.8"},
		{"MAIL", "530 5.7.0 log in first\r\n", channel.Misconfigured, "5.7.0"},
		{"RCPT", "421 4.3.2 closing\r\n", channel.Temporary, "4.3.2"},
	} {
		t.Run(tt.command+" "+tt.code, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(map[string]string{tt.command: tt.reply})
					defer f.stop()
					ch, err := smtp.New(c)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = ch.Close() }()
					for i := range 6 {
						m := message("open.1")
						m.To.Email = fmt.Sprintf("person%d@example.com", i)
						_, err := ch.Send(t.Context(), m)
						var e *channel.Error
						if !errors.As(err, &e) || e.Class != tt.class || e.Code != tt.code ||
							(e.RetryAfter > 0) != (i == 5) {
							t.Errorf("message %d: %v", i, err)
						}
					}
					if n := countOf(f.commands(), tt.command+"+"); n != 5 {
						t.Errorf("tried %d times, want 5", n)
					}
				})
			})
		})
	}
}

// A relay that refuses message after message does its work.
func TestRefusalsDoNotBreak(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, newFake newFakeFunc) {
		synctest.Test(t, func(t *testing.T) {
			f, c := newFake(map[string]string{"RCPT": "550 5.1.1 unknown\r\n"})
			for i, class := range sendAll(t, f, c, 10) {
				if class != "invalid recipient" {
					t.Errorf("message %d: %s", i, class)
				}
			}
			if f.dials != 4 { // three refusals each
				t.Errorf("%d connections, want 4", f.dials)
			}
		})
	})
}

// A caller who gives up is no fault of the relay, unless that has had its time.
func TestCancelledSendsDoNotBreak(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		cancel, deadline time.Duration
		dials            int
	}{
		{"cancelled early", 200 * time.Millisecond, time.Minute, 10},
		{"cancelled late", 2 * time.Second, time.Minute, 10},
		{"short deadline", time.Minute, 200 * time.Millisecond, 10},
		{"long deadline", time.Minute, 2 * time.Second, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(map[string]string{"RCPT": stall})
				defer f.stop()
				ch, err := smtp.New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ch.Close() }()
				for i := range 10 {
					ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
					stop := time.AfterFunc(tt.cancel, cancel)
					m := message("early.1")
					m.To.Email = fmt.Sprintf("person%d@example.com", i)
					_, err := ch.Send(ctx, m)
					stop.Stop()
					cancel()
					if err == nil {
						t.Fatal("no error")
					}
				}
				if f.dials != tt.dials {
					t.Errorf("%d connections, want %d", f.dials, tt.dials)
				}
			})
		})
	}
}
