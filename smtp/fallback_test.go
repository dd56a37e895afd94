package smtp_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
)

// twoRelays returns fakes behind one Config: a.example before b.example.
func twoRelays(scriptA, scriptB map[string]string) (a, b *fake, c smtp.Config) {
	a, c = newFake(scriptA)
	b, _ = newFake(scriptB)
	b.certificate = a.certificate
	c.Addr, c.TLSConfig.ServerName = "a.example:587", "example.com"
	c.Fallbacks = []smtp.Relay{{
		Addr: "b.example:587", TLSConfig: c.TLSConfig, Username: username, Password: password,
	}}
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == c.Addr {
			return a.dial(ctx, network, addr)
		}
		return b.dial(ctx, network, addr)
	}
	return a, b, c
}

// The next relay gets what the first does not take for reasons of its own, and
// nothing that may have been sent or that no relay can deliver.
func TestFallback(t *testing.T) {
	t.Parallel()
	down := map[string]string{"greeting": "421 4.3.2 down\r\n"}
	for _, tt := range []struct {
		name  string
		a, b  map[string]string
		class string // of Send's error
		dials int    // of b
	}{
		{"the first takes it", nil, nil, "", 0},
		{"hangs up", map[string]string{"greeting": hangUp}, nil, "", 1},
		{"busy", map[string]string{"MAIL": "421 4.3.2 busy\r\n"}, nil, "", 1},
		{"throttles", map[string]string{"MAIL": "421 4.7.28 slower\r\n"}, nil, "", 1},
		{"refuses our password", map[string]string{"AUTH": "535 5.7.8 no\r\n"}, nil, "", 1},
		{"blocks our address", map[string]string{"RCPT": "554 5.7.1 blocked\r\n"}, nil, "", 1},
		{"knows no such user", map[string]string{"RCPT": "550 5.1.1 unknown\r\n"}, nil, "invalid recipient", 0},
		{"mailbox full", map[string]string{"RCPT": "552 5.2.2 full\r\n"}, nil, "unreachable", 0},
		{"gone after the dot", map[string]string{".": hangUp}, nil, "unknown", 0},
		{"both", map[string]string{"greeting": hangUp}, map[string]string{"AUTH": "535 5.7.8 no\r\n"}, "temporary", 1},
		{"both, the other way", map[string]string{"AUTH": "535 5.7.8 no\r\n"}, map[string]string{"greeting": hangUp},
			"temporary", 1},
		{"down, then gone after the dot", down, map[string]string{".": hangUp}, "unknown", 1},
		{"down, then knows no such user", down, map[string]string{"RCPT": "550 5.1.1 unknown\r\n"}, "invalid recipient",
			1},
		{"down, then mailbox full", down, map[string]string{"RCPT": "552 5.2.2 full\r\n"}, "unreachable", 1},
		{"silent at AUTH", map[string]string{"AUTH": stall}, nil, "", 1},
		{"silent at MAIL", map[string]string{"MAIL": stall}, nil, "", 1},
		{"silent at RCPT", map[string]string{"RCPT": stall}, nil, "", 1},
		{"deaf at RCPT", map[string]string{"RCPT": deaf}, nil, "", 1},
		{"silent at DATA", map[string]string{"DATA": stall}, nil, "", 1},
		{"silent after the dot", map[string]string{".": stall}, nil, "unknown", 0},
		{"connects never", map[string]string{"greeting": stall}, nil, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, c := twoRelays(tt.a, tt.b)
				defer b.stop()
				c.Timeout = 10 * time.Second
				begun := time.Now()
				got := sendAll(t, a, c, 1)[0]
				if got != tt.class || b.dials != tt.dials {
					t.Errorf("class %q, %d connections to the second; want %q, %d", got, b.dials, tt.class, tt.dials)
				}
				limit := 5 * time.Second
				if tt.class == "unknown" { // what has the content has all the time
					limit = c.Timeout
				}
				if took := time.Since(begun); took > limit {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// An address beyond ASCII goes to the first relay that takes such, and is
// invalid only where none does. A relay that lacks it is not at fault.
func TestFallbackForSMTPUTF8(t *testing.T) {
	t.Parallel()
	offer := map[string]string{"EHLO+": "250-fake\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN\r\n"}
	down, noLogin := map[string]string{"greeting": hangUp}, map[string]string{"AUTH": "535 5.7.8 no\r\n"}
	for _, tt := range []struct {
		name  string
		a, b  map[string]string
		class channel.Class
	}{
		{"the second has it", nil, offer, 0},
		{"the first has it", offer, down, 0},
		{"neither has it", nil, nil, channel.InvalidRecipient},
		{"the second is down", nil, down, channel.Temporary},
		{"the first is down", down, nil, channel.Temporary},
		{"the second refuses us", nil, noLogin, channel.Misconfigured},
		{"the first refuses us", noLogin, nil, channel.Misconfigured},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, c := twoRelays(tt.a, tt.b)
				defer a.stop()
				defer b.stop()
				ch, err := smtp.New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ch.Close() }()
				for i := range 7 { // more than a breaker lets pass
					m := message(fmt.Sprint("utf8.", i))
					m.To.Email = "añn.recipient@example.com"
					_, err := ch.Send(t.Context(), m)
					if (err != nil || tt.class != 0) && channel.ClassOf(err) != tt.class {
						t.Errorf("message %d: %v, want class %v", i, err, tt.class)
					}
				}
			})
		})
	}
}

