package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
)

// A walk is a person's way through the hosted page, in a browser.
type walk struct {
	*browsertest.Browser
	t      *testing.T
	r      *rig
	lang   string
	number string
	look   func(page string)
}

// everything walks through all pages. At each it calls look.
func (w *walk) everything() {
	t := w.t
	t.Helper()
	_, link := w.r.newPage(strings.Replace(signUp, `"en"`, `"`+w.lang+`"`, 1))
	w.Open(link)
	w.wants("phone_title", false)
	w.look("start")
	w.Eval(`document.getElementById("country").value = ""`, nil) // the browser's languages say US
	w.TypeIn("phone", "07912")
	w.wants("country_empty", true)
	w.look("start-error")
	var chosen string
	if w.Eval(`document.getElementById("country").value`, &chosen); chosen != "" {
		w.t.Errorf("the page has chosen %q in the person's place", chosen)
	}
	w.Eval(`document.getElementById("country").value = "GB"`, nil)
	w.Eval(`document.getElementById("phone").value = ""`, nil)
	w.TypeIn("phone", "0"+strings.TrimPrefix(w.number, "+44"))
	w.wants("code_title", false)
	w.look("code")
	code := w.r.people.read(w.number)
	w.TypeIn("code", other(code))
	w.wants("code_wrong", true)
	w.look("code-error")
	for range 2 { // to load it again costs no attempt
		w.Then("reload", func() { w.Call("Page.reload", nil, nil) })
		w.wants("code_wrong", true)
	}
	w.TypeIn("code", code[:3]+" "+code[3:])
	w.wants("done_title", false)
	w.look("done")
	w.Then("back", func() { w.Eval(`history.back(); 0`, nil) })
	w.wants("done_title", false)
}

// wants checks what the page says, that its title tells of an error, and where a
// screen reader then begins.
func (w *walk) wants(text string, problem bool) {
	w.t.Helper()
	page := w.Text()
	want, _, _ := strings.Cut(texts[w.lang][text], "%")
	var title, dir string
	w.Eval("document.title", &title)
	w.Eval("document.documentElement.lang + document.documentElement.dir", &dir)
	says := strings.Contains(page, strings.TrimSpace(want))
	tells := strings.HasPrefix(title, texts[w.lang]["error"]+": ")
	if !says || tells != problem {
		w.t.Fatalf("%s: the page %q does not say %q, or its title is not of it:\n%.600s", w.lang, title, want,
			regexp.MustCompile(`.*\(\+\d+\).*\n`).ReplaceAllString(page, ""))
	}
	if want := w.lang + map[bool]string{true: "rtl", false: "ltr"}[w.lang == "ar"]; dir != want {
		w.t.Errorf("the page is %s, want %s", dir, want)
	}
}

// lookAt holds a page to what every page must keep to.
func (w *walk) lookAt(page, scheme string, width int) {
	t := w.t
	t.Helper()
	w.Screen(width, scheme)
	name := fmt.Sprintf("%s-%s-%s-%d", page, w.lang, scheme, width)
	var wide int
	w.Eval("document.documentElement.scrollWidth", &wide)
	if wide > width {
		t.Errorf("%s: the page is %d wide", name, wide)
	}
	if ids := w.Dangling(); len(ids) > 0 {
		t.Errorf("%s: nothing is described by %q", name, ids)
	}
	var faults []string
	w.Eval(`[...document.querySelectorAll("[maxlength], [pattern], body [style], script:not([src]), [onclick]")]
		.map(e => e.outerHTML)`, &faults)
	if len(faults) > 0 {
		t.Errorf("%s: there is %q", name, faults)
	}
	if os.Getenv("OTPCOURIER_SCREENSHOTS") != "" {
		w.Screenshot(name)
	}
}

