package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otptest/browsertest"
)

// timers is run before the page's own script: timers of a minute and more end when the test
// says so, and what a screen reader would say is kept.
const timers = `
	window.late = [];
	const real = window.setTimeout;
	window.setTimeout = (f, ms) => ms < 60000 ? real(f, ms) : late.push([ms, f]);
	window.OTPCredential = function () {};
	navigator.credentials.get = ({signal}) => new Promise((given) => {
		window.deliver = (code) => given({code});
		window.webOTP = "asked";
		signal.addEventListener("abort", () => { window.webOTP = "aborted"; });
	});`

// TestRealChromiumHelp: a country is found by its first letters, an error has the focus, the
// page announces the end of the code twice without moving the focus, and announces what the
// network reports, WebOTP fills no field that the person has filled, and the link of the last page
// leads away.
func TestRealChromiumHelp(t *testing.T) {
	t.Parallel()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><main>shop %s %s</main>", r.URL, r.Referer())
	}))
	t.Cleanup(shop.Close)
	r := start(t, func(c *config) { c.Applications[0].ReturnURLs = []string{shop.URL + "/"} })
	r.people.receipts = true
	w := &walk{Browser: browsertest.Start(t), t: t, r: r, lang: "en", number: "+447912345601"}
	w.Call("Page.enable", nil, nil)
	w.Call("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": timers}, nil)
	_, link := r.newPage(strings.Replace(signUp, "https://shop.example", shop.URL, 1))
	w.Open(link)
	w.Eval(`document.getElementById("country").value = ""; document.getElementById("country").focus()`, nil)
	for _, letter := range "United K" {
		w.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyDown", "text": string(letter)}, nil)
	}
	w.until("the country is found", `document.getElementById("country").value === "GB"`)
	w.TypeIn("phone", "12")
	w.wants("phone_wrong", true)
	w.until("the error has the focus", `document.activeElement.id === "summary"`)
	w.Eval(`document.querySelector("#summary a").focus()`, nil)
	w.Enter()
	w.until("the link of the error leads to the field", `document.activeElement.id === "phone"`)
	w.Eval(`document.getElementById("phone").value = ""`, nil)
	w.TypeIn("phone", "07912 345601")
	w.wants("code_title", false)
	w.until("the network's report is heard",
		`document.getElementById("live").textContent === document.getElementById("live").dataset.delivered`)
	w.until("the ends are timed", `late.length === 2 && late.every(([ms]) => ms < 300000)`)
	w.Eval(`window.stays = true; late[0][1](); 0`, nil)
	w.until("a minute is left", `document.getElementById("live").textContent.includes("one more minute")`)
	w.Eval(`late[1][1](); 0`, nil)
	w.until("the end is shown", `document.getElementById("live").textContent.includes("Ask for a new one") && stays`)

	code := r.people.read(w.number)
	w.Eval(`document.getElementById("code").value = "12"; deliver("`+code+`"); 0`, nil)
	w.until("what the person has typed stays", `document.getElementById("code").value === "12" && webOTP === "asked"`)
	w.Eval(`document.getElementById("code").form.addEventListener("submit", (e) => e.preventDefault());
		document.getElementById("code").form.requestSubmit(); 0`, nil)
	w.until("WebOTP ends with the form", `webOTP === "aborted"`)
	w.Then("reload", func() { w.Call("Page.reload", nil, nil) })
	w.TypeIn("code", code)
	w.wants("done_title", false)
	w.Press("Back to Shop")
	if text := w.Text(); text != "shop /done?x=1" { // and no Referer, to another origin
		t.Errorf("the link leads to %q", text)
	}
	if log := w.Log(); len(log) > 0 {
		t.Errorf("the console says %q", log)
	}
}

// TestRealChromiumEnds audits the pages that most people never see: another way, a code that
// has expired, a message that cannot be sent, a lock, and the pages without a person.
func TestRealChromiumEnds(t *testing.T) {
	t.Parallel()
	down := false
	r := startWith(t, nil, func(p *phones) opener {
		return func(app string, route route, receipt channel.ReceiptFunc) (channel.Channel, channel.Address, error) {
			c, kind, err := p.open(app, route, receipt)
			return channel.Func(func(ctx context.Context, m *channel.Message) (channel.Submission, error) {
				if down {
					return channel.Submission{}, &channel.Error{Class: channel.Unreachable}
				}
				return c.Send(ctx, m)
			}), kind, err
		}
	})
	w := &walk{Browser: browsertest.Start(t), t: t, r: r}
	for i, lang := range []string{"ar", "de"} {
		w.lang = lang
		look := func(page, text string, problem bool) {
			t.Helper()
			w.wants(text, problem)
			w.lookAt(page, "light", 320)
			w.lookAt(page, "dark", 360)
			for _, found := range w.Axe() {
				t.Errorf("%s, %s: %s", page, lang, found)
			}
		}
		subject := "ends" + lang
		begin := func(to string) (id string) {
			id, link := r.newPage(fmt.Sprintf(`{"subject":%q,"language":%q,"return_url":"https://shop.example/"%s}`,
				subject, lang, to))
			w.Open(link)
			return id
		}
		id := begin(fmt.Sprintf(`,"to":{"phone":"+44791234561%d","email":"%s@example.com"}`, i, lang))
		look("known", "start_lead", false)
		w.Press(texts[lang]["send"])
		look("by-email", "email", false)
		p, err := r.s.page(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.s.apps["shop"].svc.Cancel(t.Context(), otp.Ref{ID: p.Challenge, Subject: subject}); err != nil {
			t.Fatal(err)
		}
		w.Then("reload", func() { w.Call("Page.reload", nil, nil) })
		look("over", "expired", true)

		down = true
		begin("")
		w.TypeIn("phone", fmt.Sprintf("+44791234562%d", i))
		look("undelivered", "undelivered", true)
		down = false
		for range 2 {
			made := fmt.Sprintf(`{"subject":%q,"to":{"phone":"+44791234563%d"}}`, subject, i)
			at := apiPath + "/" + r.want(r.shop, "201 pending", "POST", apiPath, made).body.ID
			code := r.people.read(fmt.Sprintf("+44791234563%d", i))
			for range 5 {
				code = other(code)
				body := fmt.Sprintf(`{"subject":%q,"code":%q}`, subject, code)
				if _, err := r.shop.ask(t.Context(), "POST", at+"/check", body); err != nil {
					t.Fatal(err)
				}
			}
		}
		begin("")
		w.TypeIn("phone", fmt.Sprintf("+44791234564%d", i))
		look("locked", "locked", true)
	}
	w.lang = "en" // the browser's, since the page is not known
	w.Open(r.s.url() + "/p/none")
	w.wants("gone_title", false)
	if found := w.Axe(); len(found) > 0 {
		t.Errorf("gone: %s", found)
	}
	for _, line := range w.Log() {
		if !strings.Contains(line, "410 (Gone)") {
			t.Errorf("the console says %q", line)
		}
	}
	if os.Getenv("OTPCOURIER_SCREENSHOTS") != "" {
		w.Screenshot("gone")
	}
}
