package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
)

// demo serves the site on the loopback interface, and plays Ann with her browser and her
// phone. It fails at any unexpected result.
func demo(ctx context.Context, env func(string) string, out io.Writer) error {
	password := rand.Text()[:12]
	s, err := newSite(env, password)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		_ = server.Close()
		<-served
	}()
	p := &person{ctx: ctx, out: out, site: "http://" + listener.Addr().String(), password: password}
	defer p.browser.CloseIdleConnections()
	for _, act := range []func(){p.addApp, p.login, p.loseThePhone, p.tidyUp} {
		if act(); p.err != nil {
			return p.err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.say("The audit trail has %d events, and none of them holds a code:", len(s.events))
	for _, e := range s.events {
		fmt.Fprintf(out, "   %s", e.Kind)
		if e.Reason != "" {
			fmt.Fprintf(out, " (%s)", e.Reason)
		}
	}
	fmt.Fprintln(out)
	return nil
}

// A person is Ann: her browser, her phone, and the paper with her recovery codes.
type person struct {
	ctx            context.Context
	out            io.Writer
	site, password string
	browser        http.Client
	cookie         *http.Cookie
	page           string // in the browser
	app            authenticator.Key
	paper          []string
	err            error // the first unexpected result
}

func (p *person) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *person) addApp() {
	p.say("1. Ann signs in with her password, and adds an app")
	p.signIn()
	p.sees("You have none")
	p.submit("/enroll", nil)
	p.sees("<svg", "Scan this QR code", "add the account on this device")
	p.scan()
	p.submit("/confirm", url.Values{"code": {"12345"}})
	p.sees("Error:", "The code is not right")
	p.say("   a code of five digits: refused")
	p.submit("/confirm", url.Values{"code": {p.code(0)}})
	p.sees("Your app is added", "Your recovery codes")
	for _, m := range regexp.MustCompile(`<li><code dir="ltr">([0-9A-Z-]+)</code>`).FindAllStringSubmatch(p.page, -1) {
		p.paper = append(p.paper, m[1])
	}
	p.say("   the code of the app: accepted; %d recovery codes are on the page", len(p.paper))
	p.open("/recovery")
	p.sees("were shown before")
	p.say("   the page again: the codes are shown once")
	if len(p.paper) != 10 {
		p.fail("%d recovery codes", len(p.paper))
	}
}

func (p *person) login() {
	p.say("2. She logs in with the app")
	p.signIn()
	p.sees("Enter the code of your app")
	used := p.code(1)
	p.submit("/code", url.Values{"code": {" " + used[:3] + " " + used[3:]}})
	p.sees("Your account", "You have 10 left")
	p.say("   password and code: accepted")
	p.signIn()
	p.submit("/code", url.Values{"code": {used}})
	p.sees("Error:", "The code is not right")
	p.say("   the same code again: refused")
}

func (p *person) loseThePhone() {
	p.say("3. Her phone is lost")
	if p.err != nil || len(p.paper) == 0 {
		return
	}
	p.submit("/recover", url.Values{"recovery": {strings.ToLower(p.paper[0])}})
	p.sees("Your account", "You have 9 left")
	p.say("   a recovery code, in lower case: accepted, 9 are left")
	p.signIn()
	p.submit("/recover", url.Values{"recovery": {p.paper[0]}})
	p.sees("was used before")
	p.say("   the same recovery code again: refused")
	p.submit("/recover", url.Values{"recovery": {p.paper[1]}})
	p.sees("You have 8 left")
}

func (p *person) tidyUp() {
	p.say("4. She makes new recovery codes, and removes the app")
	p.submit("/recovery", nil)
	p.sees("They are shown this one time")
	p.open("/")
	p.sees("You have 10 left")
	m := regexp.MustCompile(`name="id" value="([0-9a-f]+)"`).FindStringSubmatch(p.page)
	if m == nil {
		p.fail("no app to remove")
		return
	}
	p.submit("/revoke", url.Values{"id": {m[1]}})
	p.sees("The app is removed", "You have none")
	p.say("   the app is removed; the password is enough until there is another")
}

// signIn signs out and in again.
func (p *person) signIn() {
	p.submit("/signout", nil)
	p.sees("You are signed out")
	p.submit("/signin", url.Values{"name": {userName}, "password": {"guess"}})
	p.sees("The name or the password is not right")
	p.submit("/signin", url.Values{"name": {userName}, "password": {p.password}})
}

// scan reads the link, which has the content of the QR code.
func (p *person) scan() {
	m := regexp.MustCompile(`href="(otpauth:[^"]+)"`).FindStringSubmatch(p.page)
	if m == nil {
		p.fail("no link on the page")
		return
	}
	var err error
	if p.app, err = authenticator.ParseURI(html.UnescapeString(m[1])); err != nil {
		p.fail("%v", err)
		return
	}
	p.say("   her phone scans the QR code: an account of %s", p.app.User)
}

// code returns the phone's code some steps from now. A demonstration does not wait for the
// next code, and the service accepts a code one step early.
func (p *person) code(steps int) string {
	at := time.Now().Add(time.Duration(steps) * p.app.Period)
	code, err := oath.TOTP{Digits: p.app.Digits, Hash: p.app.Hash}.Generate(otp.Seed{Key: p.app.Secret, Time: at})
	if err != nil {
		p.fail("%v", err)
		return "000000"
	}
	return code
}

func (p *person) open(path string)                    { p.ask(http.MethodGet, path, nil) }
func (p *person) submit(path string, form url.Values) { p.ask(http.MethodPost, path, form) }

// ask loads a page as a browser does, with redirects and the cookie.
func (p *person) ask(method, path string, form url.Values) {
	p.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range 10 {
		if p.err != nil {
			return
		}
		r, err := http.NewRequestWithContext(p.ctx, method, p.site+path, strings.NewReader(form.Encode()))
		if err != nil {
			p.fail("%v", err)
			return
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if p.cookie != nil {
			r.AddCookie(p.cookie)
		}
		to, err := p.load(r)
		if err != nil {
			p.fail("%s %s: %v", method, path, err)
		}
		if to == "" {
			return
		}
		method, path, form = http.MethodGet, to, nil
	}
	p.fail("redirected in a circle")
}

// load returns the target of a redirect, or keeps the answer's page.
func (p *person) load(r *http.Request) (to string, err error) {
	answer, err := p.browser.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	for _, c := range answer.Cookies() {
		p.cookie = c
	}
	page, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	switch {
	case err != nil:
		return "", err
	case answer.StatusCode == http.StatusSeeOther:
		return answer.Header.Get("Location"), nil
	case answer.StatusCode != http.StatusOK:
		return "", errors.New(answer.Status)
	}
	p.page = string(page)
	return "", nil
}

// sees checks that the page has the texts.
func (p *person) sees(texts ...string) {
	for _, text := range texts {
		if p.err == nil && !strings.Contains(p.page, text) {
			p.fail("the page does not say %q:\n%s", text, p.page)
		}
	}
}

func (p *person) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}
