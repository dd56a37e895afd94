package smtp_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/smtp"
)

// refusalsOfOne are what real servers say at RCPT about one address.
var refusalsOfOne = []string{
	"504 5.5.2 <x@localhost>: Recipient address rejected: need fully-qualified address",
	"504 <x@localhost>: need fully-qualified address",
	"550 5.5.0 Recipient address rejected",
	"550 5.7.1 <x@localhost>: Recipient address rejected: Access denied",
	"554 5.7.1 <x@localhost>: Recipient address rejected: Access denied",
	"550 Unrouteable address",
	"554 no",
	"500 what?",
	"501 Bad recipient address syntax",
	"501 5.1.3 Bad recipient address syntax",
	"501 <x@localhost>: recipient address must contain a domain",
	"530 5.7.0 Authentication required for this recipient",
	"553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
	"551 we do not relay",
	"550 5.4.1 Recipient address rejected: Access denied",
	"421 4.7.0 closing",
	"451 4.3.0 lookup failure",
	hangUp,
}

// byFailover is a failover with one route.
func byFailover(t *testing.T, ch *smtp.Channel) *failover.Channel {
	t.Helper()
	route, err := failover.New(failover.Config{
		Router: failover.List(channel.Route{Name: "email", Channel: ch, Address: channel.Email}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return route
}

// One person's address never closes the route for everybody, however often it is
// asked for, and wherever in the transaction the relay refuses it.
func TestOneAddressNeverClosesTheRoute(t *testing.T) {
	t.Parallel()
	for _, reply := range refusalsOfOne {
		for _, step := range []string{"RCPT", "."} {
			t.Run(step+" "+strings.Trim(reply, "\x00"), func(t *testing.T) {
				bothWays(t, func(t *testing.T, newFake newFakeFunc) {
					synctest.Test(t, func(t *testing.T) { testOneAddress(t, newFake, step, reply) })
				})
			})
		}
	}
}

func testOneAddress(t *testing.T, newFake newFakeFunc, step, reply string) {
	f, c := newFake(nil)
	defer f.stop()
	theirs := false // the transaction is that of the address
	f.reject = func(line string) string {
		if strings.HasPrefix(line, "RCPT") {
			theirs = strings.HasPrefix(line, "RCPT TO:<x@localhost>")
		}
		if !theirs || !strings.HasPrefix(line, step) {
			return ""
		}
		if reply == hangUp {
			return hangUp
		}
		return reply + "\r\n"
	}
	ch, err := smtp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	route := byFailover(t, ch)
	for i := range 7 {
		m := message(fmt.Sprint("theirs.", i))
		m.To.Email = "x@localhost"
		if _, err := route.Send(t.Context(), m); err == nil || channel.ClassOf(err) == channel.Misconfigured {
			t.Errorf("the address: %v", err)
		}
	}
	if _, err := ch.Send(t.Context(), message("ours.1")); err != nil {
		t.Errorf("the next person: %v", err)
	}
	if _, err := route.Send(t.Context(), message("ours.2")); err != nil {
		t.Errorf("the next person, by the failover: %v", err)
	}
}

// The same refusal of several people, while the relay takes nobody's mail, shows
// that the relay refuses us.
func TestRefusalOfEverybodyIsMisconfigured(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, step, reply, to string
		accepts               int // every how many messages one is taken; 0: none
		want                  channel.Class
		within                int // messages
	}{
		{"relay denied", "RCPT", "554 5.7.1 Relay access denied", "p%d@d%[1]d.example", 0, channel.Misconfigured, 3},
		{"relay denied, one domain", "RCPT", "550 relaying denied", "p%d@example.com", 0, channel.Misconfigured, 5},
		{"log in first", "RCPT", "530 5.7.0 Authentication required", "p%d@d%[1]d.example", 0, channel.Misconfigured,
			3},
		{"unauthenticated", ".", "550 5.7.26 unauthenticated", "p%d@d%[1]d.example", 0, channel.Misconfigured, 3},
		{"one is taken", "RCPT", "554 5.7.1 Access denied", "p%d@d%[1]d.example", 3, channel.Unreachable, 12},
		{"malformed addresses", "RCPT", "504 5.5.2 need fully-qualified address", "p%d@localhost", 0,
			channel.Unreachable, 12},
		{"unknown users", "RCPT", "550 5.1.1 unknown", "p%d@example.com", 0, channel.InvalidRecipient, 12},
		{"full mailboxes", "RCPT", "552 5.2.2 full", "p%d@example.com", 0, channel.Unreachable, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					defer f.stop()
					sent, step := 0, tt.step
					f.reject = func(line string) string {
						if !strings.HasPrefix(line, step) || tt.accepts != 0 && sent%tt.accepts == 0 {
							return ""
						}
						return tt.reply + "\r\n"
					}
					ch, err := smtp.New(c)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = ch.Close() }()
					for sent = 1; sent <= tt.within; sent++ {
						m := message(fmt.Sprint("all.", sent))
						m.To.Email = fmt.Sprintf(tt.to, sent)
						_, err = ch.Send(t.Context(), m)
						if sent < tt.within && err != nil && tt.within < 12 && channel.ClassOf(err) == tt.want {
							t.Errorf("message %d: %v", sent, err)
						}
						if tt.within == 12 && err != nil && channel.ClassOf(err) != tt.want {
							t.Errorf("message %d: %v, want class %v", sent, err, tt.want)
						}
					}
					if tt.within < 12 && channel.ClassOf(err) != tt.want {
						t.Errorf("%v, want class %v", err, tt.want)
					}
				})
			})
		})
	}
}

// A relay that is restarted is tried again soon: the breaker's first pauses are
// short.
func TestRestartCostsItsTimeOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(map[string]string{"greeting": hangUp})
		defer f.stop()
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		begun := time.Now()
		up := time.AfterFunc(700*time.Millisecond, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.script = nil
		})
		defer up.Stop()
		for i := 0; ; i++ {
			if _, err := ch.Send(t.Context(), message(fmt.Sprint("restart.", i))); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(begun); took > 1300*time.Millisecond {
			t.Errorf("the first code went out after %v", took)
		}
	})
}

// The thresholds of the breaker are the caller's.
func TestBreakerIsConfigured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(map[string]string{"greeting": hangUp})
		defer f.stop()
		c.Breaker = smtp.BreakerConfig{Failures: 2, Open: 100 * time.Millisecond}
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		for i, want := range []int{1, 2, 2, 2} {
			if _, err := ch.Send(t.Context(), message("breaker.1")); err == nil || f.dials != want {
				t.Errorf("message %d: %v, %d connections, want %d", i, err, f.dials, want)
			}
		}
		for i := range 3 {
			time.Sleep(101 * time.Millisecond)
			if _, err := ch.Send(t.Context(), message("breaker.2")); err == nil || f.dials != 3+i {
				t.Errorf("after pause %d: %v, %d connections", i, err, f.dials)
			}
		}
	})
}
