package smsgate_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// offline is a channel that no test sends with.
func offline(t testing.TB, c smsgate.Config) *smsgate.Channel {
	t.Helper()
	c.Username, c.Password = gateUser, gatePassword
	g, err := smsgate.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// hook is a signed webhook.
func hook(key, body string, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/sms", strings.NewReader(body))
	stamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("X-Timestamp", stamp)
	r.Header.Set("X-Signature", gatewaytest.Sign(key, []byte(body), stamp))
	return r
}

func status(g *smsgate.Channel, r *http.Request) int {
	w := httptest.NewRecorder()
	g.WebhookHandler().ServeHTTP(w, r)
	return w.Code
}

func event(name, device, id string) string {
	return fmt.Sprintf(`{"id":"E1","webhookId":"W1","event":%q,"deviceId":%q,"payload":{"messageId":%q,`+
		`"phoneNumber":"+19162255887","recipient":"+19162255887","simNumber":2,"deliveredAt":"2026-02-18T02:10:00.`+
		`000+07:00"}}`, name, device, id)
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		g := offline(t, smsgate.Config{
			Receipt: l.receipt, SigningKeys: []string{"common"},
			Devices: []smsgate.Device{{ID: "D1", SigningKeys: []string{"next", "now"}}, {ID: "D2"}},
		})
		now := time.Now()
		delivered := event("sms:delivered", "D1", "c4n7.1")
		const told = "0s c4n7.1 delivered unknown Delivered"
		for _, row := range []struct {
			name   string
			r      *http.Request
			status int
			want   []string
		}{
			{"no signature", httptest.NewRequest(http.MethodPost, "/", strings.NewReader(delivered)), 401, nil},
			{"wrong key", hook("common", delivered, now), 401, nil},
			{"other device's key", hook("now", event("sms:delivered", "D2", "c4n7.1"), now), 401, nil},
			{"too old", hook("now", delivered, now.Add(-6*time.Minute)), 401, nil},
			{"too new", hook("now", delivered, now.Add(6*time.Minute)), 401, nil},
			{"right", hook("now", delivered, now), 200, []string{told}},
			{"replayed", hook("now", delivered, now), 409, nil},
			{"repeated later", hook("now", delivered, now.Add(time.Second)), 200, nil},
			{
				"under the next key", hook("next", event("sms:delivered", "D1", "c4n7.2"), now), 200,
				[]string{strings.Replace(told, ".1", ".2", 1)},
			},
			{
				"under the common key", hook("common", event("sms:delivered", "D2", "c4n7.3"), now), 200,
				[]string{strings.Replace(told, ".1", ".3", 1)},
			},
			{
				"unknown device", hook("common", event("sms:delivered", "D3", "c4n7.4"), now), 200,
				[]string{strings.Replace(told, ".1", ".4", 1)},
			},
			{"ping", hook("now", event("system:ping", "D1", ""), now), 200, nil},
			{"incoming", hook("now", event("sms:received", "D1", "abc"), now), 200, nil},
			{"no message", hook("now", event("sms:delivered", "D1", ""), now), 200, nil},
			{"somebody else's message", hook("now", event("sms:delivered", "D1", "a/b"), now), 200, nil},
			{"no JSON", hook("now", "messageId=1", now), 400, nil},
			{"wrong JSON", hook("now", `{"event":5}`, now), 400, nil},
			{"array", hook("now", `[]`, now), 400, nil},
			{"too long", hook("now", event("sms:delivered", "D1", strings.Repeat("x", 70<<10)), now), 413, nil},
			{"GET", httptest.NewRequest(http.MethodGet, "/", nil), 405, nil},
			{
				"cut off",
				httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("{"), errReader{})), 400,
				nil,
			},
		} {
			if got := status(g, row.r); got != row.status {
				t.Errorf("%s: status %d, want %d", row.name, got, row.status)
			}
			l.want(t, row.want...)
		}

		// The store is down: the phone is to post it again, even within the
		// same second.
		l.fail(1)
		failed := event("sms:failed", "D1", "c4n7.5")
		for _, want := range []int{503, 200, 409} {
			if got := status(g, hook("now", failed, now)); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
		}
		l.want(t, "0s c4n7.5 failed unreachable Failed")
		time.Sleep(11 * time.Minute)
		if got := status(g, hook("now", failed, now)); got != 401 {
			t.Errorf("a replay long after: %d", got)
		}
		_ = g.Close()
		if got := status(g, hook("now", event("sms:failed", "D1", "c4n7.6"), time.Now())); got != 503 {
			t.Errorf("after Close: %d", got)
		}
	})
}

