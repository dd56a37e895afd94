package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
)

// startOperated starts a server with the operator ann.
func startOperated(t *testing.T) *rig {
	t.Helper()
	r := start(t, func(c *config) {
		c.Operators = []operator{newOperator("ann", roleOperator)}
		a := &c.Applications[0]
		a.Region, a.Purposes, a.Currency, a.Budget = "GB", []string{"login", "payment"}, "EUR", "0.11"
		a.Routes[0].Prices = map[string]json.Number{"default": "0.031"}
		a.Routes[1].Prices = map[string]json.Number{"default": "0.0004"}
		c.Applications[0].Webhooks = []webhook{{Name: "main", URL: "https://hooks.invalid/",
			Secrets: []string{hookSecret}, Events: []string{"verification.cancelled"}}} // there are none
	})
	r.people.receipts = true
	return r
}

// newOperator returns an operator whose password is passwordOf the name, as cheap to check
// as the file allows.
func newOperator(name, role string) operator {
	h := passwordHash{memory: minMemory, passes: 1, lanes: 1, salt: []byte("somesalt"), sum: make([]byte, 16)}
	h.sum = h.of(passwordOf(name))
	return operator{Name: name, Password: h.String(), Role: role, hash: h}
}

func passwordOf(name string) string { return name + "'s battery staple" }

// signIn signs an operator in, and shows the page asked for.
func (o *operatorClient) signIn(name string) (text string) {
	o.t.Helper()
	return o.want(http.StatusOK, "Sign out", "/dashboard/sign-in", "name", name, "password", passwordOf(name))
}

// An operatorClient is a browser without script that keeps cookies.
type operatorClient struct {
	t    *testing.T
	http *http.Client
	url  string
	site string // Sec-Fetch-Site of forms; empty: none
}

func newOperatorClient(t *testing.T, admin string) *operatorClient {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &operatorClient{t: t, http: &http.Client{Transport: plainly{transport}, Jar: jar},
		url: strings.Replace(admin, "http:", "https:", 1)} // for the cookie, which is for TLS only
}

// plainly speaks HTTP where a proxy would have ended TLS.
type plainly struct{ base http.RoundTripper }

func (p plainly) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.Clone(r.Context())
	q.URL.Scheme = "http"
	return p.base.RoundTrip(q)
}

// post sends a form; no fields: it gets.
func (o *operatorClient) post(path string, fields ...string) (status int, text, at string) {
	o.t.Helper()
	q, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.url+path, nil)
	if len(fields) > 0 {
		form := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		body := strings.NewReader(form.Encode())
		q, err = http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.url+path, body)
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if o.site != "" {
			q.Header.Set("Sec-Fetch-Site", o.site)
		}
	}
	if err != nil {
		o.t.Fatal(err)
	}
	resp, err := o.http.Do(q)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Request.URL.RequestURI()
}

