package otphttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otphttp"
	"github.com/otpcourier/otpcourier/otp/otptest"
	"github.com/otpcourier/otpcourier/otp/wording"
)

const phone = "+447912345678"

// byToken is Authenticate for tests: "shop" and "bank" are backends, "ann" is a
// person whose addresses are known, "new" one who signs up.
func byToken(r *http.Request) (otphttp.Caller, error) {
	switch token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); token {
	case "shop", "bank":
		return otphttp.Caller{ID: token}, nil
	case "ann":
		return otphttp.Caller{ID: "session-1", Subject: "ann", To: channel.Recipient{Phone: phone}}, nil
	case "new":
		return otphttp.Caller{ID: "session-2", Subject: "new"}, nil
	case "banned":
		return otphttp.Caller{}, &otphttp.Problem{Status: http.StatusForbidden, Reason: "banned", Title: "Banned."}
	case "nameless":
		return otphttp.Caller{}, nil
	}
	return otphttp.Caller{}, errors.New("no such token")
}

// an api is the API in front of a Service with an inbox.
type api struct {
	t     *testing.T
	codes *otptest.Service
	h     http.Handler
}

func newAPI(t *testing.T, oc otp.Config, c otphttp.Config) *api {
	t.Helper()
	a := &api{t: t, codes: otptest.New(t, oc)}
	if c.Service == nil {
		c.Service = a.codes.Service
	}
	if c.Authenticate == nil {
		c.Authenticate = byToken
	}
	h, err := otphttp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	a.h = h
	return a
}

// ask makes a request; fields are further header fields, name and value by turns.
func (a *api) ask(token, call, body string, fields ...string) *answer {
	a.t.Helper()
	method, path, _ := strings.Cut(call, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, r)
	return &answer{t: a.t, ResponseRecorder: w}
}

type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// want holds an answer to a status and, if it is a Problem, a reason.
func (a *answer) want(status int, reason string) *answer {
	a.t.Helper()
	got := ""
	if a.Code >= 400 {
		got = a.problem().Reason
	}
	if a.Code != status || got != reason {
		a.t.Fatalf("got %d %s, want %d %s", a.Code, a.Body, status, reason)
	}
	if a.Header().Get("Cache-Control") != "no-store" && status < 400 {
		a.t.Error("the answer may be kept by caches")
	}
	return a
}

func (a *answer) problem() otphttp.Problem {
	a.t.Helper()
	if ct := a.Header().Get("Content-Type"); ct != "application/problem+json" {
		a.t.Fatalf("got %d %s as %q", a.Code, a.Body, ct)
	}
	return decode[otphttp.Problem](a)
}

func (a *answer) challenge() otphttp.Challenge { return decode[otphttp.Challenge](a) }

func decode[T any](a *answer) (v T) {
	a.t.Helper()
	d := json.NewDecoder(strings.NewReader(a.Body.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return v
}

const annsLogin = `{"subject":"ann","purpose":"login","to":{"phone":"+44 7912 345678","email":"ann@example.com"},
	"reference":"order-7","client_ip":"192.0.2.7","priority":"high"}`

func checkBody(code string) string {
	return `{"subject":"ann","purpose":"login","code":"` + code + `"}`
}

// The life of a code, each call once.
func TestCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, otp.Config{}, otphttp.Config{Path: "/v1/verifications"})
		created := a.ask("shop", "POST /v1/verifications", annsLogin).want(201, "")
		at := created.Header().Get("Location")
		c := created.challenge()
		if at != "/v1/verifications/"+c.ID || c.Status != "pending" || c.To.Phone != "+44******5678" ||
			c.Reference != "order-7" || c.ExpiresIn != 300 || c.ResendIn == nil || *c.ResendIn != 40 ||
			c.Delivery.Route != "sms" || c.Delivery.Address != "phone" || len(c.Alternatives) != 1 {
			t.Errorf("got %s at %s", created.Body, at)
		}
		soon := a.ask("shop", "POST "+at+"/resend", `{"subject":"ann"}`).want(429, "too_soon")
		if soon.Header().Get("Retry-After") != "40" || soon.problem().RetryAfter != 40 {
			t.Errorf("got %v %s", soon.Header(), soon.Body)
		}
		time.Sleep(40 * time.Second)
		again := a.ask("shop", "POST "+at+"/resend", `{"subject":"ann","route":"email"}`).want(200, "").challenge()
		if again.Delivery.Address != "email" || again.SendsLeft != 1 {
			t.Errorf("got %+v", again)
		}
		code := a.codes.Inbox.Code("ann@example.com")
		wrong := a.ask("shop", "POST "+at+"/check", checkBody(other(code))).want(422, "code_refused").problem()
		if wrong.AttemptsLeft == nil || *wrong.AttemptsLeft != 4 {
			t.Errorf("got %+v", wrong)
		}
		right := a.ask("shop", "POST "+at+"/check", checkBody(code)).want(200, "").challenge()
		if right.Status != "verified" || right.Next != otp.NextDone || len(right.Used) != 2 {
			t.Errorf("got %+v", right)
		}
		used := a.ask("shop", "POST "+at+"/check", checkBody(code)).want(422, "code_refused").problem()
		if used.AttemptsLeft != nil {
			t.Error("a used code tells the attempts that are left")
		}
		status := a.ask("shop", "GET "+at, "", "Otp-Subject", "ann").want(200, "").challenge()
		if status.Status != "verified" {
			t.Errorf("got %+v", status)
		}
		a.ask("shop", "DELETE "+at, "", "Otp-Subject", "ann").want(409, "closed")
		a.ask("shop", "POST "+at+"/resend", `{"subject":"ann"}`).want(409, "closed")
		a.ask("shop", "GET "+at, "", "Otp-Subject", "bob").want(404, "not_found")
		a.ask("shop", "GET /v1/verifications/none", "", "Otp-Subject", "ann").want(404, "not_found")
	})
}

