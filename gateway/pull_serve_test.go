package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

// TestPullWithoutPassword shows that a phone which has no password does not come
// in with an empty one.
func TestPullWithoutPassword(t *testing.T) {
	t.Parallel()
	p := newPull(t, gateway.PullConfig{Phones: []gateway.PullPhone{{ID: "pixel", WeakHashSecret: "sesame"}}})
	for _, id := range []string{"pixel", "nobody", ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(id, "")
		res, err := gatewaytest.HandlerClient(p).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %d", id, res.StatusCode)
		}
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestPullRequests(t *testing.T) {
	t.Parallel()
	c, receipts := pullConfig()
	p := newPull(t, c)
	c.DangerouslyPlaintext = true
	open := newPull(t, c)
	report := `{"updates":[{"id":"a.1","status":"SENT"}]}`
	for name, row := range map[string]struct {
		pull            *gateway.Pull
		method, url     string
		body, encoding  string
		status, receipt int
	}{
		"hello":           {p, "GET", "https://h/", "", "", 200, 0},
		"hello by hash":   {p, "GET", "https://h/?id=pixel&h=" + pullHash, "", "", 200, 0},
		"no lists":        {p, "POST", "https://h/", `{}`, "", 200, 0},
		"null lists":      {p, "POST", "https://h/", `{"messages":null,"updates":null}`, "", 200, 0},
		"received SMS":    {p, "POST", "https://h/", `{"messages":[{"id":"x","from":"+1","content":"hi","sms_sent":1}]}`, "", 200, 0},
		"a report":        {p, "POST", "https://h/", report, "", 200, 1},
		"gzip":            {p, "POST", "https://h/", gzipped(report), "gzip", 200, 1},
		"no gzip":         {p, "POST", "https://h/", report, "gzip", 400, 0},
		"cut gzip":        {p, "POST", "https://h/", gzipped(report)[:20], "gzip", 400, 0},
		"gzip bomb":       {p, "POST", "https://h/", gzipped(strings.Repeat(" ", 1<<20)), "gzip", 413, 0},
		"too large":       {p, "POST", "https://h/", strings.Repeat(" ", 256<<10+1), "", 413, 0},
		"empty":           {p, "POST", "https://h/", "", "", 400, 0},
		"no JSON":         {p, "POST", "https://h/", "id=1", "", 400, 0},
		"null":            {p, "POST", "https://h/", "null", "", 400, 0},
		"an array":        {p, "POST", "https://h/", "[]", "", 400, 0},
		"a wrong type":    {p, "POST", "https://h/", `{"updates":[{"id":1}]}`, "", 400, 0},
		"two objects":     {p, "POST", "https://h/", report + report, "", 400, 0},
		"PUT":             {p, "PUT", "https://h/", report, "", 405, 0},
		"plaintext":       {p, "POST", "http://h/", report, "", 403, 0},
		"behind a proxy":  {open, "POST", "http://h/", report, "", 200, 1},
		"wrong hash":      {p, "GET", "https://h/?id=pixel&h=000000", "", "", 401, 0},
		"no hash":         {p, "GET", "https://h/?id=pixel", "", "", 401, 0},
		"hash of another": {p, "GET", "https://h/?id=nokia&h=" + pullHash, "", "", 401, 0},
		"no secret":       {p, "GET", "https://h/?id=nokia", "", "", 401, 0},
		"nobody, no hash": {p, "GET", "https://h/?id=nobody", "", "", 401, 0},
		"nothing":         {p, "GET", "https://h/?", "", "", 401, 0},
		"nobody":          {p, "GET", "https://h/?id=nobody&h=d41d8c", "", "", 401, 0},
	} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, row.url, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(row.url, "?") {
			r.SetBasicAuth("pixel", pullSecret)
		}
		r.Header.Set("Content-Encoding", row.encoding)
		before := len(receipts.got)
		res, err := gatewaytest.HandlerClient(row.pull).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		err = json.NewDecoder(res.Body).Decode(&answer)
		res.Body.Close()
		switch {
		case err != nil || res.StatusCode != row.status || len(receipts.got)-before != row.receipt:
			t.Errorf("%s: status %d, want %d; %d receipts; %v", name, res.StatusCode, row.status, len(receipts.got)-before, err)
		case row.method == http.MethodGet && row.status == 200 && answer["medic-gateway"] != true,
			row.status == 200 && row.method == http.MethodPost && answer["messages"] == nil,
			row.status != 200 && (answer["error"] != true || answer["message"] == ""):
			t.Errorf("%s: %v", name, answer)
		case res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Content-Type") != "application/json":
			t.Errorf("%s: %v", name, res.Header)
		}
	}
}

