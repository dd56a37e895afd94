package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the specification's vector

// The vector of the specification's libraries.
func TestSignature(t *testing.T) {
	t.Parallel()
	h := webhook{Name: "x", URL: "https://x.example/", Secrets: []string{hookSecret}}
	if err := h.complete(os.Getenv); err != nil {
		t.Fatal(err)
	}
	got := h.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("got %s", got)
	}
	for want, h := range map[string]webhook{
		"name":    {Name: "X", URL: "https://x.example/", Secrets: h.Secrets},
		"https":   {Name: "x", URL: "http://x.example/", Secrets: h.Secrets},
		"secrets": {Name: "x", URL: "https://x.example/"},
		"base64":  {Name: "x", URL: "https://x.example/", Secrets: []string{"whsec_c2hvcnQ="}},
	} {
		if err := h.complete(os.Getenv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// The tries go on for two days, and never sooner than the endpoint asks.
func TestSchedule(t *testing.T) {
	t.Parallel()
	m, now, total := &message{}, time.Unix(1e9, 0), time.Duration(0)
	for m.Tries = 1; ; m.Tries++ {
		at := m.next(waits, now, 0)
		if at.IsZero() {
			break
		}
		if d := at.Sub(now); d < waits[m.Tries-1]*8/10 || d > waits[m.Tries-1]*12/10 {
			t.Errorf("after try %d: %v", m.Tries, d)
		}
		total += at.Sub(now)
	}
	if m.Tries != 8 || total < 30*time.Hour || total > hookLife {
		t.Errorf("%d tries in %v", m.Tries, total)
	}
	m.Tries = 1
	if d := m.next(waits, now, time.Hour).Sub(now); d != time.Hour {
		t.Errorf("an hour was asked for, got %v", d)
	}
}

// An endpoint is an application's receiver, which answers as it is told.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	got    []delivery
	came   chan struct{}                      // something came since it was last looked at
	answer func(n int, w http.ResponseWriter) // n counts from 0; nil: 204
}

type delivery struct {
	header http.Header
	body   []byte
	notice notice
}

func newEndpoint(t *testing.T, answer func(int, http.ResponseWriter)) *endpoint {
	e := &endpoint{came: make(chan struct{}, 1), answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := delivery{header: r.Header}
		d.body, _ = io.ReadAll(r.Body)
		if err := json.Unmarshal(d.body, &d.notice); err != nil {
			t.Errorf("got %s: %v", d.body, err)
		}
		e.mu.Lock()
		n := len(e.got)
		e.got = append(e.got, d)
		e.mu.Unlock()
		select {
		case e.came <- struct{}{}:
		default:
		}
		if e.answer != nil {
			e.answer(n, w)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

// wait returns the first n deliveries.
func (e *endpoint) wait(t *testing.T, n int) []delivery {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		e.mu.Lock()
		got := e.got
		e.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-e.came:
		case <-late:
			t.Fatalf("%d of %d webhooks came", len(got), n)
		}
	}
}

// hooked starts a server whose application shop has an endpoint.
func hooked(t *testing.T, e *endpoint, change func(*config)) *rig {
	return start(t, func(c *config) {
		c.hookWaits = []time.Duration{time.Millisecond, time.Millisecond}
		c.Applications[0].Webhooks = []webhook{{Name: "main", URL: e.URL, Secrets: []string{hookSecret},
			DangerouslyPlaintext: true, PrivateNetwork: true}}
		if change != nil {
			change(c)
		}
	})
}

// Receivers of the Go and the npm library take what is sent, with the old secret and
// with the new one, and nothing in it is secret.
func TestRealReceivers(t *testing.T) {
	t.Parallel()
	next := "whsec_" + strings.Repeat("QUJD", 8)
	e := newEndpoint(t, nil)
	r := hooked(t, e, func(c *config) {
		c.Applications[0].Webhooks[0].Secrets = []string{next, hookSecret}
		c.Store = "redis://" + redistest.Start(t).Addr + "/0"
	})
	at := apiPath + "/" + r.want(r.shop, "201 pending", "POST", apiPath, annsLogin).body.ID
	code := r.people.read("+447912345601")
	r.want(r.shop, "422 code_refused, 4 attempts left", "POST", at+"/check", checkBody(other(code)))
	r.want(r.shop, "200 verified", "POST", at+"/check", checkBody(code))
	r.want(r.bank, "201 pending", "POST", apiPath, annsLogin) // has no webhook
	all := e.wait(t, 4)
	types := map[string]bool{}
	for _, d := range all {
		types[d.notice.Type] = true
		for _, secret := range []string{hookSecret, next} {
			h, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Verify(d.body, d.header); err != nil {
				t.Errorf("the Go library: %v", err)
			}
			if err := h.Verify(append(d.body, ' '), d.header); err == nil {
				t.Error("a changed body passes")
			}
		}
		for _, secret := range []string{code, "7912345601", "ann@example.com"} {
			if bytes.Contains(d.body, []byte(secret)) {
				t.Errorf("the webhook has %q: %s", secret, d.body)
			}
		}
		n := d.notice.Data
		if n.App != "shop" || n.Purpose != "login" || n.Country != "GB" || n.To.Phone != "+44******5601" {
			t.Errorf("got %s", d.body)
		}
	}
	for _, want := range []string{"created", "sent", "refused", "verified"} {
		if !types["verification."+want] {
			t.Errorf("no %s came: %v", want, types)
		}
	}
	verifyInNode(t, all[0], hookSecret)
}

// verifyInNode has the npm library verify a delivery.
func verifyInNode(t *testing.T, d delivery, secret string) {
	t.Helper()
	if out, refused := inNode(t, d, secret); refused || out != d.notice.Type {
		t.Errorf("the npm library: %s", out)
	}
	d.body = append(d.body, ' ')
	if _, refused := inNode(t, d, secret); !refused {
		t.Error("the npm library: a changed body passes")
	}
}

// inNode returns the type of a delivery that the npm library takes, or why it refuses it.
func inNode(t *testing.T, d delivery, secret string) (out string, refused bool) {
	t.Helper()
	found := false
	for _, dir := range filepath.SplitList(os.Getenv("NODE_PATH")) {
		_, err := os.Stat(filepath.Join(dir, "standardwebhooks"))
		found = found || err == nil
	}
	browsertest.Need(t, "standardwebhooks in NODE_PATH", found)
	headers := map[string]string{}
	for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		headers[name] = d.header.Get(name)
	}
	in, err := json.Marshal(map[string]any{"secret": secret, "headers": headers, "body": string(d.body)})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "-e", `const {Webhook, WebhookVerificationError} =
			require("standardwebhooks");
		const {secret, headers, body} = JSON.parse(require("fs").readFileSync(0));
		try { console.log(new Webhook(secret).verify(body, headers).type); } catch (e) {
			if (!(e instanceof WebhookVerificationError)) throw e;
			console.log("refused: " + e.message); }`)
	cmd.Stdin = bytes.NewReader(in)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	out = strings.TrimSpace(string(text))
	return out, strings.HasPrefix(out, "refused: ")
}

