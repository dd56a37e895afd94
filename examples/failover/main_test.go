package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/channeltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out); err != nil {
		t.Fatal(err, out.String())
	}
	for _, want := range []string{"receipt: failed, UNREGISTERED", "no receipt in 2s", "receipt: failed, UNDELIV",
		"step 3  email  accepted", "unreachable, 404"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if err := run(t.Context(), []string{"extra"}, &out); err == nil {
		t.Error("an argument is taken")
	}
}

// The channel of one's own keeps the rules of every channel.
func TestPushConforms(t *testing.T) {
	t.Parallel()
	statuses := map[channel.Class]int{channel.Temporary: 503, channel.Throttled: 429, channel.Unreachable: 404,
		channel.InvalidRecipient: 400, channel.Misconfigured: 401, channel.Unknown: 500}
	channeltest.Run(t, channeltest.Harness{
		Address:     channel.Push,
		ProviderIDs: true,
		New: func(t testing.TB) channeltest.Subject {
			var accepted, status, wait atomic.Int32
			var stall atomic.Pointer[chan struct{}]
			p := startProvider()
			t.Cleanup(p.close)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if s := status.Load(); s != 0 {
					w.Header().Set("Retry-After", strconv.Itoa(int(wait.Load())))
					w.WriteHeader(int(s))
					return
				}
				accepted.Add(1)
				if released := stall.Load(); released != nil {
					<-*released
				}
				p.take(w, q)
			}))
			t.Cleanup(server.Close)
			return channeltest.Subject{
				Channel:  &push{url: server.URL, token: p.token, client: server.Client()},
				Accepted: func() int { return int(accepted.Load()) },
				Refuse: func(c channel.Class) bool {
					status.Store(int32(statuses[c]))
					return statuses[c] != 0
				},
				RetryAfter: func(d time.Duration) {
					wait.Store(int32(d.Seconds()))
					status.Store(http.StatusTooManyRequests)
				},
				Stall: func() (release func()) {
					released := make(chan struct{})
					stall.Store(&released)
					return func() {
						stall.Store(nil)
						close(released)
					}
				},
				Secrets: []string{p.token},
			}
		},
	})
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	key := []byte("webhook-key")
	for name, row := range map[string]struct {
		body, signature string // empty: the right one
		fails           error  // of the receipt's handler
		status          int
		want            channel.Receipt
	}{
		"delivered": {`{"id":"p1","status":"delivered"}`, "", nil, 204,
			channel.Receipt{ProviderID: "p1", State: channel.Delivered}},
		"failed": {`{"id":"p1","status":"failed","reason":"GONE"}`, "", nil, 204,
			channel.Receipt{ProviderID: "p1", State: channel.Failed, Class: channel.Unreachable, Code: "GONE"}},
		"not stored":     {`{"id":"p1","status":"delivered"}`, "", errors.New("down"), 503, channel.Receipt{}},
		"forged":         {`{"id":"p1","status":"delivered"}`, "00", nil, 403, channel.Receipt{}},
		"no JSON":        {`delivered`, "", nil, 400, channel.Receipt{}},
		"no id":          {`{"status":"delivered"}`, "", nil, 400, channel.Receipt{}},
		"unknown status": {`{"id":"p1","status":"read"}`, "", nil, 400, channel.Receipt{}},
		"too long": {`{"id":"` + strings.Repeat("x", 65<<10) + `","status":"delivered"}`, "", nil, 403,
			channel.Receipt{}},
	} {
		var got channel.Receipt
		p := &push{key: key, receipt: func(_ context.Context, r channel.Receipt) error {
			if row.fails == nil {
				r.At = got.At
				got = r
			}
			return row.fails
		}}
		q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/app", strings.NewReader(row.body))
		signature := row.signature
		if signature == "" {
			signature = sign(key, []byte(row.body))
		}
		q.Header.Set(signatureHeader, signature)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, q)
		if w.Code != row.status || got != row.want {
			t.Errorf("%s: %d with %+v, want %d with %+v", name, w.Code, got, row.status, row.want)
		}
	}
}
