package main

import (
	"bufio"
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// Each language of the messages has every text of the page.
func TestTexts(t *testing.T) {
	t.Parallel()
	verbs := regexp.MustCompile(`%.`)
	for _, lang := range wording.Languages() {
		if len(texts[lang]) != len(texts["en"]) {
			t.Errorf("%s has %d texts, en %d", lang, len(texts[lang]), len(texts["en"]))
		}
		for name, en := range texts["en"] {
			text := texts[lang][name]
			if text == "" || !slices.Equal(verbs.FindAllString(text, -1), verbs.FindAllString(en, -1)) {
				t.Errorf("%s: %s is %q", lang, name, text)
			}
		}
		list := countriesOf(lang)
		names := map[string]bool{}
		for _, c := range list {
			if names[c.Name] && c.Code != "CD" && c.Code != "CG" {
				t.Errorf("%s: two countries are %q", lang, c.Name)
			}
			names[c.Name] = true
		}
		if len(list) < 240 {
			t.Errorf("%s: %d countries", lang, len(list))
		}
	}
	if len(texts) != len(wording.Languages()) {
		t.Errorf("%d languages have texts", len(texts))
	}
}

// A visitor is a browser without script.
type visitor struct {
	t      testing.TB
	client *http.Client
	base   string
	page   string // the last that came
	status int
}

func (r *rig) visit() *visitor {
	return newVisitor(r.t, r.s.url())
}

func newVisitor(t testing.TB, base string) *visitor {
	jar := &secureJar{}
	jar.inner, _ = cookiejar.New(nil)
	transport := &http.Transport{DisableKeepAlives: true}
	return &visitor{t: t, base: base, client: &http.Client{Jar: jar, Transport: transport}}
}

// secureJar holds what a browser takes from 127.0.0.1 without TLS.
type secureJar struct{ inner http.CookieJar }

func (j *secureJar) SetCookies(u *url.URL, c []*http.Cookie) { j.inner.SetCookies(secured(u), c) }
func (j *secureJar) Cookies(u *url.URL) []*http.Cookie       { return j.inner.Cookies(secured(u)) }

func secured(u *url.URL) *url.URL {
	s := *u
	s.Scheme = "https"
	return &s
}

func (v *visitor) get(at string) *visitor {
	v.t.Helper()
	if strings.HasPrefix(at, "/") {
		at = v.base + at
	}
	return v.read(v.client.Get(at))
}

func (v *visitor) read(resp *http.Response, err error) *visitor {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.page, v.status = html.UnescapeString(string(body)), resp.StatusCode
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
			"img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"Referrer-Policy": "same-origin", "Permissions-Policy": "otp-credentials=(self)", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff"} {
		if got := resp.Header.Get(name); got != want {
			v.t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	return v
}

// post fills in a form of the page, hidden fields included.
func (v *visitor) post(at string, fields ...string) *visitor {
	v.t.Helper()
	form := url.Values{}
	_, part, found := strings.Cut(v.page, `action="`+at+`"`)
	if !found {
		v.t.Fatalf("the page has no form for %s:\n%s", at, v.page)
	}
	part, _, _ = strings.Cut(part, "</form>")
	for _, m := range regexp.MustCompile(`type="hidden" name="(\w+)" value="(\w*)"`).FindAllStringSubmatch(part, -1) {
		form.Set(m[1], m[2])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.read(v.client.PostForm(v.base+at, form))
}

func (v *visitor) says(want ...string) *visitor {
	v.t.Helper()
	for _, w := range want {
		if !strings.Contains(v.page, w) {
			v.t.Fatalf("%d, the page does not say %q:\n%s", v.status, w,
				regexp.MustCompile(`<option.*\n`).ReplaceAllString(v.page, ""))
		}
	}
	return v
}

// newPage makes a page as the shop's backend does.
func (r *rig) newPage(body string) (id, link string) {
	r.t.Helper()
	var out pageState
	resp, err := r.shop.http.Do(r.request(r.shop, http.MethodPost, pagesPath, body))
	if err != nil {
		r.t.Fatal(err)
	}
	decodeInto(r.t, resp, &out)
	if resp.StatusCode != http.StatusCreated || out.Status != "open" {
		r.t.Fatalf("got %d %+v", resp.StatusCode, out)
	}
	return out.ID, out.URL
}

func (r *rig) pageState(c *client, id string) (out pageState) {
	r.t.Helper()
	resp, err := c.http.Do(r.request(c, http.MethodGet, pagesPath+"/"+id, ""))
	if err != nil {
		r.t.Fatal(err)
	}
	decodeInto(r.t, resp, &out)
	return out
}

const signUp = `{"subject":"ann","purpose":"sign-up","language":"en","reference":"order-7",
	"return_url":"https://shop.example/done?x=1"}`

// go run . -serve -demo prints links that open the page and the dashboard.
func TestServeDemo(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	env := func(name string) string {
		return map[string]string{"OTP_LISTEN": "127.0.0.1:0", "OTP_ADMIN": "127.0.0.1:0"}[name]
	}
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-serve", "-demo"}, env, in) }()
	lines := bufio.NewScanner(out)
	link := ""
	for link == "" && lines.Scan() {
		_, link, _ = strings.Cut(lines.Text(), "works once: ")
	}
	v := newVisitor(t, link)
	v.get(link).says("Shop", `name="phone"`)
	lines.Scan()
	_, board, _ := strings.Cut(lines.Text(), "dashboard: ")
	lines.Scan()
	_, password, _ := strings.Cut(lines.Text(), "password ")
	o := newOperatorClient(t, strings.TrimSuffix(board, "/dashboard?application=bank"))
	o.post("/dashboard/sign-in", "name", "ann", "password", password)
	for end := time.Now().Add(time.Minute); ; {
		_, text, _ := o.post("/dashboard?application=bank")
		if strings.Contains(text, "Germany") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the dashboard says %s", text)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A person's whole way, without script.
func TestPage(t *testing.T) {
	t.Parallel()
	for name, shared := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := shared(t)
			r := start(t, func(c *config) { c.Store = url })
			id, link := r.newPage(signUp)
			v := r.visit()
			v.get(link).says("Enter your mobile number", "United Kingdom", "\u2066(+44)\u2069",
				`<option value="SZ">Eswatini`)
			if v.get(link); v.status != http.StatusGone {
				t.Errorf("the link works twice: %d", v.status)
			}
			v.get("/verify").post("/verify/send", "phone", "").says("There is a problem", `href="#phone"`)
			v.post("/verify/send", "phone", "07912 345601").says("Choose the country of your number", "<title>Error: ")
			v.post("/verify/send", "phone", "07912 34", "country", "GB").says("not a valid number", "United Kingdom")
			if n := len(r.people.codes); n != 0 {
				t.Fatalf("%d messages were sent", n)
			}
			v.post("/verify/send", "phone", "07912 345601", "country", "GB").says("Enter the code", "+44******5601")
			code := r.people.read("+447912345601")
			v.get("/verify").post("/verify/resend").says("Seconds until you can ask again")
			v.post("/verify/check", "code", "12").says("There is a problem")
			for range 2 { // the second is the same attempt
				v.post("/verify/check", "code", other(code)).says("Attempts left: ", ">4<")
			}
			v.get("/verify").says("Attempts left: ")
			if state := r.pageState(r.shop, id); state.Status != "open" || state.To != nil {
				t.Errorf("got %+v", state)
			}
			v.post("/verify/check", "code", code[:3]+" "+code[3:])
			v.says("You are verified", `href="https://shop.example/done?x=1"`)
			v.get("/verify").says("You are verified")
			state := r.pageState(r.shop, id)
			if state.Status != "verified" || state.To.Phone != "+44******5601" || state.Reference != "order-7" ||
				!slices.Equal(state.Used, []string{"phone"}) || time.Since(*state.VerifiedAt) > time.Minute {
				t.Errorf("got %+v", state)
			}
			r.want(r.bank, "404 not_found", "GET", pagesPath+"/"+id, "")
		})
	}
}

// other returns another code than the right one.
func other(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// A form that is sent twice at one time, by a double click without script, sends one
// message.
func TestPageDoubleClick(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	_, link := r.newPage(signUp)
	v := r.visit()
	v.get(link)
	r.people.begun, r.people.slow = make(chan struct{}, 2), make(chan struct{})
	var both sync.WaitGroup
	click := func() {
		twin := *v
		both.Go(func() { twin.post("/verify/send", "phone", "+447912345601") })
	}
	click()
	<-r.people.begun // the first message is on its way
	click()
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end) && len(r.people.begun) == 0; {
		runtime.Gosched() // a second message would begin
	}
	close(r.people.slow)
	both.Wait()
	if n := r.people.count(); n != 1 {
		t.Errorf("%d messages were sent", n)
	}
	v.get("/verify").post("/verify/check", "code", r.people.read("+447912345601")).says("You are verified")
}

// The backend knows the addresses: the page asks for none, and e-mail is another way.
func TestPageToKnownAddresses(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.Applications[0].waits = []time.Duration{time.Second} })
	id, link := r.newPage(`{"subject":"ann","to":{"phone":"+447912345601","email":"ann@example.com"},
		"return_url":"https://shop.example/"}`)
	v := r.visit()
	v.get(link).says("We will send a code to ", "+44******5601", `lang="en"`)
	if strings.Contains(v.page, `name="phone"`) || len(r.people.codes) > 0 {
		t.Errorf("a number is asked for, or a GET has sent: %s", v.page)
	}
	v.post("/verify/send").says("Send it by e-mail instead", "support@shop.example")
	if strings.Contains(v.page, "/verify/change") {
		t.Error("the person may change the number")
	}
	for !strings.Contains(v.page, "a***@example.com") { // after the wait of a second
		v.post("/verify/resend", "by", "email")
	}
	v.post("/verify/check", "code", r.people.read("ann@example.com")).says("You are verified")
	if state := r.pageState(r.shop, id); !slices.Contains(state.Used, "email") {
		t.Errorf("got %+v", state)
	}
}

