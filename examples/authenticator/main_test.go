package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/otpcourier/otpcourier/otp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func none(string) string { return "" }

func TestDemo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"-demo"}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, none, &out); err != nil {
			t.Fatal(err, out.String())
		}
		for _, want := range []string{"10 recovery codes are on the page", "the same code again: refused",
			"the app is removed"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in:\n%s", want, &out)
			}
		}
	}
}

// TestServe: the program says where it serves, and ends with its context.
func TestServe(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-listen", "127.0.0.1:0"}, none, w) }()
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	address, _, _ := strings.Cut(string(line[:n]), " ")
	client := &http.Client{}
	answer, err := client.Get(address + "signin")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	client.CloseIdleConnections()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.Close()
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"is not a flag": {"extra"}, "exclude": {"-demo", "-listen", "127.0.0.1:0"}, "not defined": {"-x"},
		"listen tcp": {"-listen", "127.0.0.1:-1"},
	} {
		if err := run(t.Context(), args, none, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	err := run(t.Context(), nil, func(string) string { return "k1=hunter2" }, io.Discard)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

// client is a browser without a page.
type client struct {
	t       *testing.T
	handler http.Handler
	cookie  *http.Cookie
}

// An answer is that of the site.
type answer struct {
	status   int
	location string
	header   http.Header
	page     string
}

func (c *client) do(method, path string, form url.Values, edit ...func(*http.Request)) answer {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	for _, f := range edit {
		f(r)
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	result := w.Result()
	defer result.Body.Close()
	for _, cookie := range result.Cookies() {
		c.cookie = cookie
	}
	return answer{result.StatusCode, result.Header.Get("Location"), result.Header, w.Body.String()}
}

func newClient(t *testing.T) (*site, *client) {
	t.Helper()
	s, err := newSite(none, "secret")
	if err != nil {
		t.Fatal(err)
	}
	return s, &client{t: t, handler: s.handler()}
}

// TestStrangers: no page and no form is for those who have not signed in.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s, c := newClient(t)
	for _, path := range []string{"GET /", "GET /code", "GET /enroll", "GET /recovery", "POST /code", "POST /recover",
		"POST /enroll", "POST /confirm", "POST /recovery", "POST /revoke"} {
		method, path, _ := strings.Cut(path, " ")
		got := c.do(method, path, url.Values{"code": {"123456"}, "id": {"0011223344556677"}})
		if got.status != http.StatusSeeOther || got.location != "/signin" {
			t.Errorf("%s %s: %d to %s", method, path, got.status, got.location)
		}
	}
	if len(s.events) != 0 {
		t.Errorf("%+v", s.events)
	}
}

// TestPasswordAlone: who has an app needs its code for every page, and a fresh one for a
// change.
func TestPasswordAlone(t *testing.T) {
	t.Parallel()
	s, c := newClient(t)
	c.do("POST", "/signin", url.Values{"name": {"ann"}, "password": {"secret"}})
	stolen := *c.cookie
	c.do("POST", "/enroll", nil)
	session := s.sessions.byID[c.cookie.Value]
	p := &person{page: `href="` + strings.ReplaceAll(session.enrolment.URI, "&", "&amp;") + `"`, out: io.Discard}
	p.scan()
	if to := c.do("POST", "/confirm", url.Values{"code": {p.code(0)}}).location; to != "/recovery" {
		t.Fatal(to, p.err)
	}
	other := &client{t: t, handler: c.handler}
	other.do("POST", "/signin", url.Values{"name": {"ann"}, "password": {"secret"}})
	if other.cookie.Value == stolen.Value {
		t.Error("a session keeps its name over a login")
	}
	for _, path := range []string{"GET /", "GET /enroll", "GET /recovery", "POST /enroll", "POST /confirm",
		"POST /recovery",
		"POST /revoke"} {
		method, path, _ := strings.Cut(path, " ")
		if to := other.do(method, path, url.Values{}).location; to != "/code" {
			t.Errorf("%s %s with the password alone: to %q", method, path, to)
		}
	}
	session.verified = time.Now().Add(-freshLogin - time.Second)
	if got := c.do("GET", "/", nil); got.status != http.StatusOK {
		t.Errorf("the account, some minutes after the login: %d", got.status)
	}
	for _, path := range []string{"/enroll", "/recovery", "/revoke"} {
		if to := c.do("POST", path, nil).location; to != "/code" {
			t.Errorf("%s, some minutes after the login: to %q", path, to)
		}
	}
}

// TestOtherSites: a form of another site is refused.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	_, c := newClient(t)
	got := c.do("POST", "/signin", url.Values{"name": {"ann"}, "password": {"secret"}},
		func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if got.status != http.StatusForbidden {
		t.Error(got.status)
	}
	got = c.do("GET", "/signin", nil)
	for name, want := range map[string]string{"Content-Security-Policy": "default-src 'none'",
		"Cache-Control":   "no-store",
		"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
		if !strings.Contains(got.header.Get(name), want) {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
	if c.cookie == nil || !c.cookie.Secure || !c.cookie.HttpOnly || c.cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("%+v", c.cookie)
	}
}

// TestOutage: if the store does not answer, nobody gets in by the password alone.
func TestOutage(t *testing.T) {
	t.Parallel()
	_, c := newClient(t)
	c.do("POST", "/signin", url.Values{"name": {"ann"}, "password": {"secret"}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the store refuses a context that has ended
	if to := c.do("GET", "/", nil, func(r *http.Request) { *r = *r.WithContext(ctx) }).location; to != "/signin" {
		t.Errorf("to %q", to)
	}
	if page := c.do("GET", "/signin", nil).page; !strings.Contains(page, "cannot check this at the moment") {
		t.Error(page)
	}
}

// TestExplain: what a person is told of an error shows no secret.
func TestExplain(t *testing.T) {
	t.Parallel()
	same := explain(&otp.Error{Reason: otp.ReasonWrong, AttemptsLeft: 8}, "code")
	for _, r := range []otp.Reason{otp.ReasonClosed, otp.ReasonMalformed, otp.ReasonNotFound, otp.ReasonExpired} {
		if got := explain(&otp.Error{Reason: r}, "code"); got != same {
			t.Errorf("%s: %+v", r, got)
		}
	}
	for text, err := range map[string]error{
		"2 more tries":        &otp.Error{Reason: otp.ReasonWrong, AttemptsLeft: 2},
		"in 30 minutes":       &otp.Error{Reason: otp.ReasonLocked, RetryAfter: 30 * time.Minute},
		"Use a recovery code": &otp.Error{Reason: otp.ReasonLocked},
		"at the moment":       &otp.Error{Reason: otp.ReasonUnavailable},
		"did not work":        &otp.Error{Reason: otp.ReasonInvalid},
	} {
		if got := explain(err, "code"); !strings.Contains(got.Text, text) {
			t.Errorf("%v: %q, want %q", err, got.Text, text)
		}
	}
}
