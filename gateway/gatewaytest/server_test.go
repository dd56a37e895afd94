package gatewaytest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
)

const (
	ann    = "+447912345601"
	secret = "s3cret"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     gatewaytest.Kind
		start    func(gatewaytest.Config) *gatewaytest.Server
		suffix   string
		devices  string
		location string
	}{
		{
			gatewaytest.Private, gatewaytest.NewTLSServer, "/api/3rdparty/v1", "/devices",
			"/api/3rdparty/v1/messages/otp-1",
		},
		{gatewaytest.Cloud, gatewaytest.NewPipeServer, "/3rdparty/v1", "/devices", "/3rdparty/v1/messages/otp-1"},
		{gatewaytest.OnPhone, gatewaytest.NewServer, "", "/device", ""},
	} {
		srv := c.start(gatewaytest.Config{Kind: c.kind, Username: "user", Password: secret})
		api := newClient(t, srv)
		phone := srv.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", SIMs: []string{"+447912345699", ""}, Manual: true})
		if !strings.HasSuffix(srv.URL, c.suffix) {
			t.Errorf("URL %q does not end in %q", srv.URL, c.suffix)
		}
		a := api.send("otp-1", `,"simNumber":2,"ttl":300,"priority":100`, 202)
		if got := a.header.Get("Location"); got != c.location {
			t.Errorf("Location %q, want %q", got, c.location)
		}
		delete(a.body, "states")
		want := map[string]any{
			"id": "otp-1", "deviceId": "pixel", "state": "Pending", "isHashed": false, "isEncrypted": false,
			"recipients": []any{map[string]any{"phoneNumber": ann, "state": "Pending"}},
		}
		if diff := cmp.Diff(want, a.body); diff != "" {
			t.Error(diff)
		}
		taken := phone.Take()
		if len(taken) != 1 || taken[0].SIM != 2 || taken[0].TTL != 5*time.Minute || taken[0].Priority != 100 ||
			!taken[0].DeliveryReport {
			t.Errorf("taken: %+v", taken)
		}
		devices := api.call("GET", c.devices, "", 200).list
		if len(devices) != 1 || devices[0]["id"] != "pixel" || devices[0]["lastSeen"] == nil ||
			len(devices[0]["simCards"].([]any)) != 2 {
			t.Errorf("devices: %v", devices)
		}
		if got := api.call("GET", "/health", "", 200).body["status"]; got != "pass" {
			t.Errorf("health %q", got)
		}
		if a := api.call("GET", "/nothing", "", 404); a.body != nil ||
			a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("an unknown path is answered with %q", a.text)
		}
		api.call("PUT", "/messages", "", 405)
		for method, path := range map[string]string{"POST": "/messages", "GET": c.devices} {
			r, _ := http.NewRequestWithContext(t.Context(), method, srv.URL+path, http.NoBody)
			r.SetBasicAuth("user", "wrong")
			res, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized {
				t.Errorf("a wrong password is answered with %d", res.StatusCode)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewPipeServer(gatewaytest.Config{QueueLimit: 2})
	c := newClient(t, srv)
	if a := c.send("early", "", 400); a.body["message"] == "" {
		t.Error("no message without a phone")
	}
	srv.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
	for what, body := range map[string]string{
		"bad JSON":        `{`,
		"no content":      `{"phoneNumbers":["` + ann + `"]}`,
		"two contents":    `{"message":"a","textMessage":{"text":"a"},"phoneNumbers":["` + ann + `"]}`,
		"empty text":      `{"textMessage":{"text":""},"phoneNumbers":["` + ann + `"]}`,
		"no number":       `{"textMessage":{"text":"a"}}`,
		"national number": `{"textMessage":{"text":"a"},"phoneNumbers":["07912345601"]}`,
		"landline":        `{"textMessage":{"text":"a"},"phoneNumbers":["+442079460018"]}`,
		"twice":           `{"textMessage":{"text":"a"},"phoneNumbers":["` + ann + `","` + ann + `"]}`,
		"long id": `{"id":"` + strings.Repeat("x", 37) + `","textMessage":{"text":"a"},"phoneNumbers":["` +
			ann + `"]}`,
		"no such device": `{"deviceId":"other","textMessage":{"text":"a"},"phoneNumbers":["` + ann + `"]}`,
		"simNumber 0":    `{"simNumber":0,"textMessage":{"text":"a"},"phoneNumbers":["` + ann + `"]}`,
		"simNumber 4":    `{"simNumber":4,"textMessage":{"text":"a"},"phoneNumbers":["` + ann + `"]}`,
		"ttl 4":          `{"ttl":4,"textMessage":{"text":"a"},"phoneNumbers":["` + ann + `"]}`,
		"ttl and until": `{"ttl":5,"validUntil":"2030-01-01T00:00:00Z","textMessage":{"text":"a"},"phoneNumbers":["` +
			ann + `"]}`,
		"priority 128": `{"priority":128,"textMessage":{"text":"a"},"phoneNumbers":["` + ann + `"]}`,
	} {
		a, err := c.try("POST", "/messages", body)
		if err != nil || a.status != 400 || a.body["message"] == nil {
			t.Errorf("%s: %v %d %s", what, err, a.status, a.text)
		}
	}
	c.call("POST", "/messages?skipPhoneValidation=maybe", "{}", 400)
	c.call("POST", "/messages?skipPhoneValidation=true",
		`{"id":"one","textMessage":{"text":"a"},"phoneNumbers":["+447700900123"]}`, 202)
	c.send("one", "", 409)
	c.send("two", "", 202)
	if a := c.send("three", "", 503); !strings.HasPrefix(a.body["message"].(string), "queue limits exceeded") {
		t.Errorf("at the limit: %s", a.text)
	}
	c.call("GET", "/messages/none", "", 404)
	c.call("DELETE", "/messages/none", "", 404)
	c.call("DELETE", "/messages/one", "", 200)
	c.call("DELETE", "/messages/one", "", 409)
	if got := c.state("one"); got != "Cancelling" {
		t.Errorf("state %s before the phone has heard of it", got)
	}
	c.send("three", "", 202) // what is to be cancelled is not pending
}

// TestDevices shows what an id is worth: it is known to one device only.
func TestDevices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.NewPipeServer(gatewaytest.Config{NoCancel: true})
		c := newClient(t, srv)
		first := srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
		srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
		c.send("same", `,"deviceId":"phone-1"`, 202)
		c.send("same", `,"deviceId":"phone-1"`, 409)
		c.send("same", `,"deviceId":"phone-2"`, 202)
		c.call("GET", "/messages/same", "", 500)
		c.call("DELETE", "/messages/same", "", 405)

		within := func(hours string, want int) {
			t.Helper()
			c.call("POST", "/messages?deviceActiveWithin="+hours,
				`{"deviceId":"phone-1","message":"a","phoneNumbers":["`+ann+`"]}`, want)
		}
		first.SetOffline(true)
		time.Sleep(90 * time.Minute)
		within("1", 400)
		within("2", 202)
		lastSeen := c.call("GET", "/devices", "", 200).list[0]["lastSeen"].(string)
		if seen, err := time.Parse(time.RFC3339Nano, lastSeen); err != nil || time.Since(seen) != 90*time.Minute {
			t.Errorf("last seen %v, %v", seen, err)
		}
		first.SetOffline(false)
		within("1", 202)
		first.SetLastSeen(time.Now().Add(-3 * time.Hour))
		within("2", 400)
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.NewPipeServer(gatewaytest.Config{JWT: true, Username: "user", Password: secret})
		c := newClient(t, srv)
		srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
		c.call("POST", "/auth/token", `{"scopes":[]}`, 400)
		c.call("POST", "/auth/token/refresh", "", 403) // Basic is not enough
		pair := c.call("POST", "/auth/token", `{"ttl":60,"scopes":["messages:send"]}`, 201).body
		if expires, err := time.Parse(time.RFC3339Nano, pair["expires_at"].(string)); err != nil ||
			time.Until(expires) > time.Minute || pair["token_type"] != "Bearer" {
			t.Errorf("%v: %v", pair, err)
		}
		access, refresh := pair["access_token"].(string), pair["refresh_token"].(string)

		c.bearer = access
		c.send("one", "", 202)
		if a := c.call("GET", "/messages/one", "", 403); a.body["message"] != "scope required: messages:read" {
			t.Errorf("without the scope: %s", a.text)
		}
		c.call("POST", "/auth/token/refresh", "", 403)
		time.Sleep(time.Minute)
		c.send("two", "", 401)

		c.bearer = refresh
		c.send("two", "", 403)
		next := c.call("POST", "/auth/token/refresh", "", 201).body
		c.call("POST", "/auth/token/refresh", "", 401) // works once
		c.bearer = next["access_token"].(string)
		c.send("two", "", 202)
		c.bearer = ""
		c.call("DELETE", "/auth/token/"+next["id"].(string), "", 204)
		c.bearer = next["access_token"].(string)
		c.send("three", "", 401)
		c.bearer = next["refresh_token"].(string)
		c.call("POST", "/auth/token/refresh", "", 401)

		c.bearer = ""
		c.bearer = c.call("POST", "/auth/token", `{"scopes":["all:any"]}`, 201).body["access_token"].(string)
		c.send("three", "", 202)
		srv.RevokeTokens()
		c.send("four", "", 401)
	})
	off := newClient(t, gatewaytest.NewPipeServer(gatewaytest.Config{}))
	off.call("POST", "/auth/token", `{"scopes":["messages:send"]}`, 501)
	off.bearer = "some"
	off.send("one", "", 401)
}