// Where all connections of a relay are taken, a message waits for one only as
// long as it leaves time for the next relay.
func TestFallbackWhenBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := twoRelays(map[string]string{".": stall}, nil)
		defer a.stop()
		defer b.stop()
		c.MaxConns, c.Timeout = 1, 10*time.Second
		ch, err := smtp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close() }()
		first := make(chan error, 1)
		go func() {
			_, err := ch.Send(t.Context(), message("busy.1"))
			first <- err
		}()
		synctest.Wait()
		begun := time.Now()
		if _, err := ch.Send(t.Context(), message("busy.2")); err != nil || b.dials != 1 ||
			time.Since(begun) != 5*time.Second {
			t.Errorf("%v after %v, %d connections to the second", err, time.Since(begun), b.dials)
		}
		if err := <-first; channel.ClassOf(err) != channel.Unknown {
			t.Errorf("the first message: %v", err)
		}
	})
}

// An idle connection that has gone silent, as behind a firewall that forgot it,
// is given up soon enough to replace it. One that answers, and is slow then, is
// not.
func TestSilentIdleConnection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, command, fault string
		timeout, took        time.Duration
		dials                int
	}{
		{"silent", "MAIL", stall, time.Minute, 5 * time.Second, 2},
		{"deaf", "MAIL", deaf, time.Minute, 5 * time.Second, 2},
		{"silent, little time", "MAIL", stall, 6 * time.Second, 2 * time.Second, 2},
		{"slow at RCPT", "RCPT", "", time.Minute, 20 * time.Second, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, newFake newFakeFunc) {
				synctest.Test(t, func(t *testing.T) {
					f, c := newFake(nil)
					c.Timeout = tt.timeout
					second := once(tt.command, "x", 1)
					f.reject = func(line string) string {
						if second(line) == "" {
							return ""
						}
						if tt.fault == "" {
							time.Sleep(tt.took)
						}
						return tt.fault
					}
					begun := time.Now()
					if diff := cmp.Diff([]string{"", ""}, sendAll(t, f, c, 2)); diff != "" {
						t.Errorf("errors (-want +got):\n%s", diff)
					}
					if took := time.Since(begun); took != tt.took || f.dials != tt.dials {
						t.Errorf("took %v over %d connections, want %v, %d", took, f.dials, tt.took, tt.dials)
					}
				})
			})
		})
	}
}

// A relay that has the content has all of the message's time for its reply.
func TestFallbackWaitsForTheDot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := twoRelays(nil, nil)
		defer b.stop()
		c.Timeout = 10 * time.Second
		a.reject = func(line string) string {
			if line == ".\r\n" {
				time.Sleep(9 * time.Second)
			}
			return ""
		}
		if got := sendAll(t, a, c, 1)[0]; got != "" || b.dials != 0 {
			t.Errorf("error %q, %d connections to the second", got, b.dials)
		}
	})
}