// other returns another code than the right one.
func other(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	a := newAPI(t, otp.Config{}, otphttp.Config{})
	at := a.ask("shop", "POST /verifications", `{"subject":"Jörg 100%","to":{"phone":"+447912345678"}}`).want(201, "").
		Header().Get("Location")
	gone := a.ask("shop", "DELETE "+at, "", "Otp-Subject", "J%C3%B6rg%20100%25").want(204, "")
	if gone.Body.Len() > 0 {
		t.Errorf("204 has a body: %s", gone.Body)
	}
	a.ask("shop", "GET "+at, "", "Otp-Subject", "J%C3%B6rg 100%25").want(200, "")
	for _, bad := range []string{"", "J\u00f6rg", "100%", "%ff", "%zz"} {
		a.ask("shop", "GET "+at, "", "Otp-Subject", bad).want(400, "invalid")
	}
}

// With Async the message is not sent yet.
func TestAsync(t *testing.T) {
	t.Parallel()
	a := newAPI(t, otp.Config{Async: true}, otphttp.Config{})
	c := a.ask("shop", "POST /verifications", annsLogin).want(202, "").challenge()
	if c.Delivery.State != channel.Queued || c.Delivery.Address != "" {
		t.Errorf("got %+v", c)
	}
	code := a.codes.Inbox.Wait(phone).Code
	a.ask("shop", "POST /verifications/"+c.ID+"/check", checkBody(code)).want(200, "")
}

// A lost answer is asked for again with the same key, and keys of two callers do not
// meet.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, otp.Config{}, otphttp.Config{})
		create := func(token, key, body string) *answer {
			return a.ask(token, "POST /verifications", body, "Idempotency-Key", key)
		}
		first := create("shop", `"k1"`, annsLogin).want(201, "").challenge()
		for _, same := range []string{`"k1"`, "k1", ` k1 `} {
			if c := create("shop", same, annsLogin).want(201, "").challenge(); c.ID != first.ID {
				t.Errorf("%q: another challenge", same)
			}
		}
		if c := create("bank", `"k1"`, annsLogin).want(201, "").challenge(); c.ID == first.ID {
			t.Error("two callers have met in one key")
		}
		create("shop", `"k1"`, strings.Replace(annsLogin, "5678", "5679", 1)).want(422, "conflict")
		if n := len(a.codes.Inbox.All()); n != 2 {
			t.Errorf("%d messages were sent, want 2", n)
		}
		code := a.codes.Inbox.All()[0].Code
		time.Sleep(40 * time.Second)
		at := "POST /verifications/" + first.ID
		for range 2 { // one message
			a.ask("shop", at+"/resend", `{"subject":"ann"}`, "Idempotency-Key", "r").want(200, "")
		}
		a.ask("bank", at+"/resend", `{"subject":"ann"}`, "Idempotency-Key", "r").want(429, "too_soon")
		for range 2 {
			wrong := a.ask("shop", at+"/check", checkBody(other(code)), "Idempotency-Key", "w")
			wrong.want(422, "code_refused")
			if left := wrong.problem().AttemptsLeft; left == nil || *left != 4 {
				t.Errorf("got %s", wrong.Body)
			}
		}
		for range 2 {
			a.ask("shop", at+"/check", checkBody(code), "Idempotency-Key", "c").want(200, "")
		}
		a.ask("bank", at+"/check", checkBody(code), "Idempotency-Key", "c").want(422, "code_refused")
	})
}