// TestPullGuessing shows how many guesses there are.
func TestPullGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := pullConfig()
		remote := ""
		c.Remote = func(*http.Request) string { return remote }
		p := newPull(t, c)
		try := func(from, user, password, query string) int {
			remote = from
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h/"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			res, err := gatewaytest.HandlerClient(p).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != "60" {
				t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
			}
			return res.StatusCode
		}
		right := "?id=pixel&h=" + pullHash
		time.Sleep(time.Hour)
		// One remote: its guesses end, right ones included; others go on.
		for i := range 10 {
			if got := try("mallory", "nokia", fmt.Sprint("guess ", i), ""); got != 401 {
				t.Errorf("guess %d: %d", i, got)
			}
		}
		for user, want := range map[string]int{"mallory": 429, "alice": 200} {
			if got := try(user, "nokia", pullSecret, ""); got != want {
				t.Errorf("%s: %d", user, got)
			}
		}
		// Many remotes: the weak hash of one id is closed to all, a password
		// is not.
		for i := range 10 {
			if got := try(fmt.Sprint("bot ", i), "", "", fmt.Sprintf("?id=pixel&h=%06x", i)); got != 401 {
				t.Errorf("bot %d: %d", i, got)
			}
		}
		if hash, basic := try("alice", "", "", right), try("alice", "pixel", pullSecret, ""); hash != 429 || basic != 200 {
			t.Errorf("hash %d, Basic %d", hash, basic)
		}
		time.Sleep(time.Minute)
		if got := try("alice", "", "", right); got != 200 {
			t.Errorf("after a minute: %d", got)
		}
		// A flood of remotes shuts nobody out who comes new.
		for i := range 10_100 {
			try(fmt.Sprint("flood ", i), "nokia", "guess", "")
		}
		for range 11 {
			try("late", "nokia", "guess", "")
		}
		if got := try("new", "nokia", pullSecret, ""); got != 200 {
			t.Errorf("after a flood: %d", got)
		}
		for range 10 {
			try("bot", "", "", "?id=pixel&h=000000")
		}
		if got := try("alice", "", "", right); got != 429 {
			t.Errorf("the id is not counted in a flood: %d", got)
		}
	})
}

func FuzzPullPoll(f *testing.F) {
	f.Add([]byte(`{"messages":[{"id":"x","from":"+1","content":"hi"}],"updates":[{"id":"c4n7.1","status":"SENT"}]}`))
	f.Add([]byte(`{"updates":[{"id":"c4n7.1","status":"FAILED","reason":"no-service"},{"id":"c4n7.1","status":"DELIVERED"}]}`))
	f.Add([]byte(`{"updates":[{"id":"../x","status":"SENT"},null]}`))
	f.Add([]byte(`{"updates":null}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var got []channel.Receipt
		p := newPull(t, gateway.PullConfig{
			Phones: []gateway.PullPhone{{ID: "pixel", Password: pullSecret}},
			Receipt: func(_ context.Context, r channel.Receipt) error {
				got = append(got, r)
				return nil
			},
		})
		status, _, answer := poller{t, p, "pixel"}.request(http.MethodPost, string(body))
		if !json.Valid([]byte(answer)) || status != 200 && status != 400 && status != 413 {
			t.Errorf("status %d: %s", status, answer)
		}
		for _, r := range got {
			if r.MessageID == "" || len(r.MessageID) > 36 || len(r.Code) > 64 || r.State < channel.Sent || strings.ContainsAny(r.MessageID+r.Code, "\r\n\x00") {
				t.Errorf("%+v", r)
			}
		}
		if status != 200 && len(got) > 0 {
			t.Errorf("%d, and %d receipts", status, len(got))
		}
	})
}
