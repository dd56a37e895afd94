package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// A phoneApp is a person's authenticator app.
type phoneApp struct {
	t   *testing.T
	key authenticator.Key
}

// code returns the app's code some steps from now; the server takes one that is early.
func (p *phoneApp) code(steps int) string {
	p.t.Helper()
	at := time.Now().Add(time.Duration(steps) * p.key.Period)
	code, err := oath.TOTP{Digits: p.key.Digits}.Generate(otp.Seed{Key: p.key.Secret, Time: at})
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// into makes a request that has an answer with a body of its own.
func (r *rig) into(c *client, want int, path, body string, into any) {
	r.t.Helper()
	resp, err := c.http.Do(r.request(c, http.MethodPost, path, body))
	if err != nil {
		r.t.Fatal(err)
	}
	decodeInto(r.t, resp, into)
	if resp.StatusCode != want {
		r.t.Fatalf("%s: %d %v", path, resp.StatusCode, into)
	}
}

// enrol has a person scan the code that the API makes.
func (r *rig) enrol(t *testing.T, subject string) (id string, app *phoneApp) {
	t.Helper()
	var made map[string]string
	r.into(r.shop, http.StatusCreated, authenticatorsPath, fmt.Sprintf(
		`{"subject":%q,"account":"ann@example.com","name":"Ann's phone","title":"QR <code>"}`, subject), &made)
	key, err := authenticator.ParseURI(made["uri"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "QR &lt;code&gt;"} {
		if !strings.Contains(made["qr"], want) {
			t.Errorf("the QR code has no %q: %.200s", want, made["qr"])
		}
	}
	if !strings.HasPrefix(made["uri"], "otpauth://totp/Shop%20Ltd") && !strings.Contains(made["uri"], "issuer=Shop") {
		t.Errorf("got %s", made["uri"])
	}
	return made["id"], &phoneApp{t, key}
}

func codeOf(subject, code string) string {
	return fmt.Sprintf(`{"subject":%q,"code":%q}`, subject, code)
}

// A person's whole way with an app, at a server of each store.
func TestAuthenticator(t *testing.T) {
	t.Parallel()
	for name, shared := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := shared(t)
			testAuthenticator(t, start(t, func(c *config) {
				c.Store, c.Applications[0].Authenticator = url, "Shop Ltd"
			}))
		})
	}
}

func testAuthenticator(t *testing.T, r *rig) {
	post := func(want, call, body string) {
		t.Helper()
		r.want(r.shop, want, "POST", authenticatorsPath+call, body)
	}
	list := func(want string) {
		t.Helper()
		q := r.request(r.shop, http.MethodGet, authenticatorsPath, "")
		q.Header.Set("Otp-Subject", "ann%40example.com")
		resp, err := r.shop.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Enrolled       bool
			Authenticators []shownToken
			RecoveryCodes  int `json:"recovery_codes"`
			Locked         bool
		}
		decodeInto(t, resp, &got)
		if line := fmt.Sprint(got.Enrolled, len(got.Authenticators), got.RecoveryCodes, got.Locked); line != want {
			t.Errorf("got %s, want %s", line, want)
		}
	}
	const ann = "ann@example.com"
	list("false 0 0 false")
	id, app := r.enrol(t, ann)
	post("422 code_refused", "/check", codeOf(ann, app.code(0))) // it waits for its confirmation
	post("422 code_refused", "/confirm", codeOf(ann, "12345"))
	list("false 1 0 false")
	post("200 ", "/confirm", codeOf(ann, app.code(0)))
	list("true 1 0 false")

	early := app.code(1)
	post("200 ", "/check", codeOf(ann, early[:3]+" "+early[3:]))
	post("422 code_refused", "/check", codeOf(ann, early)) // a code counts once
	post("422 code_refused", "/check", codeOf("bob", early))
	r.want(r.bank, "404 not_found", "POST", authenticatorsPath+"/check", codeOf(ann, early))

	var made struct{ Codes []string }
	r.into(r.shop, http.StatusCreated, authenticatorsPath+"/recovery-codes", `{"subject":"`+ann+`"}`, &made)
	list("true 1 10 false")
	post("422 code_refused, 9 attempts left", "/recover", codeOf(ann, strings.Repeat("0", 24)))
	post("200 ", "/recover", codeOf(ann, strings.ToLower(made.Codes[0])))
	list("true 1 9 false")

	wrong := other(early)
	for left := 9; left > 0; left-- {
		post(fmt.Sprintf("422 code_refused, %d attempts left", left), "/check", codeOf(ann, wrong))
	}
	post("422 code_refused, with Retry-After", "/check", codeOf(ann, wrong))
	post("429 locked, with Retry-After", "/check", codeOf(ann, wrong))
	list("true 1 9 true")
	// The lock is for the codes of messages, too.
	r.want(r.shop, "429 locked, with Retry-After", "POST", apiPath,
		`{"subject":"`+ann+`","to":{"phone":"+447912345601"}}`)
	post("204 ", "/unlock", `{"subject":"`+ann+`"}`)
	list("true 1 9 false")

	remove := func(want string) {
		t.Helper()
		r.want(r.shop, want, "DELETE", authenticatorsPath+"/"+id, "", "Otp-Subject", "ann%40example.com")
	}
	r.want(r.shop, "404 not_found", "DELETE", authenticatorsPath+"/"+id, "", "Otp-Subject", "bob")
	remove("204 ")
	remove("404 not_found")
	list("false 0 9 false")
	for _, secret := range append(made.Codes, early, wrong, "ann@") {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// What the API refuses, and an eleventh app.
func TestAuthenticatorRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.Applications[0].Authenticator = "Shop Ltd" })
	for body, want := range map[string]string{
		`{"subject":"ann"}`:                            "422 invalid",
		`{"account":"ann"}`:                            "422 invalid",
		`{"subject":"ann","account":"a:b"}`:            "422 invalid",
		`{"subject":"ann","account":"a","secret":"x"}`: "400 malformed",
		`{"subject":"ann","account":"a","title":"` + strings.Repeat("x", 257) + `"}`:    "422 invalid",
		`{"subject":"ann","account":"` + strings.Repeat("x", 128<<10) + `"}`:            "413 too_large",
		`{"subject":"ann","account":"a","replaces":"00000000000000000000000000000000"}`: "422 invalid",
	} {
		r.want(r.shop, want, "POST", authenticatorsPath, body)
	}
	r.want(r.shop, "400 invalid", "GET", authenticatorsPath, "")
	r.want(r.shop, "400 invalid", "GET", authenticatorsPath, "", "Otp-Subject", "%zz")
	for _, call := range []string{"/confirm", "/check", "/recover", "/recovery-codes", "/unlock"} {
		r.want(r.shop, "400 malformed", "POST", authenticatorsPath+call, `{`)
	}
	for range 10 {
		_, app := r.enrol(t, "bob")
		r.want(r.shop, "200 ", "POST", authenticatorsPath+"/confirm", codeOf("bob", app.code(0)))
	}
	r.want(r.shop, "409 full", "POST", authenticatorsPath, `{"subject":"bob","account":"bob"}`)

	c := r.s.c.Applications[0]
	c.Authenticator = "Shop: Ltd"
	if _, err := c.newAuthenticators(nil, r.keys, r.s.log); err == nil || !strings.Contains(err.Error(), "Issuer") {
		t.Errorf("got %v", err)
	}
}