// What the Service refuses: no route, an outage, a lock, limits.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, otp.Config{Support: "+44 20 7946 0000"}, otphttp.Config{})
		a.codes.Inbox.Fail(channel.Unreachable)
		failed := a.ask("shop", "POST /verifications", annsLogin).want(502, "undelivered")
		if v := failed.problem().Verification; v == nil || failed.Header().Get("Location") != "/verifications/"+v.ID {
			t.Errorf("got %v %s", failed.Header(), failed.Body)
		}
		a.codes.Inbox.Fail(0)
		a.codes.Down(true)
		down := a.ask("shop", "POST /verifications", annsLogin).want(503, "unavailable")
		if down.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		a.codes.Down(false)
		a.ask("shop", "POST /verifications", `{"to":{"phone":"+447912345678"}}`).want(422, "invalid")
		bad := a.ask("shop", "POST /verifications", `{"subject":"ann","to":{"phone":"123"}}`).want(422, "invalid").
			problem()
		if len(bad.Errors) != 1 || bad.Errors[0].Pointer != "/to/phone" || bad.Errors[0].Detail == "" {
			t.Errorf("got %+v", bad.Errors)
		}
		at := a.ask("shop", "POST /verifications", annsLogin).want(201, "").Header().Get("Location")
		a.codes.Lock("ann")
		locked := a.ask("shop", "POST "+at+"/check", checkBody("000000")).want(429, "locked")
		if p := locked.problem(); p.Support == "" || p.RetryAfter != 1800 {
			t.Errorf("got %s", locked.Body)
		}
		for range 10 {
			if w := a.ask("shop", "POST /verifications", strings.Replace(annsLogin, "ann", "bob", 1)); w.Code != 201 {
				if p := w.want(429, "limited").problem(); p.RetryAfter == 0 {
					t.Errorf("got %s", w.Body)
				}
				return
			}
		}
		t.Error("there was no limit")
	})
}

