package web_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/internal/web"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 3, 22, 45, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "30": 30 * time.Second, "-5": 0, "1.5": 0, "soon": 0,
		"99999999999999999":             time.Hour,
		"99999999999999999999999999999": 0,
		"Sat, 21 Nov 2026 03:23:15 GMT": 30 * time.Second,
		"Sat, 21 Nov 2026 03:22:15 GMT": 0,
		"Sat, 21 Nov 2099 03:22:15 GMT": time.Hour,
	} {
		r := web.Response{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {value}}}
		if got := web.Refusal("carrier: test", r, now).RetryAfter; got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]channel.Class{
		307: channel.Misconfigured, 400: channel.Misconfigured, 401: channel.Misconfigured, 403: channel.Misconfigured,
		404: channel.Misconfigured, 408: channel.Temporary, 429: channel.Throttled, 500: channel.Unknown,
		501: channel.Misconfigured, 502: channel.Unknown, 503: channel.Temporary, 504: channel.Unknown,
		700: channel.Unknown,
	} {
		r := web.Response{Status: status, Header: http.Header{"Retry-After": {"7"}}, Body: []byte(secret)}
		if e := web.Refusal("carrier: test", r, time.Now()); e.Class != want || e.RetryAfter != 7*time.Second {
			t.Errorf("%d: %v after %v, want %v", status, e, e.RetryAfter, want)
		}
	}
}
