package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otptest"
)

// TestHandler: each answer of the API, without Redis and without a carrier.
func TestHandler(t *testing.T) {
	t.Parallel()
	codes := otptest.New(t, otp.Config{})
	h := handler(codes.Service)
	const phone = "+447912345678"
	ask := url.Values{"subject": {"ann"}, "phone": {phone}, "click": {"1"}}
	status, body := post(t, h, "/codes", ask)
	var c challenge
	if err := json.Unmarshal([]byte(body), &c); err != nil || status != http.StatusOK {
		t.Fatal(status, body, err)
	}
	right := codes.Inbox.Code(phone)
	if strings.Contains(body, right) {
		t.Error("the answer has the code")
	}
	wrong := "000000"
	if right == wrong {
		wrong = "111111"
	}
	typed := func(code string) url.Values { return url.Values{"subject": {"ann"}, "code": {code}} }
	verify := "/codes/" + c.ID + "/verify"
	for _, row := range []struct {
		what, path string
		form       url.Values
		want       int
	}{
		{"the same request", "/codes", ask, http.StatusOK},
		{"another with its click", "/codes", url.Values{"subject": {"ann"}, "phone": {"+447912345679"}, "click": {"1"}},
			http.StatusConflict},
		{"no number", "/codes", url.Values{"subject": {"ann"}, "phone": {"ann"}}, http.StatusBadRequest},
		{"a wrong code", verify, typed(wrong), http.StatusUnprocessableEntity},
		{"the right one", verify, typed(right), http.StatusOK},
		{"and again", verify, typed(right), http.StatusUnprocessableEntity},
	} {
		if status, body := post(t, h, row.path, row.form); status != row.want {
			t.Errorf("%s: %d %s, want %d", row.what, status, body, row.want)
		}
	}
	codes.Inbox.Fail(channel.Unreachable)
	if status, body := post(t, h, "/codes", url.Values{"subject": {"bob"}, "phone": {"+447912345670"}}); status !=
		http.StatusBadGateway {
		t.Errorf("no route: %d %s", status, body)
	}
	codes.Lock("cem")
	if status, body := post(t, h, "/codes", url.Values{"subject": {"cem"}, "phone": {"+447912345671"}}); status !=
		http.StatusTooManyRequests {
		t.Errorf("locked: %d %s", status, body)
	}
	codes.Down(true)
	if status, body := post(t, h, verify, typed(right)); status != http.StatusServiceUnavailable {
		t.Errorf("the store is down: %d %s", status, body)
	}
}

func post(t *testing.T, h http.Handler, path string, form url.Values) (status int, body string) {
	t.Helper()
	q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w.Code, w.Body.String()
}
