package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
)

// startSite serves the site until the test ends.
func startSite(t *testing.T) (address string) {
	t.Helper()
	s, err := newSite(func(string) string { return "" }, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.handler()}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

// A visit is Ann's way through all pages, in a browser. At each page it calls look.
type visit struct {
	*browsertest.Browser
	t    *testing.T
	site string
	app  authenticator.Key
	look func(page string)
}

// begin signs in by the password.
func (v *visit) begin() {
	v.t.Helper()
	v.Open(v.site + "/")
	v.Eval(`document.getElementById("name").value = "ann"`, nil)
	v.TypeIn("password", "correct horse")
}

func (v *visit) code(steps int) string {
	v.t.Helper()
	at := time.Now().Add(time.Duration(steps) * v.app.Period)
	code, err := oath.TOTP{Digits: v.app.Digits, Hash: v.app.Hash}.Generate(otp.Seed{Key: v.app.Secret, Time: at})
	if err != nil {
		v.t.Fatal(err)
	}
	return code
}

// wants checks what the page says and whether its title tells of an error.
func (v *visit) wants(problem bool, texts ...string) {
	v.t.Helper()
	page := v.Text()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			v.t.Fatalf("the page does not say %q:\n%s", text, page)
		}
	}
	var title string
	v.Eval("document.title", &title)
	if strings.HasPrefix(title, "Error: ") != problem {
		v.t.Errorf("title %q, an error %v", title, problem)
	}
	if problem { // a screen reader begins at the summary, whose link leads to the field
		var focus string
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); { // each Eval waits for the browser
			v.Eval(`document.activeElement.id + " " + (document.querySelector("#summary a")?.hash ?? "")`, &focus)
			if strings.HasPrefix(focus, "summary #") {
				return
			}
		}
		v.t.Errorf("%s: the focus is on %q", title, focus)
	}
}

// everything walks through all pages.
func (v *visit) everything() {
	t := v.t
	t.Helper()
	v.Open(v.site + "/")
	v.wants(false, "Sign in")
	v.look("signin")
	v.TypeIn("password", "wrong")
	v.wants(true, "The name or the password is not right")
	v.look("signin-error")
	v.begin()
	v.wants(false, "You have none")
	v.look("account-empty")
	v.Press("Add an app")
	v.wants(false, "Scan this QR code")
	var link string
	v.Eval(`document.getElementById("link").href`, &link)
	var err error
	if v.app, err = authenticator.ParseURI(link); err != nil {
		t.Fatal(err)
	}
	v.look("enroll")
	v.TypeIn("code", "000 000")
	v.wants(true, "The code is not right")
	v.look("enroll-error")
	code := v.code(0)
	v.TypeIn("code", code[:3]+" "+code[3:])
	v.wants(false, "Your recovery codes", "They are shown this one time")
	var codes []string
	v.Eval(`[...document.querySelectorAll("ol.codes code")].map(e => e.textContent)`, &codes)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	v.look("recovery")
	v.Open(v.site + "/recovery")
	v.wants(false, "were shown before")
	v.look("recovery-again")
	v.Press("Back to your account")
	v.wants(false, "Authenticator app", "You have 10 left")
	v.look("account")
	v.Press("Sign out")
	v.wants(false, "You are signed out")

	v.begin()
	v.wants(false, "Enter the code of your app")
	v.look("code")
	v.TypeIn("code", "000000")
	v.wants(true, "The code is not right")
	v.look("code-error")
	used := v.code(1)
	v.TypeIn("code", used)
	v.wants(false, "Your account")
	v.Press("Make new recovery codes")
	v.wants(false, "They are shown this one time")
	v.Press("I have kept them")
	v.Press("Sign out")
	v.begin()
	v.TypeIn("recovery", codes[0])
	v.wants(true, "The recovery code is not right") // of the old set
	v.look("recover-error")
	v.TypeIn("code", used)
	v.wants(true, "The code is not right")
	var next []string
	v.Eval(`[...document.querySelectorAll("button")].map(e => e.textContent)`, &next)
	if len(next) != 3 {
		t.Errorf("buttons %q", next)
	}
}

// TestRealChromium walks through the pages without script, on a narrow and a wide screen,
// light and dark: they need no scrolling to the side, their policy is never violated, what
// describes a field is there, and the QR code is read from the screenshot.
func TestRealChromium(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("zbarimg")
	browsertest.Need(t, "zbarimg", err == nil)
	v := &visit{Browser: browsertest.Start(t), t: t, site: startSite(t)}
	v.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	v.look = func(page string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1280} {
				v.Screen(width, scheme)
				v.lookAt(page, scheme, width)
			}
		}
	}
	v.everything()
	if log := v.Log(); len(log) > 0 {
		t.Errorf("the console says %q", log)
	}
}

func (v *visit) lookAt(page, scheme string, width int) {
	t := v.t
	t.Helper()
	var seen struct {
		Wide  int
		Paper string
	}
	v.Eval(`({Wide: document.documentElement.scrollWidth, Paper: getComputedStyle(document.body).backgroundColor})`,
		&seen)
	if seen.Wide > width {
		t.Errorf("%s, %d wide: the page is %d wide", page, width, seen.Wide)
	}
	if paper := map[string]string{"light": "rgb(255, 255, 255)",
		"dark": "rgb(19, 23, 27)"}[scheme]; seen.Paper != paper {
		t.Errorf("%s, %s: the page is %s", page, scheme, seen.Paper)
	}
	if ids := v.Dangling(); len(ids) > 0 {
		t.Errorf("%s: nothing is described by %q", page, ids)
	}
	name := fmt.Sprintf("%s-%s-%d", page, scheme, width)
	png := v.Screenshot(name)
	if page != "enroll" {
		return
	}
	shot := filepath.Join(t.TempDir(), "shot.png")
	if err := os.WriteFile(shot, png, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("zbarimg", "--nodbus", "--quiet", "--raw", shot).Output()
	if err != nil {
		t.Errorf("%s: zbarimg: %v", name, err)
		return
	}
	k, err := authenticator.ParseURI(strings.TrimSpace(string(out)))
	if err != nil || string(k.Secret) != string(v.app.Secret) || k.User != account {
		t.Errorf("%s: the QR code on the screenshot reads %v, %v", name, k, err)
	}
}

// TestRealAxe audits each page by axe-core: WCAG 2.2 A and AA, and best practice.
func TestRealAxe(t *testing.T) {
	t.Parallel()
	v := &visit{Browser: browsertest.Start(t), t: t, site: startSite(t)}
	audits := 0
	v.look = func(page string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 1280} {
				v.Screen(width, scheme)
				audits++
				for _, found := range v.Axe() {
					t.Errorf("%s, %s, %d wide: %s", page, scheme, width, found)
				}
			}
		}
	}
	v.everything()
	if audits < 40 {
		t.Errorf("%d audits", audits)
	}
	t.Log(audits, "audits")
}