func TestHashing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.NewPipeServer(gatewaytest.Config{})
		c := newClient(t, srv)
		phone := srv.AddPhone(gatewaytest.PhoneConfig{Manual: true})
		c.call("POST", "/messages", `{"id":"one","textMessage":{"text":"a"},"phoneNumbers":["+19162255887"]}`, 202)
		c.call("POST", "/messages",
			`{"id":"sealed","isEncrypted":true,"textMessage":{"text":"$a"},"phoneNumbers":["$b"]}`, 202)
		time.Sleep(time.Hour) // not before the phone has reported
		number := func(id string) (string, bool) {
			m := c.call("GET", "/messages/"+id, "", 200).body
			return m["recipients"].([]any)[0].(map[string]any)["phoneNumber"].(string), m["isHashed"].(bool)
		}
		if n, hashed := number("one"); n != "+19162255887" || hashed {
			t.Errorf("%s %v while pending", n, hashed)
		}
		phone.Report("one", gatewaytest.Processed, "")
		phone.Report("sealed", gatewaytest.Processed, "")
		time.Sleep(time.Minute - 1)
		if n, hashed := number("one"); n != "+19162255887" || hashed {
			t.Errorf("%s %v before a minute", n, hashed)
		}
		time.Sleep(time.Nanosecond)
		// The first 16 digits that "printf +19162255887 | sha256sum" prints.
		if n, hashed := number("one"); n != "507dba5a56396580" || !hashed {
			t.Errorf("%s %v after a minute", n, hashed)
		}
		if n, hashed := number("sealed"); n != "$b" || hashed {
			t.Errorf("%s %v, though encrypted", n, hashed)
		}
	})
}