// If the backend knows an address, a form with a number in it adds none: whoever has the link
// would have the code come to their own phone.
func TestPageTakesNoOtherAddress(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	id, link := r.newPage(`{"subject":"ann","to":{"email":"ann@example.com"},"return_url":"https://shop.example/"}`)
	v := r.visit()
	v.get(link).post("/verify/send", "phone", "+447912345699", "country", "GB").says("a***@example.com")
	if code := r.people.read("+447912345699"); code != "" {
		t.Error("the code went to the number of the form")
	}
	v.post("/verify/check", "code", r.people.read("ann@example.com")).says("You are verified")
	if state := r.pageState(r.shop, id); !slices.Equal(state.Used, []string{"email"}) {
		t.Errorf("got %+v", state)
	}
}

// After the attempts the code is over, and the person starts again with another.
func TestPageStartsAgain(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	_, link := r.newPage(signUp)
	v := r.visit()
	v.get(link).post("/verify/send", "phone", "+447912345601").says("Enter the code")
	first := r.people.read("+447912345601")
	code := first
	for range 5 {
		code = other(code)
		v.post("/verify/check", "code", code)
	}
	v.says("This code can no longer be used", "Start again").post("/verify/change").says("+447912345601")
	v.post("/verify/send", "phone", "+447912345601").post("/verify/check", "code", first).says("There is a problem")
	v.post("/verify/change").post("/verify/send", "phone", "+447912345602").says("+44******5602")
	v.post("/verify/check", "code", r.people.read("+447912345602")).says("You are verified")
}