// TestRealChromiumPages looks at each page, narrow and wide, light and dark, in
// languages of both directions and of long words, and audits it by axe-core.
func TestRealChromiumPages(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	few := start(t, func(c *config) { c.Applications[0].Countries = []string{"DE", "EG", "GB", "US"} })
	w := &walk{Browser: browsertest.Start(t), t: t}
	audits := 0
	w.look = func(page string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{320, 360, 1280} {
				w.lookAt(page, scheme, width)
				if width == 360 && w.lang == "de" || width == 320 {
					continue
				}
				audits++
				for _, found := range w.Axe() {
					t.Errorf("%s, %s, %s, %d wide: %s", page, w.lang, scheme, width, found)
				}
			}
		}
	}
	for i, lang := range []string{"en", "ar", "de"} {
		w.lang, w.number, w.r = lang, fmt.Sprintf("+44791234560%d", i), few
		if lang == "en" { // once with all countries, which take their time
			w.r = r
		}
		w.everything()
	}
	if log := w.Log(); len(log) > 0 {
		t.Errorf("the console says %q", log)
	}
	t.Log(audits, "audits")

	_, link := r.newPage(signUp)
	w.Open(link)
	w.Eval(`document.querySelector("label[for=phone]").remove(); document.body.style.color = "#ccc";
		document.getElementById("phone").setAttribute("aria-describedby", "nowhere")`, nil)
	if len(w.Axe()) == 0 || len(w.Dangling()) != 1 {
		t.Error("planted faults were not found")
	}
}

// TestRealChromiumNoScript walks through the pages with the keyboard alone, without
// script, in forced colours and with text twice as large.
func TestRealChromiumNoScript(t *testing.T) {
	t.Parallel()
	w := &walk{Browser: browsertest.Start(t), t: t, r: start(t, nil), lang: "en", number: "+447912345601"}
	w.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	w.look = func(page string) {
		w.lookAt(page, "light", 640) // 320 at 200 %
		w.Eval(`document.documentElement.style.fontSize = "200%"`, nil)
		w.lookAt(page+"-large", "dark", 640)
		w.Call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{
			"name": "forced-colors", "value": "active"}}}, nil)
		var bare []string // without a border nothing tells it from text: its background is not drawn
		if w.Eval(`!matchMedia("(forced-colors: active)").matches ? ["no forced colours"] :
			[...document.querySelectorAll("input:not([type=hidden]), select, button:not(.link), a.main, .summary")]
			.filter(e => parseFloat(getComputedStyle(e).borderTopWidth) < 1)
			.map(e => e.outerHTML)`, &bare); len(bare) > 0 {
			t.Errorf("%s, forced colours: %q", page, bare)
		}
	}
	w.everything()
	if log := w.Log(); len(log) > 0 {
		t.Errorf("the console says %q", log)
	}
}

// until waits for a condition in the page.
func (w *walk) until(what, condition string) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		var so bool
		w.Eval(condition, &so)
		if so {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s: %s", what, w.Text())
		}
	}
}

// TestRealChromiumScript: what the script adds. The seconds are counted, heard at the
// end only; a second press sends nothing; WebOTP fills the code in.
func TestRealChromiumScript(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.Applications[0].waits = []time.Duration{3 * time.Second} })
	w := &walk{Browser: browsertest.Start(t), t: t, r: r, lang: "en", number: "+447912345601"}
	w.Call("Page.enable", nil, nil)
	w.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": `
		window.OTPCredential = function () {};
		navigator.credentials.get = () => new Promise((given) => { window.deliver = (code) => given({code}); });`}, nil)
	_, link := r.newPage(signUp)
	w.Open(link)
	w.TypeIn("phone", w.number)
	w.wants("code_title", false)
	w.until("the code has the focus", `document.activeElement.id === "code"`)
	w.until("the button waits", `document.getElementById("resend").getAttribute("aria-disabled") === "true" &&
		document.getElementById("live").textContent === ""`)
	w.Eval(`document.getElementById("resend").click()`, nil)
	w.until("a press says how long", `document.getElementById("live").textContent.startsWith("Seconds until")`)
	w.until("the end is heard", `document.getElementById("live").textContent.startsWith("You can ask") &&
		!document.getElementById("resend").hasAttribute("aria-disabled") && !document.getElementById("resend-wait")`)
	sent := r.people.count()
	w.Then("resend", func() {
		w.Eval(`document.getElementById("resend").click(); document.getElementById("resend").click()`, nil)
	})
	if n := r.people.count() - sent; n != 1 {
		t.Errorf("two presses sent %d messages", n)
	}
	w.Then("WebOTP", func() { w.Eval(`window.deliver("`+r.people.read(w.number)+`")`, nil) })
	w.wants("done_title", false)
	if log := w.Log(); len(log) > 0 {
		t.Errorf("the console says %q", log)
	}
}
