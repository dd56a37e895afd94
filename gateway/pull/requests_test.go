package pull_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestRequests(t *testing.T) {
	t.Parallel()
	c, receipts := twoPhones()
	p := newChannel(t, c)
	c.DangerouslyPlaintext = true
	open := newChannel(t, c)
	received := `{"messages":[{"id":"x","from":"+1","content":"hi","sms_sent":1}]}`
	report := `{"updates":[{"id":"a.1","status":"SENT"}]}`
	for name, row := range map[string]struct {
		pull            *pull.Channel
		method, url     string
		body, encoding  string
		status, receipt int
	}{
		"hello":           {p, "GET", "https://h/", "", "", 200, 0},
		"hello by hash":   {p, "GET", "https://h/?id=pixel&h=" + weakHash, "", "", 200, 0},
		"no lists":        {p, "POST", "https://h/", `{}`, "", 200, 0},
		"null lists":      {p, "POST", "https://h/", `{"messages":null,"updates":null}`, "", 200, 0},
		"received SMS":    {p, "POST", "https://h/", received, "", 200, 0},
		"a report":        {p, "POST", "https://h/", report, "", 200, 1},
		"gzip":            {p, "POST", "https://h/", gzipped(strings.Replace(report, "a.1", "b.1", 1)), "gzip", 200, 1},
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
		"hash of another": {p, "GET", "https://h/?id=nokia&h=" + weakHash, "", "", 401, 0},
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
			r.SetBasicAuth("pixel", secret)
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
			n := len(receipts.got) - before
			t.Errorf("%s: status %d, want %d; %d receipts; %v", name, res.StatusCode, row.status, n, err)
		case row.method == http.MethodGet && row.status == 200 && answer["medic-gateway"] != true,
			row.status == 200 && row.method == http.MethodPost && answer["messages"] == nil,
			row.status != 200 && (answer["error"] != true || answer["message"] == ""):
			t.Errorf("%s: %v", name, answer)
		case res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Content-Type") != "application/json":
			t.Errorf("%s: %v", name, res.Header)
		}
	}
}

func FuzzPoll(f *testing.F) {
	f.Add([]byte(`{"messages":[{"id":"x","from":"+1","content":"hi"}],"updates":[{"id":"c4n7.1","status":"SENT"}]}`))
	f.Add([]byte(`{"updates":[{"id":"c4n7.1","status":"FAILED","reason":"no-service"},` +
		`{"id":"c4n7.1","status":"DELIVERED"}]}`))
	f.Add([]byte(`{"updates":[{"id":"../x","status":"SENT"},null]}`))
	f.Add([]byte(`{"updates":null}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var got []channel.Receipt
		p := newChannel(t, pull.Config{
			Phones: []pull.Phone{{ID: "pixel", Password: secret}},
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
			wrong := r.MessageID == "" || len(r.MessageID) > 36 || len(r.Code) > 64 || r.State < channel.Sent
			if wrong || strings.ContainsAny(r.MessageID+r.Code, "\r\n\x00") {
				t.Errorf("%+v", r)
			}
		}
		if status != 200 && len(got) > 0 {
			t.Errorf("%d, and %d receipts", status, len(got))
		}
	})
}