// A phone's clock may be ahead: a webhook is remembered until its time has passed.
func TestWebhookReplayedLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := offline(t, smsgate.Config{Receipt: newLedger().receipt, SigningKeys: []string{"key"}})
		body, ahead := event("sms:delivered", "D1", "c4n7.1"), time.Now().Add(4*time.Minute)
		if got := status(g, hook("key", body, ahead)); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
		<-time.After(6 * time.Minute)
		if got := status(g, hook("key", body, ahead)); got != http.StatusConflict {
			t.Errorf("replayed: status %d", got)
		}
	})
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Who holds one phone's key says nothing of what went to another phone.
func TestWebhookOfAnotherPhone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		var log safeBuffer
		s, byID := phones(t, gatewaytest.Config{}, gatewaytest.PhoneConfig{ID: "a"}, gatewaytest.PhoneConfig{ID: "b"})
		byID["b"].SetLastSeen(time.Now().Add(-time.Minute)) // a is preferred
		g := newGate(t, s, smsgate.Config{
			Receipt: l.receipt, PollInterval: -1, SigningKeys: []string{"common"},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Devices: []smsgate.Device{
				{ID: "a", SigningKeys: []string{"key a"}}, {ID: "b", SigningKeys: []string{"key b"}},
			},
		})
		s.Script(gatewaytest.Rule{Method: http.MethodPost, Path: "/messages", Status: 500, Times: 3})
		_, err := g.Send(t.Context(), codeTo("m.0", ann))
		wantRefused(t, err, channel.Unknown, "500") // a may have it
		mustSend(t, g, codeTo("m.1", ann))          // b has the least to do
		now := time.Now()
		post := func(key, name, device, id string, want ...string) {
			t.Helper()
			if got := status(g, hook(key, event(name, device, id), now)); got != http.StatusOK {
				t.Errorf("%s by %q: status %d", id, device, got)
			}
			l.want(t, want...)
		}
		at := time.Since(l.start).Round(time.Second).String()
		for _, m := range []struct{ id, phone, other string }{{"m.0", "a", "b"}, {"m.1", "b", "a"}} {
			for _, name := range []string{"sms:sent", "sms:delivered", "sms:failed"} {
				post("key "+m.other, name, m.other, m.id)
				post("common", name, "c", m.id)
				post("common", name, "", m.id)
			}
			post("key "+m.phone, "sms:delivered", m.phone, m.id, at+" "+m.id+" delivered unknown Delivered")
		}
		post("key b", "sms:sent", "b", "of.another.process", at+" of.another.process sent unknown Sent")

		log.mu.Lock()
		defer log.mu.Unlock()
		text := log.b.String()
		if n := strings.Count(text, "another phone has the message"); n != 18 || strings.Contains(text, ann[1:]) {
			t.Errorf("%d warnings:\n%s", n, text)
		}
	})
}

// Without a key nobody is believed.
func TestWebhookWithoutKeys(t *testing.T) {
	t.Parallel()
	g := offline(t, smsgate.Config{Receipt: newLedger().receipt})
	if got := status(g, hook("", event("sms:delivered", "D1", "c4n7.1"), time.Now())); got != 401 {
		t.Errorf("status %d", got)
	}
}

// Any body gets an answer, and only a signed one that names a message is told.
func FuzzWebhook(f *testing.F) {
	for _, seed := range []string{
		event("sms:sent", "D1", "c4n7.1"), event("sms:delivered", "D1", "c4n7.1"), event("sms:failed", "D1", "c4n7.1"),
		event("sms:received", "D1", "c4n7.1"), `{}`, `null`, `[]`, `{"payload":null}`,
		`{"event":"sms:sent","payload":{"messageId":"..","sentAt":"x"}}`, "",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	l := newLedger()
	g := offline(f, smsgate.Config{Receipt: l.receipt, SigningKeys: []string{"key"}})
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		key := "key"
		if !signed {
			key = "another"
		}
		got := status(g, hook(key, string(body), time.Now()))
		lines := l.take()
		switch {
		case got != 200 && len(lines) > 0:
			t.Errorf("status %d, but receipts %q", got, lines)
		case !signed && got != 401 && got != 400 && got != 413:
			t.Errorf("status %d without a signature", got)
		case len(lines) > 0 && !bytes.Contains(bytes.ToLower(body), []byte("messageid")):
			t.Errorf("receipts %q of no message", lines)
		}
	})
}
