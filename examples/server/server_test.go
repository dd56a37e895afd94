package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The demo says what expected.txt says.
func TestDemo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), nil, os.Getenv, &out); err != nil {
		t.Fatal(err, out.String())
	}
	want, err := os.ReadFile("expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Error(diff)
	}
}

// Whatever is asked, the answer is one of openapi.yaml, and neither a code nor an
// address is in the log or in an answer.
func TestAnswersFitTheDocument(t *testing.T) {
	t.Parallel()
	for name, async := range map[string]bool{"sync": false, "async": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *config) {
				for i := range c.Applications {
					c.Applications[i].Async = async
				}
			})
			created := "201 pending"
			if async {
				created = "202 pending"
			}
			at := apiPath + "/" + r.want(r.shop, created, "POST", apiPath, annsLogin).body.ID
			r.want(r.shop, "200 pending", "GET", at, "", "Otp-Subject", "ann")
			r.want(r.shop, "404 not_found", "GET", at, "", "Otp-Subject", "bob")
			r.want(r.bank, "404 not_found", "GET", at, "", "Otp-Subject", "ann")
			r.want(r.bank, "404 not_found", "DELETE", at, "", "Otp-Subject", "ann")
			r.want(r.bank, "404 not_found", "POST", at+"/resend", `{"subject":"ann"}`)
			r.want(r.shop, "400 malformed", "POST", apiPath, `{"subject":1}`)
			r.want(r.shop, "422 invalid", "POST", apiPath, `{"subject":"ann","to":{"phone":"0800"}}`)
			r.want(r.shop, "400 invalid", "GET", at, "")
			r.want(r.shop, "400 invalid", "POST", at+"/resend", `{"subject":"ann"}`, "Idempotency-Key", `"`)
			r.want(r.shop, "413 too_large", "POST", apiPath, `"`+strings.Repeat("x", 96<<10)+`"`)
			r.want(r.shop, "415 unsupported_media_type", "POST", at+"/check", "x", "Content-Type", "text/plain")
			r.want(r.shop, "422 code_refused", "POST", at+"/check", checkBody("12"))
			r.want(r.shop, "204 ", "DELETE", at, "", "Otp-Subject", "ann")
			r.want(r.shop, "409 closed", "DELETE", at, "", "Otp-Subject", "ann")
			for range 4 {
				r.want(r.shop, created, "POST", apiPath, annsLogin)
			}
			r.want(r.shop, "429 limited, with Retry-After", "POST", apiPath, annsLogin)
			r.want(r.shop, "404 not_found", "GET", "/v1", "")
			r.want(r.shop, "405 method_not_allowed", "PUT", at, "")
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			for _, secret := range []string{"447912345601", "ann@", r.people.read("+447912345601"), r.shop.key} {
				if secret != "" && strings.Contains(r.log.String(), secret) {
					t.Errorf("the log has %q:\n%s", secret, r.log)
				}
			}
		})
	}
}

