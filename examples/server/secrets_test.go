package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// A recorder is a transport that keeps all that a server answers.
type recorder struct {
	base http.RoundTripper
	mu   sync.Mutex
	said bytes.Buffer
}

func (c *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(&c.said, "%s %s: %v %s\n", r.Method, r.URL.Path, resp.Header, body)
	return resp, err
}

// In a whole run, of both ways and of refusals, no answer, page, log, webhook, event or metric
// has a code, an address or a subject.
func TestNothingSecretIsSaid(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, nil)
	r := hooked(t, e, nil)
	r.people.receipts = true
	all := &recorder{base: r.shop.http.Transport}
	r.shop.http, r.watch.http = &http.Client{Transport: all}, &http.Client{Transport: all}
	const subject, number, email = "subject-of-ann", "+447912345601", "ann.smith@example.com"
	body := func(more string) string { return fmt.Sprintf(`{"subject":%q,"purpose":"login"%s}`, subject, more) }
	to := fmt.Sprintf(`,"to":{"phone":%q,"email":%q}`, number, email)
	var codes []string
	for range 2 {
		at := apiPath + "/" + r.want(r.shop, "201 pending", "POST", apiPath, body(to)).body.ID
		code := r.people.read(number)
		codes = append(codes, code)
		r.want(r.shop, "200 pending", "GET", at, "", "Otp-Subject", subject)
		r.want(r.shop, "429 too_soon, with Retry-After", "POST", at+"/resend", `{"subject":"`+subject+`"}`)
		r.want(r.shop, "422 code_refused, 4 attempts left", "POST", at+"/check", body(`,"code":"`+other(code)+`"`))
		r.want(r.shop, "422 code_refused", "POST", at+"/check", body(`,"code":"1"`))
		if len(codes) == 2 {
			r.want(r.shop, "204 ", "DELETE", at, "", "Otp-Subject", subject)
			continue
		}
		r.want(r.shop, "200 verified", "POST", at+"/check", body(`,"code":"`+code+`"`))
		r.want(r.shop, "422 code_refused", "POST", at+"/check", body(`,"code":"`+code+`"`))
	}
	r.want(r.shop, "422 invalid", "POST", apiPath, body(`,"to":{"phone":"`+number+`0000"}`))
	r.want(r.shop, "422 invalid", "POST", apiPath, body(`,"to":{"email":"ann.smith@example.com@"}`))
	r.want(r.shop, "400 malformed", "POST", apiPath, body(`,"`+number+`":"`+email+`"`))
	id, link := r.newPage(`{"subject":"` + subject + `","to":{"email":"` + email + `"},
		"return_url":"https://shop.example/"}`)
	v := r.visit()
	v.client.Transport = &recorder{base: v.client.Transport}
	v.get(link).post("/verify/send").post("/verify/check", "code", "12")
	codes = append(codes, r.people.read(email))
	v.post("/verify/check", "code", codes[2]).says("You are verified")
	r.pageState(r.shop, id)
	e.wait(t, 8)
	r.want(r.shop, "200 ", "GET", "/v1/stats?by=route", "")
	for range 2 {
		r.want(r.shop, "200 ", "GET", "/v1/events", "")
	}
	r.metrics()
	said := all.said.String() + v.client.Transport.(*recorder).said.String() + r.log.String()
	for _, d := range e.wait(t, 8) {
		said += fmt.Sprint(d.header, string(d.body))
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	said += r.log.String()
	for _, code := range codes {
		if m := regexp.MustCompile(`.{0,80}\b` + code + `\b`).FindString(said); m != "" {
			t.Errorf("a code is said: %s", m)
		}
	}
	for _, secret := range []string{subject, "447912345601", "7912345601", "ann.smith"} {
		if i := strings.Index(said, secret); i >= 0 {
			t.Errorf("%q is said: %s", secret, said[max(0, i-200):i+40])
		}
	}
}
