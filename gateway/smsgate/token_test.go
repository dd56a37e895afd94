package smsgate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// A token is fetched with the least scopes, used until it is about to expire,
// and refreshed with each refresh token used once, however many messages need
// it at once.
func TestToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gatewaytest.NewPipeServer(gatewaytest.Config{
			JWT: true, AccessTTL: 10 * time.Minute, Username: gateUser, Password: gatePassword,
		})
		defer s.Close()
		s.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
		g := newGate(t, s, smsgate.Config{JWT: true, Devices: oneDevice})
		defer g.Close()
		for round := range 3 {
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() { mustSend(t, g, codeTo(fmt.Sprintf("c%d-%d.1", round, i), ann)) })
			}
			all.Wait()
			time.Sleep(9*time.Minute + time.Second) // the token has less than a minute left
		}
		count := map[string]int{}
		for _, c := range calls(s) {
			count[c]++
		}
		want := map[string]int{
			"POST /auth/token Basic": 1, "POST /auth/token/refresh Bearer": 2, "POST /messages Bearer": 60,
		}
		if d := cmp.Diff(want, count); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
		var asked struct{ Scopes []string }
		if err := json.Unmarshal(s.Requests()[0].Body, &asked); err != nil {
			t.Fatal(err)
		}
		scopes := []string{"messages:send", "messages:read", "messages:cancel", "devices:list"}
		if d := cmp.Diff(scopes, asked.Scopes); d != "" {
			t.Errorf("scopes (-want +got):\n%s", d)
		}
	})
}

func TestTokenTroubles(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		server  gatewaytest.Config
		rules   []gatewaytest.Rule
		between func(*gatewaytest.Server)
		class   channel.Class // of the second message; Expired: accepted
		code    string
		want    []string
	}{
		"no tokens": {
			want:  []string{"POST /auth/token Basic", "POST /messages Basic", "POST /messages Basic"},
			class: channel.Expired,
		},
		"revoked": {
			server: gatewaytest.Config{JWT: true}, between: (*gatewaytest.Server).RevokeTokens, class: channel.Expired,
			want: []string{
				"POST /auth/token Basic", "POST /messages Bearer", "POST /messages Bearer", "POST /auth/token Basic",
				"POST /messages Bearer",
			},
		},
		"refused again and again": {
			server: gatewaytest.Config{JWT: true},
			between: func(s *gatewaytest.Server) {
				s.Script(gatewaytest.Rule{Path: "/messages", Status: 401, Body: `{"message":"Unauthorized"}`})
			},
			class: channel.Misconfigured, code: "401",
			want: []string{
				"POST /auth/token Basic", "POST /messages Bearer", "POST /messages Bearer", "POST /auth/token Basic",
				"POST /messages Bearer",
			},
		},
		"no token to be had": {
			server: gatewaytest.Config{JWT: true},
			between: func(s *gatewaytest.Server) {
				s.RevokeTokens()
				s.Script(gatewaytest.Rule{Path: "/auth/token", Action: gatewaytest.Disconnect})
			},
			class: channel.Temporary,
			want: []string{
				"POST /auth/token Basic", "POST /messages Bearer", "POST /messages Bearer", "POST /auth/token Basic",
			},
		},
		"not the token's scope": {
			server: gatewaytest.Config{JWT: true},
			between: func(s *gatewaytest.Server) {
				s.Script(gatewaytest.Rule{
					Path: "/messages", Status: 403, Body: `{"message":"scope required: messages:send"}`,
				})
			},
			class: channel.Misconfigured, code: "403",
			want: []string{"POST /auth/token Basic", "POST /messages Bearer", "POST /messages Bearer"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newGateServer(t, row.server)
			g := newGate(t, s, smsgate.Config{JWT: true, Devices: oneDevice})
			mustSend(t, g, codeTo("c4n7.1", ann))
			if row.between != nil {
				row.between(s)
			}
			_, err := g.Send(t.Context(), codeTo("c4n7.2", ann))
			if row.class == channel.Expired {
				if err != nil {
					t.Error(err)
				}
			} else {
				wantRefused(t, err, row.class, row.code)
			}
			if d := cmp.Diff(row.want, calls(s)); d != "" {
				t.Errorf("requests (-want +got):\n%s", d)
			}
		})
	}
}

