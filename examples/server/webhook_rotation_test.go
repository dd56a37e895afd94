package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A secret is replaced while the server runs: both sign, then the new one only. A mistake in
// the file, or a file without the endpoint, changes nothing.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, nil)
	r := hooked(t, e, nil)
	next, path := "whsec_"+strings.Repeat("QUJD", 8), t.TempDir()+"/config.json"
	reload := func(webhooks string) {
		t.Helper()
		keys := r.s.c.Applications[0].Keys[0].SHA256
		file := fmt.Sprintf(`{"applications":[{"name":"shop","brand":"Shop","routes":[{"name":"sms"}],%s
			"keys":[{"id":"shop1","sha256":%q,"scopes":["webhooks"]}]}]}`, webhooks, keys)
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		r.s.reload(path, func(string) string { return "" })
	}
	sent := 0
	signs := func(wants ...string) {
		t.Helper()
		r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/test", "")
		sent++
		d := e.wait(t, sent)[sent-1]
		for _, secret := range []string{hookSecret, next} {
			h, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Contains(strings.Join(wants, " "), secret)
			if err := h.Verify(d.body, d.header); (err == nil) != want {
				t.Errorf("message %d, %s: %v", sent, secret, err)
			}
		}
	}
	endpoint := func(secrets string) string {
		return fmt.Sprintf(`"webhooks":[{"name":"main","url":"https://elsewhere.example/","secrets":[%s]}],`, secrets)
	}
	signs(hookSecret)
	reload(endpoint(fmt.Sprintf("%q,%q", next, hookSecret)))
	signs(hookSecret, next)
	reload(endpoint(fmt.Sprintf("%q", next)))
	signs(next)
	reload(endpoint(`"short"`))
	signs(next)
	reload("")
	signs(next)
}
