package smpp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// Credentials are asked for before every bind.
func TestCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		s, c := newPipe(t, smpptest.Config{SystemID: "bank", Password: "secret2"}, func(c *smpp.Config) {
			c.Credentials = func(ctx context.Context) (string, string, error) {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("no deadline")
				}
				asked++
				if asked == 1 {
					return "", "", errors.New("vault is sealed")
				}
				return "bank", fmt.Sprintf("secret%d", min(asked, 3)), nil
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := c.Ready(ctx); channel.ClassOf(err) != channel.Temporary {
			t.Errorf("Ready: %v", err)
		}
		ready(t, c)
		s.Disconnect() // the session stood no longer than ReconnectMax: after a pause
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if err := c.Ready(ctx); channel.ClassOf(err) != channel.Misconfigured {
			t.Errorf("with the third password: %v", err)
		}
		want := []smpptest.Bind{{SystemID: "bank", Status: smpp.StatusOK},
			{SystemID: "bank", Status: smpp.StatusInvalidPassword}}
		if diff := cmp.Diff(want, s.Binds(), cmpopts.IgnoreFields(smpptest.Bind{}, "Conn", "Version",
			"At")); diff != "" {
			t.Errorf("binds (-want +got):\n%s", diff)
		}
	})
}

func TestCredentialsAreChecked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := newPipe(t, smpptest.Config{}, func(c *smpp.Config) {
			c.Credentials = func(context.Context) (string, string, error) { return "bank", "pass\x00word", nil }
		})
		_, err := c.Send(t.Context(), message(ann, "482910"))
		wantClass(t, err, channel.Temporary, "")
		if n := len(s.Binds()); n != 0 {
			t.Errorf("%d binds", n)
		}
	})
}

// TestRotatedCredentials: credentials that were refused are tried again after
// RefusedWait, others as soon as Credentials tells them, and of many only a few:
// an SMSC may count them as guesses.
func TestRotatedCredentials(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, tt := range []struct {
		name        string
		password    func(now time.Duration) string
		least, most int           // binds in an hour
		within      time.Duration // the right password is tried; 0: it is not told
	}{
		{"never", func(time.Duration) string { return "old" }, 4, 4, 0},
		{"after a minute", func(now time.Duration) string {
			if now < time.Minute {
				return "old"
			}
			return "secret"
		}, 2, 2, time.Minute + 45*time.Second},
		{"twice", func(now time.Duration) string {
			switch {
			case now < time.Minute:
				return "old"
			case now < 2*time.Minute:
				return "older"
			}
			return "secret"
		}, 3, 3, 2*time.Minute + 45*time.Second},
		{"to and fro", func(now time.Duration) string { return []string{"old", "older"}[now/time.Minute%2] }, 7, 8, 0},
		{"all the time", func(now time.Duration) string { return fmt.Sprint(now) }, 10, 12, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				asked := 0
				s, c := newPipe(t, smpptest.Config{SystemID: "bank", Password: "secret"}, func(c *smpp.Config) {
					c.Binds = 3
					c.Credentials = func(context.Context) (string, string, error) {
						if asked++; asked == 5 {
							return "", "", errors.New("vault is sealed")
						}
						return "bank", tt.password(time.Since(began)), nil
					}
				})
				if tt.within != 0 {
					time.Sleep(tt.within)
					synctest.Wait()
					ctx, cancel := context.WithCancel(t.Context())
					cancel()
					if err := c.Ready(ctx); err != nil {
						t.Errorf("after %v: %v", tt.within, err)
					}
					for i, v := range c.State().Sessions { // whose binds follow at once
						if !v.Bound {
							t.Errorf("bind %d does not stand after %v", i, tt.within)
						}
					}
					tt.least, tt.most = tt.least+2, tt.most+2
				}
				time.Sleep(hour - time.Since(began))
				synctest.Wait()
				if n := len(s.Binds()); n < tt.least || n > tt.most {
					t.Errorf("%d binds in an hour, want %d to %d", n, tt.least, tt.most)
				}
				if asked > 200 {
					t.Errorf("asked %d times in an hour", asked)
				}
			})
		})
	}
}

// TestRefusedAtOneOfMany: a refusal concerns one address, so wrong credentials are
// tried once at each, and rotated ones no more often than at one.
func TestRefusedAtOneOfMany(t *testing.T) {
	t.Parallel()
	const wait = 14 * time.Minute // within RefusedWait
	for name, tt := range map[string]struct {
		rotates bool
		refusal smpp.Status
		want    int // binds
	}{
		"wrong password": {false, smpp.StatusInvalidPassword, 10},
		"rotated":        {true, smpp.StatusInvalidSystemID, 30},
		"wrong address":  {false, smpp.StatusBindFailed, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				s := smpptest.NewPipeServer(smpptest.Config{})
				t.Cleanup(s.Close)
				s.RefuseBinds(tt.refusal)
				config := piped(s)
				for i := range 9 {
					config.Addrs = append(config.Addrs, fmt.Sprintf("smsc%d.example:2775", i))
				}
				if tt.rotates {
					config.Credentials = func(context.Context) (string, string, error) {
						return "bank", fmt.Sprint(time.Since(began) / (10 * time.Second)), nil
					}
				}
				c := newClient(t, config)
				time.Sleep(wait)
				synctest.Wait()
				if n := len(s.Binds()); n != tt.want {
					t.Errorf("%d binds, want %d", n, tt.want)
				}
				_, err := c.Send(t.Context(), message(ann, "482910"))
				wantClass(t, err, channel.Misconfigured, tt.refusal.Code())
			})
		})
	}
}

// TestSilentHost: a host that takes binds and answers none does not keep the
// client from the other.
func TestSilentHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := peers(t, func(p *peer, n int) {
			if n%2 == 0 {
				p.bind()
			}
			p.Drain()
		})
		config.Addrs = []string{"b.example:2775"}
		c := newClient(t, config)
		began := time.Now()
		ready(t, c)
		if d := time.Since(began); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
	})
}