// No new token can be had: the one at hand is used while it holds, in good time.
func TestTokenNotRenewed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		rule  gatewaytest.Rule
		took  time.Duration
		asked []string
		code  string // of the error once the token has ended
	}{
		"down": {
			gatewaytest.Rule{Path: "/auth", Status: 503}, 0,
			[]string{"POST /auth/token/refresh Bearer", "POST /auth/token Basic"}, "503",
		},
		"stalled": {
			gatewaytest.Rule{Path: "/auth", Action: gatewaytest.Stall}, 2500 * time.Millisecond,
			[]string{"POST /auth/token/refresh Bearer"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := phones(t, gatewaytest.Config{JWT: true}, gatewaytest.PhoneConfig{ID: "pixel"})
				g := newGate(t, s, smsgate.Config{JWT: true, Devices: oneDevice})
				mustSend(t, g, codeTo("c4n7.0", ann))
				<-time.After(15*time.Minute - 50*time.Second)
				s.Script(row.rule)
				before, began := len(calls(s)), time.Now()
				for i := range 3 { // only the first asks
					mustSend(t, g, codeTo(fmt.Sprintf("c4n7.1.%d", i), ann))
				}
				if took := time.Since(began); took != row.took {
					t.Errorf("it took %v, want %v", took, row.took)
				}
				want := slices.Concat(row.asked, []string{
					"POST /messages Bearer", "POST /messages Bearer", "POST /messages Bearer",
				})
				if d := cmp.Diff(want, calls(s)[before:]); d != "" {
					t.Errorf("requests (-want +got):\n%s", d)
				}
				<-time.After(time.Minute)
				_, err := g.Send(t.Context(), codeTo("c4n7.2", ann))
				wantRefused(t, err, channel.Temporary, row.code)
			})
		})
	}
}

// A refresh token whose answer was lost is not used again.
func TestRefreshLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := gatewaytest.NewPipeServer(gatewaytest.Config{JWT: true, Username: gateUser, Password: gatePassword})
		defer s.Close()
		s.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
		g := newGate(t, s, smsgate.Config{JWT: true, Devices: oneDevice})
		defer g.Close()
		mustSend(t, g, codeTo("c4n7.1", ann))
		s.Script(gatewaytest.Rule{Path: "/auth/token", Action: gatewaytest.Disconnect, Served: true, Times: 2})
		time.Sleep(time.Hour)
		_, err := g.Send(t.Context(), codeTo("c4n7.2", ann))
		wantRefused(t, err, channel.Temporary, "")
		mustSend(t, g, codeTo("c4n7.2", ann))
		want := []string{
			"POST /auth/token Basic", "POST /messages Bearer",
			"POST /auth/token/refresh Bearer", "POST /auth/token Basic", // both lost
			"POST /auth/token Basic", "POST /messages Bearer",
		}
		if d := cmp.Diff(want, calls(s)); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
	})
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	for _, jwt := range []bool{false, true} {
		s, _ := newGateServer(t, gatewaytest.Config{JWT: true})
		g, err := smsgate.New(smsgate.Config{
			URL: s.URL, Client: s.Client(), Username: gateUser, Password: "wrong", JWT: jwt, Devices: oneDevice,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Send(t.Context(), codeTo("c4n7.1", ann))
		wantRefused(t, err, channel.Misconfigured, "401")
		_ = g.Close()
	}
}

// A proxy that does not find the server once does not make the password the
// credential for ever.
func TestTokensComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := phones(t, gatewaytest.Config{JWT: true}, gatewaytest.PhoneConfig{ID: "pixel"})
		g := newGate(t, s, smsgate.Config{Devices: oneDevice, JWT: true})
		s.Script(gatewaytest.Rule{Path: "/auth/token", Status: http.StatusNotFound, Times: 1})
		scheme := ""
		for i, want := range []string{"Basic", "Basic", "Bearer"} {
			if _, err := g.Send(t.Context(), codeTo(fmt.Sprintf("c%d.1", i), ann)); err != nil {
				t.Fatal(err)
			}
			for _, r := range s.Requests() {
				if r.Path == "/messages" {
					scheme, _, _ = strings.Cut(r.Header.Get("Authorization"), " ")
				}
			}
			if scheme != want {
				t.Errorf("message %d was sent with %s, want %s", i, scheme, want)
			}
			time.Sleep(8 * time.Minute)
		}
	})
}