// The dashboard opens to operators only, as long as they are in the file, and shows
// neither a code nor an address nor a subject.
func TestDashboard(t *testing.T) {
	t.Parallel()
	r := startOperated(t)
	live := r.follow(t, r.shop, "", "")
	login := strings.Replace(annsLogin, `"subject":"ann"`, `"reference":"`+marked+`","subject":"ann"`, 1)
	id := r.want(r.shop, "201 pending", "POST", apiPath, login).body.ID
	code := r.people.read("+447912345601")
	r.want(r.shop, "200 verified", "POST", apiPath+"/"+id+"/check", checkBody(code))
	live.until("verified")

	o := newOperatorClient(t, r.s.adminURL())
	for _, path := range []string{"/dashboard", "/dashboard/events", "/dashboard?find=" + id} {
		if status, text, _ := o.post(path); status != http.StatusUnauthorized || strings.Contains(text, id) {
			t.Errorf("%s: %d to anybody", path, status)
		}
	}
	if status, _, _ := o.post("/dashboard/search", "text", "x"); status != http.StatusUnauthorized {
		t.Errorf("a search: %d to anybody", status)
	}
	for _, wrong := range [][2]string{{"", ""}, {"ann", ""}, {"ann", "x"}, {"ben", passwordOf("ann")},
		{"ann", r.shop.key}} {
		o.want(http.StatusUnauthorized, "name or the password is wrong", "/dashboard/sign-in", "name", wrong[0],
			"password", wrong[1])
	}
	text := o.signIn("ann")
	if !strings.Contains(text, id) || !strings.Contains(text, "United Kingdom") {
		t.Fatalf("got %s", text)
	}
	said := text
	for _, find := range [][2]string{{"id", id}, {"address", "07912 345601"}, {"address", "+447912345601"},
		{"address", "+44******5601"}, {"address", "ann@example.com"}, {"subject", "ann"}, {"id", marked}} {
		_, text, at := o.post("/dashboard/search", "application", "shop", "kind", find[0], "text", find[1])
		if !strings.Contains(text, "<bdi>"+id) {
			t.Errorf("%q was not found at %s", find, at)
		}
		if strings.Contains(at, "345601") || strings.Contains(at, "=ann") {
			t.Errorf("the address of the page is %s", at)
		}
		said += text + at
	}
	if _, text, _ := o.post("/dashboard?application=bank"); strings.Contains(text, id) {
		t.Error("one application shows another's events")
	}
	for _, secret := range []string{code, "447912345601", "ann@example", ">ann<", passwordOf("ann"), r.shop.key,
		"<script>alert"} {
		if strings.Contains(said, secret) {
			t.Errorf("%q is shown:\n%s", secret, said)
		}
	}
	r.s.login.set(&config{}) // SIGHUP, of a file without the operator
	if status, _, _ := o.post("/dashboard"); status != http.StatusUnauthorized {
		t.Errorf("%d to an operator no more", status)
	}
}

// TestRealChromiumDashboard looks at the dashboard, narrow and wide, light and dark, from
// either side, audits it by axe-core, and follows the events.
func TestRealChromiumDashboard(t *testing.T) {
	t.Parallel()
	r := startOperated(t)
	b := browsertest.Start(t)
	w := &walk{Browser: b, t: t, r: r, lang: "en"}
	live := r.follow(t, r.shop, "", "")
	r.s.apps["shop"].figures.remember(time.Now())
	id := r.want(r.shop, "201 pending", "POST", apiPath, strings.Replace(annsLogin, `"subject"`,
		`"reference":"`+marked+`","subject"`, 1)).body.ID
	live.until("receipt")
	look := func(page string) { // the dashboard itself in each way, its variants in two
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{360, 1280} {
				if page != "dashboard" && (scheme == "light") != (width == 360) {
					continue
				}
				w.lookAt(page, scheme, width)
				for _, found := range w.Axe() {
					t.Errorf("%s, %s, %d wide: %s", page, scheme, width, found)
				}
			}
		}
	}
	w.Open(r.s.adminURL() + "/dashboard?application=shop")
	look("sign-in")
	w.TypeIn("password", "guess")
	look("sign-in-error")
	w.Eval(`document.getElementById("name").value = "ann"`, nil)
	w.TypeIn("password", passwordOf("ann"))
	w.until("the tail is followed", `!document.getElementById("pause").hidden`)
	look("dashboard")
	var outside int
	w.Eval(`[...document.querySelectorAll("figure > svg")].filter((s) => [...s.querySelectorAll("rect, path")].some(
		(c) => c.getBoundingClientRect().right > s.getBoundingClientRect().right)).length`, &outside)
	if outside > 0 || !strings.Contains(w.Text(), "Spend by route") {
		t.Errorf("%d plots draw beyond their edge, or there is no spend: %s", outside, w.Text())
	}
	w.Eval(`for (const d of document.querySelectorAll("details")) d.open = true`, nil)
	w.Eval(`document.documentElement.dir = "rtl"`, nil)
	look("dashboard-rtl-open")
	second := r.want(r.shop, "201 pending", "POST", apiPath, strings.Replace(annsLogin, "5601", "5602", 1)).body.ID
	w.until("a new event comes", `document.getElementById("log").textContent.includes("`+second+`")`)
	w.Eval(`document.getElementById("pause").click()`, nil)
	var paused string
	if w.Eval(`document.getElementById("pause").textContent`, &paused); paused != "Go on" {
		t.Errorf("paused, the button says %q", paused)
	}
	w.TypeIn("text", marked)
	var scripts int
	w.Eval(`document.scripts.length`, &scripts)
	if text := w.Text(); scripts != 1 || !strings.Contains(text, marked) || !strings.Contains(text, id) ||
		strings.Contains(text, second) {
		t.Errorf("%d scripts; the search found %s", scripts, text)
	}
	if !strings.Contains(w.Text(), "Cancel the verification") {
		t.Error("an operator sees no form to cancel")
	}
	look("search")
	given := &message{ID: "msg_1", App: "shop", Endpoint: "main", Type: "verification.sent", Tries: 8, At: time.Now()}
	if err := r.s.vault.write(t.Context(), given.dead(), given, time.Hour); err != nil {
		t.Fatal(err)
	}
	w.Open(r.s.adminURL() + "/dashboard/failures?application=shop&done=invalid")
	if text := w.Text(); !strings.Contains(text, "msg_1") || !strings.Contains(text, "Send them again to main") {
		t.Errorf("the page of failures says %s", text)
	}
	look("failures")
	for _, line := range w.Log() {
		if !strings.Contains(line, "401 (Unauthorized)") { // the forms to sign in
			t.Errorf("the console says %q", line)
		}
	}
}

