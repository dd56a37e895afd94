package provider_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
)

// Webhooks come in several forms, and some providers want a certain reply.
func TestWebhookForms(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		hook, method, query, body, reply string
	}{
		"JSON in a form": {
			`"format": "form", "inside": "payload", "id": "id", "status": "s"`, "POST", "",
			`payload=%7B%22id%22%3A%221%22%2C%22s%22%3A%22D%22%7D`, "200 ",
		},
		"JSON in JSON": {
			`"inside": "m", "each": "*", "id": "id", "status": "s"`, "POST", "",
			`{"m":"[{\"id\":\"1\",\"s\":\"D\"}]"}`, "200 ",
		},
		"POST with a query": {
			`"format": "query", "method": "POST", "id": "id", "status": "s"`, "POST", "id=1&s=D", "", "200 ",
		},
		"text reply": {`"id": "id", "status": "s", "reply": "ACK"`, "POST", "", `{"id":"1","s":"D"}`, "200 ACK"},
		"JSON reply": {
			`"id": "id", "status": "s", "reply": {"code": 0}`, "POST", "", `{"id":"1","s":"D"}`, `200 {"code":0}`,
		},
		"XML": {`"id": "r.id", "status": "r.s"`, "POST", "", `<r><id>1</id><s>D</s></r>`, "200 "},
	} {
		var h hearing
		ch := newChannel(t, provider.Config{
			Profile: parse(t, `{"name": "language", "values": {"token": null}, `+plainSend+`,
				"states": {"D": "delivered"},
				"webhook": {"verify": {"token": {"query": "token", "secrets": ["{{token}}"]}}, `+row.hook+`}}`),
			Values: map[string]string{"token": "secret"}, Receipt: h.receipt,
		})
		for token, want := range map[string]string{"wrong": "401 ", "secret": row.reply} {
			r := httptest.NewRequest(row.method, "/hook?token="+token+"&"+row.query, strings.NewReader(row.body))
			w := httptest.NewRecorder()
			ch.WebhookHandler().ServeHTTP(w, r)
			if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := strings.Join(h.receipts(), ";"); got != "delivered unknown D" {
			t.Errorf("%s: heard %q", name, got)
		}
	}
}

// A webhook that is signed rightly and says nothing is logged, once a minute.
func TestWebhookUnmatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ch := newChannel(t, provider.Config{
			Profile: parse(t, `{"name": "language", "values": {"token": null}, `+plainSend+`,
				"states": {"D": "delivered"},
				"webhook": {"id": "id", "status": "s",
				"verify": {"token": {"query": "token", "secrets": ["{{token}}"]}}}}`),
			Values: map[string]string{"token": "secret"}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Receipt: (&hearing{}).receipt,
		})
		post := func(token, body string) {
			r := httptest.NewRequest(http.MethodPost, "/hook?token="+token, strings.NewReader(body))
			ch.WebhookHandler().ServeHTTP(httptest.NewRecorder(), r)
		}
		post("secret", `{"id":"1","s":"D"}`)
		post("secret", `{"id":"1","s":"another status"}`)
		if log.Len() > 0 {
			t.Errorf("logged %s", &log)
		}
		for range 3 {
			post("secret", `{"message_id":"447700900123","s":"D"}`)
		}
		time.Sleep(59 * time.Second)
		post("secret", `{"x":1}`)
		if n := strings.Count(log.String(), "\n"); n != 1 || strings.Contains(log.String(), "447700900123") {
			t.Errorf("logged %d lines: %s", n, &log)
		}
		time.Sleep(time.Second)
		post("secret", `{"x":1}`)
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("logged %d lines: %s", n, &log)
		}
		_ = ch.Close()
	})
}

// A body that trickles is cut off, and one that came in time does not end the
// call of Receipt.
func TestWebhookSlow(t *testing.T) {
	t.Parallel()
	deadlines := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	ch := newChannel(t, provider.Config{
		Profile: parse(t, `{"name": "language", `+plainSend+`, "states": {"D": "delivered"},
			"webhook": {"id": "id", "status": "s", "verify": {"dangerously_none": true}}}`),
		Receipt: func(context.Context, channel.Receipt) error {
			if n := len(deadlines.set); n != 2 || !deadlines.set[1].IsZero() {
				t.Errorf("deadlines %v", deadlines.set)
			}
			return nil
		},
	})
	ch.WebhookHandler().ServeHTTP(deadlines,
		httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"id":"1","s":"D"}`)))
	if wait := time.Until(deadlines.set[0]); wait <= 0 || wait > 10*time.Second {
		t.Errorf("the body has %v", wait)
	}
	r := httptest.NewRequest(http.MethodPost, "/", timedOut{})
	w := httptest.NewRecorder()
	if ch.WebhookHandler().ServeHTTP(w, r); w.Code != http.StatusBadRequest {
		t.Errorf("a body that breaks off: status %d", w.Code)
	}
}

type deadlined struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlined) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

type timedOut struct{}

func (timedOut) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Err: context.DeadlineExceeded}
}