// What does not reach the Service.
func TestUnusable(t *testing.T) {
	t.Parallel()
	a := newAPI(t, otp.Config{}, otphttp.Config{})
	for _, r := range []struct {
		name, token, call, body string
		status                  int
		reason                  string
		fields                  []string
	}{
		{"no key", "", "POST /verifications", annsLogin, 401, "unauthorized", nil},
		{"a key of no caller", "nameless", "POST /verifications", annsLogin, 401, "unauthorized", nil},
		{"banned", "banned", "POST /verifications", annsLogin, 403, "banned", nil},
		{"elsewhere", "shop", "GET /elsewhere", "", 404, "not_found", nil},
		{"method", "shop", "GET /verifications", "", 405, "method_not_allowed", nil},
		{"method of one", "shop", "PUT /verifications/x", "", 405, "method_not_allowed", nil},
		{"method of check", "shop", "GET /verifications/x/check", "", 405, "method_not_allowed", nil},
		{"form", "shop", "POST /verifications", "subject=ann", 415, "unsupported_media_type",
			[]string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"no type", "shop", "POST /verifications/x/resend", "", 415, "unsupported_media_type", nil},
		{"large", "shop", "POST /verifications", `"` + strings.Repeat("x", 96<<10) + `"`, 413, "too_large", nil},
		{"not yet large", "shop", "POST /verifications", `"` + strings.Repeat("x", 96<<10-2) + `"`, 400, "malformed",
			nil},
		{"large, of another member", "shop", "POST /verifications/x/check",
			`{"x":"` + strings.Repeat("x", 97<<10) + `"}`, 413, "too_large", nil},
		{"unknown member", "shop", "POST /verifications", `{"subjekt":"ann"}`, 400, "malformed", nil},
		{"another type", "shop", "POST /verifications", `{"to":{"phone":447912345678}}`, 400, "malformed", nil},
		{"a list", "shop", "POST /verifications", `[]`, 400, "malformed", nil},
		{"two", "shop", "POST /verifications", annsLogin + annsLogin, 400, "malformed", nil},
		{"cut", "shop", "POST /verifications", `{"subject":`, 400, "malformed", nil},
		{"no UTF-8", "shop", "POST /verifications", "{\"subject\":\"\xff\"}", 400, "malformed", nil},
		{"half a surrogate", "shop", "POST /verifications", `{"subject":"\ud800","to":{"phone":"+447912345678"}}`, 422,
			"invalid", nil},
		{"base64", "shop", "POST /verifications", `{"binding":"?"}`, 400, "malformed", nil},
		{"client_ip", "shop", "POST /verifications", `{"subject":"a","client_ip":"here"}`, 422, "invalid", nil},
		{"priority", "shop", "POST /verifications", `{"subject":"a","priority":"first"}`, 422, "invalid", nil},
		{"empty key", "shop", "POST /verifications", annsLogin, 400, "invalid", []string{"Idempotency-Key", `""`}},
		{"request id", "shop", "POST /verifications", annsLogin, 400, "invalid",
			[]string{"Request-Id", strings.Repeat("x", 65)}},
	} {
		t.Run(r.name, func(t *testing.T) {
			w := a.ask(r.token, r.call, r.body, r.fields...)
			w.t = t
			w.want(r.status, r.reason)
			h := w.Header()
			if r.status == 401 && h.Get("WWW-Authenticate") == "" || r.status == 405 && h.Get("Allow") == "" {
				t.Errorf("got %v", h)
			}
			if strings.Contains(w.Body.String(), "447912345678") {
				t.Errorf("the answer repeats an address: %s", w.Body)
			}
		})
	}
	if n := len(a.codes.Inbox.All()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// A person cannot say what only a backend may, nor who they are.
func TestPerson(t *testing.T) {
	t.Parallel()
	var asked []otp.Request
	var verified []string
	a := newAPI(t, otp.Config{}, otphttp.Config{
		Prepare: func(r *http.Request, q *otp.Request) error {
			if r.Header.Get("Captcha") == "wrong" {
				return &otp.Error{Reason: otp.ReasonStepUp}
			}
			asked = append(asked, *q)
			return nil
		},
		Verified: func(w http.ResponseWriter, _ *http.Request, c *otp.Challenge) error {
			if c.Purpose == "payment" {
				return errors.New("not by this page")
			}
			w.Header().Set("Set-Cookie", "session=verified")
			verified = append(verified, c.ID)
			return nil
		},
	})
	for _, member := range []string{`"subject":"bob"`, `"subject":"ann"`, `"reference":"x"`, `"client_ip":"192.0.2.1"`,
		`"priority":"low"`, `"details":"x"`, `"known":true`, `"proven":true`, `"decoy":true`, `"signals":{}`,
		`"to":{"phone":"+447912345679"}`} {
		a.ask("ann", "POST /verifications", "{"+member+"}").want(422, "invalid")
	}
	c := a.ask("ann", "POST /verifications", `{"purpose":"login"}`, "Accept-Language", "fr, en;q=0.5").want(201, "").
		challenge()
	if q := asked[0]; q.Subject != "ann" || q.To.Phone != phone || q.Language != "fr, en;q=0.5" ||
		q.IP.String() != "192.0.2.1" { // httptest's
		t.Errorf("got %#v %v %q", q, q.IP, q.Language)
	}
	at := "/verifications/" + c.ID
	a.ask("ann", "GET "+at, "").want(200, "")
	a.ask("ann", "GET "+at, "", "Otp-Subject", "bob").want(400, "invalid")
	a.ask("new", "GET "+at, "").want(404, "not_found")
	a.ask("ann", "POST "+at+"/check", checkBody("000000")).want(422, "invalid") // it names the subject
	for _, member := range []string{`"proven":true`, `"client_ip":"192.0.2.1"`, `"subject":"ann"`} {
		a.ask("ann", "POST "+at+"/resend", "{"+member+"}").want(422, "invalid")
	}
	a.ask("ann", "POST "+at+"/resend", `{}`).want(429, "too_soon")
	right := a.ask("ann", "POST "+at+"/check", `{"purpose":"login","code":"`+a.codes.Inbox.Code(phone)+`"}`)
	right.want(200, "")
	if right.Header().Get("Set-Cookie") == "" || len(verified) != 1 || verified[0] != c.ID {
		t.Errorf("got %v, verified %q", right.Header(), verified)
	}
	signUp := a.ask("new", "POST /verifications", `{"purpose":"payment","to":{"email":"new@example.com"}}`)
	signUp.want(201, "")
	code := a.codes.Inbox.Code("new@example.com")
	a.ask("new", "POST "+signUp.Header().Get("Location")+"/check", `{"purpose":"payment","code":"`+code+`"}`).
		want(500, "internal")
	a.ask("new", "POST /verifications", `{"to":{"email":"new@example.com"}}`, "Captcha", "wrong").want(403, "step_up")
	if len(asked) != 2 {
		t.Errorf("%d requests were made, want 2", len(asked))
	}
}

// All calls are for the Caller's tenant.
func TestTenant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, otp.Config{Tenants: []otp.Tenant{{Name: "east", Wording: wording.Config{Brand: "East"}}}},
			otphttp.Config{Authenticate: func(r *http.Request) (otphttp.Caller, error) {
				tenant := strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer"))
				return otphttp.Caller{ID: "key", Tenant: tenant}, nil
			}})
		at := a.ask("east", "POST /verifications", annsLogin).want(201, "").Header().Get("Location")
		code := a.codes.Inbox.Code(phone)
		time.Sleep(time.Minute)
		for _, call := range []string{"GET " + at, "DELETE " + at} {
			a.ask("", call, "", "Otp-Subject", "ann").want(404, "not_found")
		}
		a.ask("", "POST "+at+"/resend", `{"subject":"ann"}`).want(404, "not_found")
		a.ask("", "POST "+at+"/check", checkBody(code)).want(422, "code_refused")
		a.ask("east", "GET "+at, "", "Otp-Subject", "ann").want(200, "")
		a.ask("east", "POST "+at+"/resend", `{"subject":"ann"}`).want(200, "")
		a.ask("east", "POST "+at+"/check", checkBody(code)).want(200, "")
		at = a.ask("east", "POST /verifications", annsLogin).want(201, "").Header().Get("Location")
		a.ask("east", "DELETE "+at, "", "Otp-Subject", "ann").want(204, "")
	})
}