// The document is served, and answers that it does not have are found.
func TestDocument(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	resp, err := r.shop.http.Get(r.s.url() + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(text, openAPI) {
		t.Errorf("got %v, %d octets", err, len(text))
	}
	q, _ := http.NewRequest(http.MethodPost, r.s.url()+apiPath, nil)
	q.Header.Set("Content-Type", "application/json")
	header := http.Header{"Content-Type": {"application/json"}, "Location": {"/x"}}
	good := `{"id":"x","status":"pending","next":"wait","to":{"phone":"+44***"},` +
		`"delivery":{"state":"sent","delivered":false},"created":"2026-01-02T03:04:05Z",` +
		`"expires":"2026-01-02T03:04:05Z","expires_in":1,"sends_left":1,"attempts_left":1}`
	if err := fits(q, []byte(annsLogin), 201, header, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, m := range [][2]string{{`"pending"`, `"open"`}, {`"id":"x",`, ``}, {`"expires_in":1`, `"expires_in":"1"`},
		{`"status"`, `"code":"123456","status"`}, {`"wait"`, `"hope"`}, {`"sent"`, `"flying"`}, {`"phone"`, `"fax"`}} {
		if err := fits(q, []byte(annsLogin), 201, header, []byte(strings.Replace(good, m[0], m[1], 1))); err == nil {
			t.Errorf("%s in place of %s fits", m[1], m[0])
		}
	}
	if fits(q, []byte(annsLogin), 418, header, []byte(good)) == nil {
		t.Error("a status that the document does not have fits")
	}
}

// An API key opens what it is for, from where, as often as it may, until it ends.
func TestKeys(t *testing.T) {
	t.Parallel()
	secret := map[string]string{}
	r := start(t, func(c *config) {
		for _, id := range []string{"old", "far", "few", "none"} {
			s, k, err := newKey(id)
			if err != nil {
				t.Fatal(err)
			}
			secret[id] = s
			switch id {
			case "old":
				k.Expires = time.Now().Add(-time.Second)
			case "far":
				k.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			case "few":
				k.Rate = 2
			}
			c.Applications[0].Keys = append(c.Applications[0].Keys, k)
		}
	})
	(*r.s.gate.keys.Load())["none"].Scopes = []string{"another"}
	as := func(id string) *client { return &client{r.shop.url, secret[id], r.shop.http} }
	status := func(c *client, want string) *answer {
		t.Helper()
		return r.want(c, want, "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	}
	challenge := func(a *answer, want string) {
		if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	challenge(status(as("old"), "401 unauthorized"), "invalid_token")
	status(as("far"), "403 forbidden")
	challenge(status(as("none"), "403 forbidden"), "insufficient_scope")
	for range 2 {
		if a := status(as("few"), "404 not_found"); a.header.Get("RateLimit-Policy") != `"key";q=2;w=60` {
			t.Errorf("got %v", a.header)
		}
	}
	status(as("few"), "429 rate_limited, with Retry-After")
	status(r.shop, "404 not_found")
	for _, bad := range []string{"", "otpk_", "otpk_shop1_", r.bank.key[:len(r.bank.key)-1],
		strings.Replace(r.shop.key, "shop1", "bank1", 1)} {
		status(&client{r.shop.url, bad, r.shop.http}, "401 unauthorized")
	}
}

// Ten wrong keys block an address, and a right key does not open it again.
func TestBlock(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	from := func(c *client, want, addr string) {
		t.Helper()
		r.want(c, want, "GET", apiPath+"/x", "", "Otp-Subject", "ann", "X-Forwarded-For", addr)
	}
	guess := &client{r.shop.url, "otpk_shop1_guess", r.shop.http}
	for range maxFailures {
		from(guess, "401 unauthorized", "2001:db8::1")
	}
	from(guess, "429 rate_limited, with Retry-After", "2001:db8::2") // the same /64
	from(r.shop, "429 rate_limited, with Retry-After", "2001:db8::1")
	from(r.shop, "429 rate_limited, with Retry-After", "198.51.100.7, 2001:db8::1") // a forged entry before it
	from(r.shop, "404 not_found", "198.51.100.7")
}

// The guard of an application refuses what is pumped: other countries, and a block of
// numbers whose codes nobody types.
func TestGuard(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) {
		c.Applications[0].Budget = "1000"
		c.Applications[0].Guard = &guardConfig{Countries: []string{"GB"}}
	})
	create := func(c *client, number string) string {
		a, err := c.ask(t.Context(), "POST", apiPath, `{"subject":"s`+number+`","to":{"phone":"`+number+`"}}`)
		if err != nil {
			t.Fatal(err)
		}
		return a.String()
	}
	if got := create(r.shop, "+33612345678"); !strings.HasPrefix(got, "429 guarded") {
		t.Errorf("a country that is not the application's: %s", got)
	}
	if got := create(r.bank, "+33612345678"); got != "201 pending" {
		t.Errorf("an application without a guard: %s", got)
	}
	sent := 0
	for i := range 30 {
		if create(r.shop, fmt.Sprintf("+4479123456%02d", i)) == "201 pending" {
			sent++
		}
	}
	if sent == 0 || sent > 16 {
		t.Errorf("%d of 30 numbers in a row were sent to", sent)
	}
}

// SIGHUP takes the keys of the file: a new one opens, an old one does not.
func TestReload(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	secret, k, err := newKey("shop2")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/config.json"
	file := fmt.Sprintf(`{"applications":[{"name":"shop","brand":"Shop","routes":[{"name":"sms","url":"console:phone"}],
		"keys":[{"id":"shop2","sha256":%q,"scopes":["verifications"]}]}]}`, k.SHA256)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	r.s.reload(path, none)
	next := &client{r.shop.url, secret, r.shop.http}
	r.want(next, "201 pending", "POST", apiPath, annsLogin)
	r.want(r.shop, "401 unauthorized", "POST", apiPath, annsLogin)
	if err := os.WriteFile(path, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	r.s.reload(path, none) // a mistake in the file changes nothing
	r.want(next, "201 pending", "POST", apiPath, annsLogin)
}

// A request under way when the server is told to end has its answer.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.people.slow = make(chan struct{})
	r.people.begun = make(chan struct{}, 1)
	answered := make(chan *answer, 1)
	go func() {
		a, err := r.shop.ask(t.Context(), "POST", apiPath, annsLogin)
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	<-r.people.begun
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	for !r.s.draining.Load() {
		runtime.Gosched()
	}
	if state := r.s.ready(t.Context()); state.Ready || !state.Draining {
		t.Errorf("a server that ends says %+v", state)
	}
	close(r.people.slow)
	if a := <-answered; a == nil || a.status != 201 {
		t.Errorf("got %v", a)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A process is this test's program, started as a server.
type process struct {
	cmd *exec.Cmd
	log syncBuffer
	url string
}

func startProcess(t *testing.T, path string, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(t.Context(), os.Args[0], "-serve", "-config", path)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	m := regexp.MustCompile(`^API on (\S+), health on \S+$`).FindStringSubmatch(strings.TrimSpace(line))
	if m == nil {
		t.Fatalf("got %q\n%s", line, &p.log)
	}
	p.url = m[1]
	return p
}

// The program serves a file, reads its keys anew on SIGHUP, and ends on SIGTERM.
func TestProcess(t *testing.T) {
	t.Parallel()
	secret, k, err := newKey("shop1")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/config.json"
	file := fmt.Sprintf(`{"listen":"127.0.0.1:0","admin":"127.0.0.1:0","applications":[{"name":"shop","brand":"Shop",
		"routes":[{"name":"sms","url":"console:phone"}],
		"keys":[{"id":"shop1","sha256":%q,"scopes":["verifications"]}]}]}`, k.SHA256)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, path)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &client{p.url, secret, &http.Client{Transport: &checked{t, transport}}}
	if a, err := c.ask(t.Context(), "POST", apiPath, annsLogin); err != nil || a.status != 201 {
		t.Errorf("got %v %v\n%s", a, err, &p.log)
	}
	for _, signal := range []os.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := p.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &p.log)
	}
}

// The keys that the program prints are those that the file takes.
func TestPrintKey(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"key", "shop1"}, nil, &out); err != nil {
		t.Fatal(err)
	}
	secret := regexp.MustCompile(`otpk_shop1_[A-Za-z0-9_-]{43}`).FindString(out.String())
	if secret == "" || !strings.Contains(out.String(), fmt.Sprintf("%x", sha256.Sum256([]byte(secret)))) {
		t.Errorf("got %s", &out)
	}
	for _, bad := range [][]string{{"key"}, {"key", "Shop 1"}, {"-config", "x"}, {"-serve", "-config", "absent.json"}} {
		if err := run(t.Context(), bad, os.Getenv, io.Discard); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	env := func(name string) string {
		return map[string]string{"OTP_STORE": "redis://elsewhere:6379/0", "OTP_WEBHOOK_SECRET": hookSecret}[name]
	}
	example, err := os.ReadFile("config.example.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(example, env)
	if err != nil {
		t.Fatal(err)
	}
	if k := c.Applications[0].Keys[0]; c.Store != "redis://elsewhere:6379/0" || k.app != "shop" || len(k.sum) != 32 {
		t.Errorf("got %+v", c)
	}
	text, err := json.Marshal(newOperator("ann", roleViewer))
	if err != nil {
		t.Fatal(err)
	}
	twin := string(text) + ","
	for want, change := range map[string][2]string{
		"applications[0].name":            {`"name": "shop"`, `"name": "Shop!"`},
		"applications[0].brand":           {`"brand": "Shop"`, `"brand": ""`},
		"applications[0].routes":          {string(example), `{"applications":[{"name":"a","brand":"A"}]}`},
		"applications[0].webhooks[0].url": {`"https://shop.example/hooks/otp"`, `"http://shop.example/"`},
		"webhooks[0].secrets":             {`"$OTP_WEBHOOK_SECRET"`, `"$UNSET"`},
		"applications[0].return_urls[0]":  {`"https://shop.example/"`, `"shop.example"`},
		"applications[0].countries[0]":    {`"countries": ["GB", "IE", "FR", "DE"],`, `"countries": ["UK"],`},
		"issuers[0].applications":         {`{"shop-backend": "shop"}`, `{"shop-backend": "bank"}`},
		"oauth: with a store":             {`"public_url": "https://verify.shop.example",`, ``},
		"public_url":                      {`"https://verify.shop.example"`, `"verify"`},
		"applications[0].keys[0].sha256":  {`"sha256": "`, `"sha256": "0`},
		"applications[0].keys[0].scopes":  {`"scopes": ["verifications", "pages"`, `"scopes": ["everything"`},
		"applications[0].keys[0].rate":    {`"rate": 600`, `"rate": -1`},
		"operators[0].role":               {`"role": "operator"`, `"role": "owner"`},
		"operators[0].name: it must":      {`"name": "ann"`, `"name": "Ann"`},
		"operators[1].name: another":      {`"operators": [`, `"operators": [` + twin},
		"operators[0].password: it must":  {`"$argon2id$`, `"$argon2i$`},
		"operators[0].password: m must":   {`$m=65536,`, `$m=1024,`},
		"keys[1].scopes":                  {`["verifications"]`, `["dashboard"]`},
		"proxies: it is required":         {`"proxies": ["127.0.0.0/8"],`, ``},
		"cert and key":                    {`"listen"`, `"cert": "x.pem", "listen"`},
		"unknown field":                   {`"listen"`, `"listne"`},
		"applications: there is none":     {string(example), `{}`},
		"something follows":               {string(example), string(example) + "{}"},
		"applications[0].keys[1].id":      {`"id": "shop2"`, `"id": "shop1"`},
		"routes[0].prices.GB: it must be": {`"GB": 0.031,`, `"GB": 3.1e-2,`},
		"budget: it is required":          {`"budget": 400,`, ``},
		"invalid number literal":          {`"budget": 400,`, `"budget": "much",`},
		"unknown unit":                    {`"5m"`, `"5 minutes"`},
	} {
		_, err := parseConfig([]byte(strings.Replace(string(example), change[0], change[1], 1)), env)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}