// The dashboard shows the spend of the day beside the budget, by country and by route, and
// splits its figures by purpose.
func TestDashboardSpend(t *testing.T) {
	t.Parallel()
	r := startOperated(t)
	live := r.follow(t, r.shop, "", "")
	for i, purpose := range []string{"login", "login", "gift"} {
		r.want(r.shop, "201 pending", "POST", apiPath, fmt.Sprintf(
			`{"subject":"p%d","purpose":%q,"to":{"phone":"+44791234560%d"}}`, i, purpose, i))
	}
	for range 3 {
		live.until("receipt")
	}
	o := newOperatorClient(t, r.s.adminURL())
	o.signIn("ann")
	row := func(requests, spend string) string {
		return `<th scope="row">United Kingdom</th><td class="n">` + requests + `</td>.*<td class="n"><bdi>` + spend +
			`</bdi></td><td></td>`
	}
	today := `<li class="bad">Spend today <b><bdi>0.093 EUR</bdi></b> ` +
		`<small>Attention: of 0.11 a day, the whole application`
	for query, want := range map[string][]string{
		"":                             {row("3", "0.093"), today, `Spend by route <small>EUR</small>`},
		"?purpose=login":               {row("2", "0.062"), today, `<option selected>login</option>`},
		"?purpose=other&route=sms":     {row("1", "0.031"), today, `<option value="other" selected>`},
		"?purpose=other&route=email":   {row("1", "0.00"), today},
		"?purpose=payment":             {"There are no figures yet.", today},
		"?purpose=x%22%3E&country=GB":  {"There are no figures yet.", today},
		"?application=bank&purpose=gi": {"There are no figures yet."},
	} {
		_, text, _ := o.post("/dashboard" + query)
		for _, form := range want {
			if !regexp.MustCompile(form).MatchString(text) {
				t.Errorf("%s: there is no %s in\n%s", query, form, text)
			}
		}
		if has := strings.Contains(text, "Spend"); has == strings.Contains(query, "bank") {
			t.Errorf("%s: the page has spend: %v", query, has)
		}
	}
}