// An endpoint that fails gets the same message again, an endpoint that goes on failing
// is given up, and a replay begins anew. A redirect is no success, and not followed.
func TestRetriesAndReplay(t *testing.T) {
	t.Parallel()
	followed := newEndpoint(t, nil)
	e := newEndpoint(t, func(n int, w http.ResponseWriter) {
		switch n {
		case 0:
			w.WriteHeader(http.StatusInternalServerError)
		case 1:
			w.Header().Set("Location", followed.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		case 2: // taken
		case 3, 4, 5:
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	r := hooked(t, e, nil)
	test := func() { r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/test", "") }
	failures := func() (out struct{ Failures []failure }) {
		t.Helper()
		resp, err := r.shop.http.Do(r.request(r.shop, "GET", "/v1/webhooks/main/failures", ""))
		if err != nil {
			t.Fatal(err)
		}
		decodeInto(t, resp, &out)
		return out
	}
	test()
	got := e.wait(t, 3)
	id := got[0].header.Get("Webhook-Id")
	for _, d := range got {
		if d.header.Get("Webhook-Id") != id || !bytes.Equal(d.body, got[0].body) {
			t.Error("a repeat has another ID or body")
		}
	}
	test()
	e.wait(t, 6)
	for len(failures().Failures) == 0 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	if f := failures().Failures[0]; f.Tries != 3 || f.Status != http.StatusBadGateway || f.Type != "webhook.test" {
		t.Errorf("got %+v", f)
	}
	r.want(r.bank, "404 not_found", "GET", "/v1/webhooks/main/failures", "") // another application's
	r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/replay", "")
	if got := e.wait(t, 7); got[6].header.Get("Webhook-Id") != got[5].header.Get("Webhook-Id") {
		t.Error("a replay has another ID")
	}
	if n := len(failures().Failures); n != 0 || len(followed.got) > 0 {
		t.Errorf("%d failures are left, %d redirects were followed", n, len(followed.got))
	}
}

// buried waits until n messages of shop's endpoint have been given up.
func (r *rig) buried(n int) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; runtime.Gosched() {
		if all, err := r.s.sender.buried(r.t.Context(), "shop", "main"); err == nil && len(all) == n {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("there are not %d failures", n)
		}
	}
}

// 410 ends all calls, until a replay.
func TestGone(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(n int, w http.ResponseWriter) {
		if n == 0 {
			w.WriteHeader(http.StatusGone)
		}
	})
	r := hooked(t, e, nil)
	r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/test", "")
	r.buried(1)
	r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/test", "")
	r.buried(2)
	if n := len(e.wait(t, 1)); n != 1 {
		t.Errorf("an endpoint that is gone was called %d times", n)
	}
	r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/replay", "")
	e.wait(t, 3)
	r.buried(0)
}

// A process that is killed while it sends leaves the message to another, with the same
// ID.
func TestRealKilled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"TestRealRedis", "TestRealPostgres"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testKilled(t, stores[name](t))
		})
	}
}

func testKilled(t *testing.T, store string) {
	killed := make(chan struct{})
	e := newEndpoint(t, func(n int, _ http.ResponseWriter) {
		if n == 0 {
			<-killed
		}
	})
	secret, k, err := newKey("shop9")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/config.json"
	file := fmt.Sprintf(`{"listen":"127.0.0.1:0","admin":"127.0.0.1:0","store":%q,"applications":[{"name":"shop",
		"brand":"Shop","routes":[{"name":"sms","url":"console:phone"}],
		"webhooks":[{"name":"main","url":%q,"secrets":[%q],"dangerously_plaintext":true,
		"private_network":true}],
		"keys":[{"id":"shop9","sha256":%q,"scopes":["webhooks"]}]}]}`, store, e.URL, hookSecret, k.SHA256)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := otp.NewKeyring()
	text, err := keys.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, path, "OTP_KEYS="+string(text))
	r := &rig{t: t, keys: keys, open: (&phones{codes: map[string]string{}}).open, shop: &client{}, bank: &client{}}
	r.want(&client{p.url, secret, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}, "202 ", "POST",
		"/v1/webhooks/main/test", "")
	first := e.wait(t, 1)[0]
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	close(killed)
	c, err := readConfig(path, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	r.serve(c)
	if second := e.wait(t, 2)[1]; second.header.Get("Webhook-Id") != first.header.Get("Webhook-Id") {
		t.Error("the other process sends it with another ID")
	}
}
