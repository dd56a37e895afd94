package provider_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// post serves a webhook and returns the status.
func (b *bubble) post(content, secret string) int {
	return b.serve(b.hook.request(content, secret)).Code
}

func (b *bubble) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.channel.WebhookHandler().ServeHTTP(w, r)
	return w
}

func eachHook(t *testing.T, change func(*provider.Config), f func(*testing.T, *bubble)) {
	t.Helper()
	posts := func(p api) bool { return p.hook.sign != nil }
	eachProviderThat(t, posts, func(t *testing.T, p api) {
		inBubble(t, p, change, f)
	})
}

// What each provider's webhooks tell, in order, and only once.
func TestWebhook(t *testing.T) {
	t.Parallel()
	eachHook(t, nil, func(t *testing.T, b *bubble) {
		if _, err := b.channel.Send(t.Context(), golden()); err != nil {
			t.Fatal(err)
		}
		for _, row := range b.hook.tells {
			for _, want := range []string{row.receipt, ""} { // the second is a replay
				if status := b.post(b.hook.report(row.status), hookSecret); status != http.StatusOK {
					t.Errorf("report %q: status %d", row.status, status)
				}
				if got := strings.Join(b.receipts(), "; "); got != want {
					t.Errorf("report %q: heard %q, want %q", row.status, got, want)
				}
			}
		}
		for _, ids := range b.ids {
			if ids != [2]string{b.id, "golden.1"} {
				t.Errorf("a receipt has ids %q", ids)
			}
		}
		if status := b.post(b.hook.other, hookSecret); status != http.StatusOK || b.receipts() != nil {
			t.Errorf("something else: status %d, receipts %q", status, b.heard)
		}
	})
}

// A report may come before the answer to the submission, or to another process.
func TestWebhookOfAnother(t *testing.T) {
	t.Parallel()
	eachHook(t, nil, func(t *testing.T, b *bubble) {
		row := b.hook.news()
		if status := b.post(b.hook.report(row.status), hookSecret); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
		if d := cmp.Diff([]string{row.receipt}, b.receipts()); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}

// What is not signed is neither told nor explained, and a callback that fails
// makes the provider post again.
func TestWebhookRefused(t *testing.T) {
	t.Parallel()
	eachHook(t, nil, func(t *testing.T, b *bubble) {
		row := b.hook.news()
		report := b.hook.report(row.status)
		for name, c := range map[string]struct {
			request *http.Request
			status  int
		}{
			"wrong secret": {b.hook.request(report, hookSecret+"x"), http.StatusUnauthorized},
			"unsigned":     {b.hook.request(report, ""), http.StatusUnauthorized},
			"wrong method": {httptest.NewRequest(http.MethodDelete, "/hooks", nil), http.StatusMethodNotAllowed},
			"too long": {
				b.hook.request(strings.Repeat("a", 1<<20+1), hookSecret), http.StatusRequestEntityTooLarge,
			},
			"unreadable": {b.hook.request("{%zz", hookSecret), http.StatusBadRequest},
		} {
			if b.hook.query != "" && (name == "too long" || name == "unreadable") {
				continue // there is no body to read
			}
			w := b.serve(c.request)
			if name == "unreadable" && (strings.HasPrefix(b.name, "twilio") || b.name == "mailgun") {
				c.status = http.StatusUnauthorized // what is no form or JSON has no signature either
			}
			if w.Code != c.status || w.Body.Len() > 0 {
				t.Errorf("%s: status %d, body %q, want %d", name, w.Code, w.Body, c.status)
			}
		}
		if heard := b.receipts(); heard != nil {
			t.Errorf("heard %q", heard)
		}

		b.hearing.mu.Lock()
		b.deaf = true
		b.hearing.mu.Unlock()
		if status := b.post(report, hookSecret); status != http.StatusServiceUnavailable {
			t.Errorf("a receipt that is not stored: status %d", status)
		}
		b.hearing.mu.Lock()
		b.deaf = false
		b.hearing.mu.Unlock()
		if status := b.post(report, hookSecret); status != http.StatusOK {
			t.Errorf("the same again: status %d", status)
		}
		if d := cmp.Diff([]string{row.receipt}, b.receipts()); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
		_ = b.channel.Close()
		if status := b.post(report, hookSecret); status != http.StatusServiceUnavailable {
			t.Errorf("after Close: status %d", status)
		}
		for _, secret := range append(b.secrets(), "447700900123", "58203719") {
			if strings.Contains(b.log.String(), secret) {
				t.Errorf("the log holds %q:\n%s", secret, b.log)
			}
		}
	})
}

// Without its secret a webhook is not there, rather than open to anyone.
func TestWebhookWithoutSecret(t *testing.T) {
	t.Parallel()
	none := func(c *provider.Config) {
		for _, name := range []string{
			"webhook_secret", "webhook_key", "webhook_url", "callback_token", "callback_url", "app_secret",
			"signing_key", "old_signing_key", "public_key", "signature_secret", "callback_secret", "callback_basic",
			"webhook_basic", "webhook_token", "certificate",
		} {
			delete(c.Values, name)
		}
		if c.Provider == "termii" {
			delete(c.Values, "secret") // of Vonage it is the API's
		}
	}
	eachHook(t, none, func(t *testing.T, b *bubble) {
		if b.name == "telegram-gateway" {
			return // its webhooks are signed with the token that every message needs
		}
		if status := b.post(b.hook.report(b.hook.news().status), hookSecret); status != http.StatusNotFound {
			t.Errorf("status %d, want 404", status)
		}
	})
}

// A report that was signed long ago is not taken where its time is signed, too.
func TestWebhookStale(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"oxtro-style", "httpsms"} {
		inBubble(t, providerNamed(t, name), nil, func(t *testing.T, b *bubble) {
			report := b.hook.report(b.hook.tells[0].status)
			stale := b.hook.request(report, hookSecret)
			time.Sleep(11*time.Minute + time.Second)
			if w := b.serve(stale); w.Code != http.StatusUnauthorized {
				t.Errorf("%s: status %d", name, w.Code)
			}
		})
	}
}

// While the secret changes, both are good.
func TestWebhookSecretChange(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "oxtro-style"), nil, func(t *testing.T, b *bubble) {
		for _, secret := range []string{"new", hookSecret} {
			if status := b.post(b.hook.report("sms:sent"), secret); status != http.StatusOK {
				t.Errorf("secret %q: status %d", secret, status)
			}
		}
	})
}