func TestWebhooksRegistered(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewPipeServer(gatewaytest.Config{})
	c := newClient(t, srv)
	srv.AddPhone(gatewaytest.PhoneConfig{ID: "pixel", Manual: true})
	for _, bad := range []string{
		`{`, `{"url":"http://a.example/","event":"sms:sent"}`, `{"url":"https://a.example/","event":"sms:lost"}`,
		`{"event":"sms:sent"}`, `{"url":"https://a.example/","event":"sms:sent","deviceId":"other"}`,
	} {
		c.call("POST", "/webhooks", bad, 400)
	}
	id := c.call("POST", "/webhooks", `{"url":"https://a.example/","event":"sms:sent"}`, 201).body["id"].(string)
	c.call("POST", "/webhooks", `{"id":"mine","url":"https://a.example/","event":"sms:sent"}`, 201)
	c.call("POST", "/webhooks", `{"id":"mine","url":"https://b.example/","event":"sms:failed","deviceId":"pixel"}`, 201)
	c.call("DELETE", "/webhooks/"+id, "", 204)
	c.call("DELETE", "/webhooks/"+id, "", 204)
	want := []map[string]any{{"id": "mine", "url": "https://b.example/", "event": "sms:failed", "deviceId": "pixel"}}
	if diff := cmp.Diff(want, c.call("GET", "/webhooks", "", 200).list); diff != "" {
		t.Error(diff)
	}
}

func TestHandlerClient(t *testing.T) {
	t.Parallel()
	c := gatewaytest.HandlerClient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/body":
			b, err := io.ReadAll(r.Body)
			if err != nil || r.TLS == nil || r.Host != "a.example" {
				t.Errorf("%v, TLS %v, host %q", err, r.TLS, r.Host)
			}
			w.Header().Set("X-Before", "1")
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-After", "1")
			_, _ = w.Write(b)
		}
	}))
	do := func(path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://a.example"+path,
			strings.NewReader("hi"))
		if err != nil {
			t.Fatal(err)
		}
		return c.Do(r)
	}
	if res, err := do("/abort"); err == nil {
		res.Body.Close()
		t.Errorf("status %d", res.StatusCode)
	}
	res, err := do("/body")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(b) != "hi" || res.StatusCode != http.StatusTeapot || res.Header.Get("X-Before") != "1" ||
		res.Header.Get("X-After") != "" {
		t.Errorf("%v %q %d %v", err, b, res.StatusCode, res.Header)
	}
	if res, err = do("/nothing"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v", err)
	}
	res.Body.Close()
}
