package smppserver_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ajankovic/smpp/pdu"

	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// TestGuessesBetweenBinds: who has an account cannot use it to guess the
// password of another. Failures are forgotten with time only.
func TestGuessesBetweenBinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, serverConfig())
		bind := func(password string) smpp.Status {
			e := dial(t, s)
			defer e.Close()
			return e.bindAs(pdu.BindTransceiverID, password)
		}
		for range 4 {
			bind("guess")
			if got := bind("secret"); got != smpp.StatusOK {
				t.Errorf("before the block: %v", got)
			}
		}
		time.Sleep(15 * time.Minute)
		for n := range 5 {
			if got := bind("guess"); got != smpp.StatusInvalidPassword {
				t.Errorf("guess %d after 15 minutes: %v", n, got)
			}
			if got := bind("secret"); n < 4 && got != smpp.StatusOK {
				t.Errorf("bind %d after 15 minutes: %v", n, got)
			}
		}
		if got := bind("secret"); got != smpp.StatusBindFailed {
			t.Errorf("after 5 failures: %v", got)
		}
	})
}

// TestGuessesAtOnce: of many guesses made at once only so many are
// checked, and neither a pipelined second bind nor a whole /64 gets round it.
func TestGuessesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := 0
		c := serverConfig()
		c.MaxUnbound = 200
		c.Authenticate = func(context.Context, smppserver.BindRequest) smpp.Status {
			mu.Lock()
			asked++
			mu.Unlock()
			time.Sleep(time.Second)
			return smpp.StatusInvalidPassword
		}
		s := startServer(t, c)
		guess := bindFrame(t, pdu.BindTransceiverID, "bank", "guess")
		var wg sync.WaitGroup
		for range 100 {
			e := dialFrom(t, s, "2001:db8::1")
			e2 := dialFrom(t, s, "2001:db8::2")
			wg.Go(func() { e.Ask(append(guess, guess...)) })
			wg.Go(func() { e2.Ask(guess) })
		}
		wg.Wait()
		if asked != 5 {
			t.Errorf("%d guesses were checked, want 5", asked)
		}
	})
}

// TestOneBindEach: what follows a refused bind is not looked at.
func TestOneBindEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := serverConfig()
		c.MaxBindFailures = -1
		authenticate := c.Authenticate
		c.Authenticate = func(ctx context.Context, b smppserver.BindRequest) smpp.Status {
			asked++
			return authenticate(ctx, b)
		}
		e := dial(t, startServer(t, c))
		f := e.Ask(append(bindFrame(t, pdu.BindTransceiverID, "bank", "guess"),
			bindFrame(t, pdu.BindTransceiverID, "bank", "secret")...))
		if smpp.Status(f.Status) != smpp.StatusInvalidPassword || !e.isClosed() || asked != 1 {
			t.Errorf("answered with %+v, %d binds were checked", f.Header, asked)
		}
	})
}

// TestBarredConnections: those who may not bind keep nobody out who may,
// and are few.
func TestBarredConnections(t *testing.T) {
	t.Parallel()
	for name, bar := range map[string]func(*testing.T, *smppserver.Config) func(*smppserver.Server){
		"not allowed": func(_ *testing.T, c *smppserver.Config) func(*smppserver.Server) {
			c.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			return func(*smppserver.Server) {}
		},
		"blocked": func(t *testing.T, c *smppserver.Config) func(*smppserver.Server) {
			c.MaxBindFailures = 1
			return func(s *smppserver.Server) {
				e := dial(t, s)
				e.bindAs(pdu.BindTransceiverID, "guess")
				e.isClosed()
				synctest.Wait()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := serverConfig()
				c.MaxConnections = 2
				begin := bar(t, &c)
				s := startServer(t, c)
				begin(s)
				connect := func(from string) error {
					a, b := net.Pipe()
					t.Cleanup(func() { a.Close() })
					return s.ServeConn(located{b, from})
				}
				for _, tt := range []struct {
					from string
					n    int // so many are taken, and no more
				}{{"192.0.2.1", 16}, {"198.51.100.9", 2}} {
					for i := range tt.n {
						if err := connect(tt.from); err != nil {
							t.Errorf("connection %d from %s: %v", i, tt.from, err)
						}
					}
					if err := connect(tt.from); !errors.Is(err, smppserver.ErrTooManyConnections) {
						t.Errorf("one more from %s: %v", tt.from, err)
					}
				}
				time.Sleep(30 * time.Second) // PreBindTimeout
				synctest.Wait()
				for _, from := range []string{"192.0.2.1", "198.51.100.9"} {
					if err := connect(from); err != nil {
						t.Errorf("from %s, after the others: %v", from, err)
					}
				}
			})
		})
	}
}