// What a backend may not ask for, and what a browser from elsewhere may not do.
func TestPageRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) {
		c.Applications[0].Keys[0].Scopes = []string{scopePages}
		c.Applications[0].Countries = []string{"DE", "FR"}
	})
	r.want(r.shop, "403 forbidden", "POST", apiPath, annsLogin)
	for _, to := range []string{"https://evil.example/", "https://shop.example.evil.example/", "http://shop.example/",
		"https://x@shop.example/", "https://shop.example/../x", "//shop.example/", "javascript:alert(1)", ""} {
		r.want(r.shop, "422 invalid", "POST", pagesPath, `{"subject":"ann","return_url":"`+to+`"}`)
	}
	for _, bad := range []string{`"subject":""`, `"subject":"a","to":{"email":"none"}`,
		`"subject":"a","to":{"push":"x"}`,
		`"subject":"a","purpose":"` + strings.Repeat("x", 65) + `"`} {
		r.want(r.shop, "422 invalid", "POST", pagesPath, `{`+bad+`,"return_url":"https://shop.example/"}`)
	}
	r.want(r.shop, "400 malformed", "POST", pagesPath, `{"subjekt":""}`)
	r.want(r.shop, "404 not_found", "GET", pagesPath+"/none", "")

	_, link := r.newPage(signUp)
	q, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	q.Header.Set("Sec-Purpose", "prefetch")
	v := r.visit()
	if v.read(v.client.Do(q)); v.status != http.StatusServiceUnavailable {
		t.Errorf("a prefetch got %d", v.status)
	}
	v.get(link).says("Germany", "France")
	if strings.Contains(v.page, "United Kingdom") {
		t.Error("a country that the file does not allow is offered")
	}
	v.post("/verify/send", "phone", "+447912345601").says("We cannot send messages to this number")
	for _, from := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "null"}, {"Origin", "https://evil.example"}} {
		q, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/verify/send",
			strings.NewReader("phone=%2B4915112345678"))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set(from[0], from[1])
		if v.read(v.client.Do(q)); v.status != http.StatusForbidden {
			t.Errorf("%s: got %d", from, v.status)
		}
	}
	if v := r.visit().get("/verify"); v.status != http.StatusGone {
		t.Errorf("without a cookie: %d", v.status)
	}
	if n := len(r.people.codes); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// Redis has nothing that can be read, and each value ends by itself.