// One report of several that is not stored does not keep the others waiting.
func TestWebhookSeveralReports(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "whatsapp"), func(c *provider.Config) {
		receipt := c.Receipt
		failed := false
		c.Receipt = func(ctx context.Context, r channel.Receipt) error {
			if r.ProviderID == "wamid.1==" && !failed {
				failed = true
				return errors.New("the store is down")
			}
			return receipt(ctx, r)
		}
	}, func(t *testing.T, b *bubble) {
		body := `{"entry":[{"changes":[{"value":{"statuses":[` +
			`{"id":"wamid.1==","status":"sent"},{"id":"wamid.2==","status":"sent"}]}}]},` +
			`{"changes":[{"value":{"statuses":[{"id":"wamid.3==","status":"delivered"}]}}]}]}`
		for i, want := range []int{http.StatusServiceUnavailable, http.StatusOK} {
			if status := b.post(body, hookSecret); status != want {
				t.Errorf("post %d: status %d, want %d", i, status, want)
			}
		}
		want := [][2]string{{"wamid.2==", ""}, {"wamid.3==", ""}, {"wamid.1==", ""}}
		if d := cmp.Diff(want, b.ids); d != "" {
			t.Errorf("receipts (-want +got):\n%s", d)
		}
	})
}

// Meta asks before it posts.
func TestWebhookChallenge(t *testing.T) {
	t.Parallel()
	inBubble(t, providerNamed(t, "whatsapp"), nil, func(t *testing.T, b *bubble) {
		for query, want := range map[string]string{
			"hub.mode=subscribe&hub.verify_token=verify-88&hub.challenge=1158201444":  "200 1158201444",
			"hub.mode=subscribe&hub.verify_token=verify-99&hub.challenge=1158201444":  "403 ",
			"hub.mode=subscribe&hub.challenge=1158201444":                             "403 ",
			"hub.verify_token=verify-88&hub.challenge=" + strings.Repeat("1", 257):    "403 ",
			"hub.verify_token=verify-88&hub.challenge=%ff":                            "403 ",
			"hub.verify_token=verify-88&hub.challenge=" + url.QueryEscape("<script>"): "200 <script>",
		} {
			w := b.serve(httptest.NewRequest(http.MethodGet, "/hooks?"+query, nil))
			if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
			if w.Code == http.StatusOK && (w.Header().Get("Content-Type") != "text/plain; charset=utf-8" ||
				w.Header().Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("a browser might run the answer: %v", w.Header())
			}
		}
	})
}

// FuzzWebhook looks for a body that does harm although it is signed, and
// for one that passes without.
func FuzzWebhook(f *testing.F) {
	for i, p := range providers {
		if p.hook.sign != nil {
			f.Add(uint8(i), p.hook.report(p.hook.tells[0].status), true)
			f.Add(uint8(i), p.hook.other, false)
		}
	}
	f.Add(uint8(7), `{"entry":[[[]],{"changes":{"value":0}}]}`, true)
	f.Fuzz(func(t *testing.T, i uint8, content string, signed bool) {
		p := providers[int(i)%len(providers)]
		if p.hook.sign == nil {
			return
		}
		if p.hook.query != "" {
			if _, err := url.Parse("/hooks?" + content); err != nil || strings.ContainsAny(content, " \r\n\x00") {
				return // no request line has that
			}
		}
		synctest.Test(t, func(t *testing.T) {
			h := &hearing{}
			c := p.config(t, "https://provider.example", &http.Client{Transport: inMemory{http.NotFoundHandler()}})
			c.Receipt, c.PollInterval = h.receipt, -1
			ch := newChannel(t, c)
			secret := ""
			if signed {
				secret = hookSecret
			}
			w := httptest.NewRecorder()
			ch.WebhookHandler().ServeHTTP(w, p.hook.request(content, secret))
			if !signed && w.Code == http.StatusOK && !strings.Contains(content, hookSecret) {
				t.Errorf("status %d without a signature", w.Code)
			}
			for _, ids := range h.ids {
				if !signed && !strings.Contains(content, hookSecret) || ids[0] == "" || len(ids[0]) > 256 ||
					strings.ContainsAny(ids[0], " \r\n") {
					t.Errorf("a receipt has ids %q", ids)
				}
			}
			_ = ch.Close()
		})
	})
}
