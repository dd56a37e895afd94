package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/store"
)

// A provider's signed report becomes the state of the verification, at whichever server of
// the store it comes. Others are refused.
func TestReceipts(t *testing.T) {
	t.Parallel()
	for name, shared := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testReceipts(t, shared(t))
		})
	}
}

func testReceipts(t *testing.T, at string) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"r-1"}`)
	}))
	t.Cleanup(api.Close)
	r := startWith(t, func(c *config) { c.Store = at }, func(p *phones) opener {
		return func(app string, route route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
			if route.Name != "email" || app != "shop" {
				return p.open(app, route, receipt)
			}
			c, err := provider.New(provider.Config{Provider: "resend", DangerouslyPlaintext: true, Receipt: receipt,
				PollInterval: -1, Values: map[string]string{"url": api.URL, "key": "k", "from": "codes@shop.example",
					"webhook_secret": hookSecret}})
			return c, channel.Email, err
		}
	})
	other := r
	if at != "" {
		other = r.serve(r.s.c)
	}
	created := r.want(r.shop, "201 pending", "POST", apiPath, `{"subject":"ann","to":{"email":"ann@example.com"}}`)
	h := webhook{Name: "x", URL: "https://x.example", Secrets: []string{hookSecret}}
	if err := h.complete(nil); err != nil {
		t.Fatal(err)
	}
	report := func(want int, path, body, signed string) {
		t.Helper()
		q := other.request(other.shop, http.MethodPost, path, body)
		now := time.Now()
		q.Header.Set("Svix-Id", "msg_1")
		q.Header.Set("Svix-Timestamp", fmt.Sprint(now.Unix()))
		q.Header.Set("Svix-Signature", h.sign("msg_1", now, []byte(signed)))
		resp, err := other.shop.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
	const delivered = `{"type":"email.delivered","data":{"email_id":"r-1"}}`
	report(401, "/hooks/shop/email", delivered, delivered+" ")
	report(413, "/hooks/shop/email", strings.Repeat(" ", 2<<20), "")
	report(404, "/hooks/shop/sms", delivered, delivered) // its channel takes no reports
	report(404, "/hooks/bank/email", delivered, delivered)
	report(404, "/hooks/none/email", delivered, delivered)
	state := func() bool {
		var c otphttp.Challenge
		q := r.request(r.shop, http.MethodGet, apiPath+"/"+created.body.ID, "")
		q.Header.Set("Otp-Subject", "ann")
		resp, err := r.shop.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		decodeInto(t, resp, &c)
		return c.Delivery.Delivered
	}
	if state() {
		t.Error("it is delivered before it is reported")
	}
	report(200, "/hooks/shop/email", delivered, delivered)
	if !state() {
		t.Error("it is not delivered")
	}
	report(200, "/hooks/shop/email", delivered, delivered)

	if at != "" {
		return
	}
	limit := store.Limit{Key: "hook/shop/email/127.0.0.1", Most: receiptRate, Per: time.Minute}
	for range receiptRate { // until it is full
		if d, err := r.s.gate.limiter.Take(t.Context(), time.Now(), limit); err != nil || !d.Allowed {
			break
		}
	}
	report(429, "/hooks/shop/email", delivered, delivered)
}

// A provider of the file is opened with its values and variables, and an error has none.
func TestOpenProvider(t *testing.T) {
	t.Parallel()
	env := func(name string) string { return map[string]string{"TOKEN": "pass-word"}[name] }
	open := openRoute(env, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		url, values, want string
	}{
		{"provider:twilio", `{"account":"AC1","password":"$TOKEN","from":"Shop"}`, ""},
		{"provider:twilio", `{"account":"AC1","password":"$UNSET","from":"Shop"}`, "password"},
		{"provider:twilio", `{"account":"AC1","password":"$TOKEN","from":"Shop","colour":"pass-word"}`, "colour"},
		{"provider:none", `{}`, "none"},
		{"https://x.example/pass-word", `{}`, "provider:"},
	} {
		r := route{Name: "sms", URL: c.url}
		if err := json.Unmarshal([]byte(c.values), &r.Values); err != nil {
			t.Fatal(err)
		}
		ch, kind, err := open("shop", r, nil)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "pass-word")) {
			t.Errorf("%s %s: got %v", c.url, c.values, err)
		}
		if err == nil {
			if kind != channel.Phone {
				t.Errorf("got %v", kind)
			}
			_ = ch.(*provider.Channel).Shutdown(t.Context())
		}
	}
}