func TestRealRedisVault(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	r := start(t, func(c *config) { c.Store = "redis://" + redis.Addr + "/0" })
	_, link := r.newPage(strings.Replace(signUp, `"subject":"ann"`, `"subject":"ann@example.com"`, 1))
	v := r.visit()
	v.get(link).post("/verify/send", "phone", "+447912345601").says("Enter the code")
	ctx, names := t.Context(), []string{}
	for _, name := range r.s.state.redis.Keys(ctx, "*").Val() {
		if !strings.HasPrefix(name, "otp:state:") {
			continue
		}
		names = append(names, name)
		value, _ := r.s.state.redis.Get(ctx, name).Result()
		for _, secret := range []string{"ann", "7912345601", "+44", "order-7", link[len(link)-26:]} {
			if strings.Contains(name+value, secret) {
				t.Errorf("%s has %q", name, secret)
			}
		}
		most := pageLife
		if strings.Contains(name, "ticket/") {
			most = askedLife
		}
		if life := r.s.state.redis.TTL(ctx, name).Val(); life <= 0 || life > most {
			t.Errorf("%s lives for %v", name, life)
		}
	}
	if len(names) != 3 { // the page, its ticket and the cookie: the link is gone
		t.Errorf("got %q", names)
	}
}

// A value opens under its own name and keys only.
func TestVault(t *testing.T) {
	t.Parallel()
	m := &memoryCabinet{values: map[string]kept{}}
	v, err := newVault(m, otp.NewKeyring())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	read := func(v *vault, name string) (out string, err error) {
		sealed, err := v.get(ctx, name)
		err = v.read(name, sealed, err, &out)
		return out, err
	}
	if err := v.write(ctx, "a", "x", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := read(v, "a"); got != "x" || err != nil {
		t.Errorf("got %q %v", got, err)
	}
	m.values["b"] = m.values["a"]
	if _, err := read(v, "b"); err == nil {
		t.Error("a value opens under another name")
	}
	stranger, _ := newVault(m, otp.NewKeyring())
	if _, err := read(stranger, "a"); err == nil {
		t.Error("a value opens with other keys")
	}
	if _, err := v.take(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := v.take(ctx, "a"); !errors.Is(err, errGone) {
		t.Errorf("taken twice: %v", err)
	}
	_ = v.write(ctx, "old", "x", -time.Second)
	if _, err := read(v, "old"); err == nil {
		t.Error("a value outlives its life")
	}
}
