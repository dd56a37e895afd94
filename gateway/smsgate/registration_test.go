package smsgate_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

func TestWebhookRegistration(t *testing.T) {
	t.Parallel()
	s, _ := newGateServer(t, gatewaytest.Config{JWT: true})
	g := newGate(t, s, smsgate.Config{JWT: true})
	list := func() int {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/webhooks", nil)
		req.SetBasicAuth(gateUser, gatePassword)
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var all []any
		if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	const other = "https://elsewhere.example.com"
	for _, url := range []string{hookURL, hookURL, other} {
		if err := g.RegisterWebhooks(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
	asked := slices.DeleteFunc(calls(s), func(c string) bool { return c != "POST /webhooks Basic" })
	if len(asked) != 6 {
		t.Errorf("%d webhooks were registered, want none twice", len(asked))
	}
	if n := list(); n != 6 {
		t.Errorf("%d webhooks, want 3 for each URL", n)
	}
	for range 2 {
		if err := g.RemoveWebhooks(t.Context(), hookURL); err != nil {
			t.Fatal(err)
		}
	}
	if n := list(); n != 3 {
		t.Errorf("%d webhooks left, want those for the other URL", n)
	}
	for _, url := range []string{
		"http://otp.example.com/x", "otp.example.com", "https://u:" + gatePassword + "@otp.example.com",
	} {
		err := g.RegisterWebhooks(t.Context(), url)
		wantRefused(t, err, channel.Misconfigured, "")
		if strings.Contains(err.Error(), gatePassword) {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
	s.Script(gatewaytest.Rule{
		Method: http.MethodPost, Path: "/webhooks", Status: 400, Body: `{"message":"url must start with https://"}`,
	})
	wantRefused(t, g.RegisterWebhooks(t.Context(), hookURL), channel.Misconfigured, "400")
}