// A wrapper of the Service may forget to mask.
func TestMasked(t *testing.T) {
	t.Parallel()
	to := channel.Recipient{Phone: phone, Email: "ann@example.com"}
	shown := otphttp.ChallengeOf(&otp.Challenge{To: to}, time.Now())
	if shown.To != (otphttp.To{Phone: "+44******5678", Email: "a***@example.com"}) {
		t.Errorf("got %+v", shown.To)
	}
}

// TypeBase is the beginning of each type.
func TestTypeBase(t *testing.T) {
	t.Parallel()
	a := newAPI(t, otp.Config{}, otphttp.Config{TypeBase: "https://api.example.com/problems/"})
	for _, w := range []*answer{a.ask("", "POST /verifications", "{}"), a.ask("shop", "GET /x", "")} {
		if p := w.problem(); p.Type != "https://api.example.com/problems/"+p.Reason {
			t.Errorf("got %q", p.Type)
		}
	}
}

// The documented defaults, and errors that name the field.
func TestConfig(t *testing.T) {
	t.Parallel()
	svc, auth := &otp.Service{}, byToken
	for want, c := range map[string]otphttp.Config{
		"":             {Service: svc, Authenticate: auth},
		"Service":      {Service: (*otp.Service)(nil), Authenticate: auth},
		"Authenticate": {Service: svc},
		"Path":         {Service: svc, Authenticate: auth, Path: "v1/"},
	} {
		_, err := otphttp.New(c)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), "Config."+want)) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// A wrapper of the Service is called as the Service.
type counting struct {
	otphttp.Service
	sends int
}

func (c *counting) Send(ctx context.Context, q otp.Request) (*otp.Challenge, error) {
	c.sends++
	return c.Service.Send(ctx, q)
}

func TestWrapper(t *testing.T) {
	t.Parallel()
	w := &counting{Service: otptest.New(t, otp.Config{}).Service}
	a := newAPI(t, otp.Config{}, otphttp.Config{Service: w})
	a.ask("shop", "POST /verifications", annsLogin).want(201, "")
	if w.sends != 1 {
		t.Errorf("%d sends", w.sends)
	}
}
