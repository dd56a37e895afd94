package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// visitPiped is visit in the bubble of a test.
func (r *rig) visitPiped(l *pipeListener) *visitor {
	v := newVisitor(r.t, "http://pipe")
	v.client.Transport = &http.Transport{DialContext: l.dial, DisableKeepAlives: true}
	return v
}

// open follows a page's link, whose host is not that of the pipe.
func (v *visitor) open(link string) *visitor {
	v.t.Helper()
	_, path, _ := strings.Cut(link, "/p/")
	return v.get("/p/" + path)
}

// A page is open until the person's time is over. Its backend can ask for a day what came of
// it.
func TestPageLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, pipe := startPiped(t)
		status := func(id, want string) {
			t.Helper()
			if state := r.pageState(r.shop, id); state.Status != want || state.Reference != "order-7" {
				t.Errorf("got %+v, want %s", state, want)
			}
		}
		unopened, stale := r.newPage(signUp)
		left, link := r.newPage(signUp)
		v := r.visitPiped(pipe)
		v.open(link).says("Enter your mobile number")
		used, link := r.newPage(signUp)
		w := r.visitPiped(pipe)
		w.open(link).post("/verify/send", "phone", "+447912345601").says("Enter the code")
		first := r.people.read("+447912345601")

		time.Sleep(5 * time.Minute)
		w.get("/verify").says("This code can no longer be used", "Start again")
		w.post("/verify/change").post("/verify/send", "phone", "+447912345601").says("Enter the code")
		w.post("/verify/check", "code", first).says("There is a problem")

		time.Sleep(6 * time.Minute)
		if v := r.visitPiped(pipe).open(stale); v.status != http.StatusGone {
			t.Errorf("a link of 11 minutes: %d", v.status)
		}
		status(unopened, "expired")
		status(left, "open")
		w.get("/verify").post("/verify/change").post("/verify/send", "phone", "+447912345601")
		w.post("/verify/check", "code", r.people.read("+447912345601")).says("You are verified")

		time.Sleep(20 * time.Minute)
		if v.get("/verify"); v.status != http.StatusGone {
			t.Errorf("after half an hour: %d", v.status)
		}
		status(left, "expired")
		time.Sleep(23 * time.Hour)
		status(used, "verified")
		status(left, "expired")
		r.want(r.bank, "404 not_found", "GET", pagesPath+"/"+used, "")
		time.Sleep(time.Hour)
		r.want(r.shop, "404 not_found", "GET", pagesPath+"/"+used, "")
	})
}

// After wrong codes in a row the page says how long the person must wait.
func TestPageLocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, pipe := startPiped(t)
		_, link := r.newPage(signUp)
		v := r.visitPiped(pipe)
		v.open(link).post("/verify/send", "phone", "+447912345601")
		code, tries := r.people.read("+447912345601"), 0
		for ; !strings.Contains(v.page, "Too many wrong codes"); tries++ {
			if tries > 50 {
				t.Fatalf("no lock:\n%s", v.page)
			}
			if strings.Contains(v.page, "Start again") {
				v.post("/verify/change").post("/verify/send", "phone", "+447912345601")
				code = r.people.read("+447912345601")
				continue
			}
			code = other(code)
			v.post("/verify/check", "code", code)
		}
		v.says("Minutes to wait: ", ">30<", "support@shop.example", "<title>Error: ")
		time.Sleep(90 * time.Second)
		sent := r.people.count()
		v.post("/verify/send", "phone", "+447912345602").says("Minutes to wait: ", ">29<")
		if n := r.people.count(); n != sent {
			t.Errorf("%d messages were sent", n-sent)
		}
		time.Sleep(29 * time.Minute)
		_, link = r.newPage(signUp)
		v.open(link).post("/verify/send", "phone", "+447912345601")
		v.post("/verify/check", "code", r.people.read("+447912345601")).says("You are verified")
	})
}

// Two tabs of one browser: a form of what the other tab has left behind does nothing.
func TestPageTabs(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	id, link := r.newPage(signUp)
	one := r.visit()
	one.get(link)
	two := *one
	one.post("/verify/send", "phone", "+447912345601").says("+44******5601")
	two.post("/verify/send", "phone", "+447912345602").says("+44******5601")
	if n := r.people.count(); n != 1 {
		t.Errorf("%d messages were sent", n)
	}
	first := r.people.read("+447912345601")
	one.post("/verify/change").post("/verify/send", "phone", "+447912345603").says("+44******5603")
	two.post("/verify/check", "code", first).says("+44******5603")
	if strings.Contains(two.page, "There is a problem") {
		t.Errorf("a code of before cost an attempt:\n%s", two.page)
	}
	_, link = r.newPage(strings.Replace(signUp, "sign-up", "payment", 1))
	two.get(link).says("Enter your mobile number")
	one.post("/verify/check", "code", r.people.read("+447912345603")).says("Enter your mobile number")
	if state := r.pageState(r.shop, id); state.Status != "open" {
		t.Errorf("got %+v", state)
	}
}

// The link is traded for a cookie that only this host gets back, over TLS, and no script reads.
func TestPageCookie(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	_, link := r.newPage(signUp)
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	c := resp.Cookies()[0]
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/verify" ||
		c.Name != "__Host-otp-page" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode ||
		c.Path != "/" || c.Domain != "" || c.MaxAge != 1800 || strings.Contains(link, c.Value) {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}

// The selector shows the country that a proxy names, else the country of the browser's languages, if
// the application serves it.
func TestPageCountry(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) {
		c.CountryHeader = "CF-IPCountry"
		c.Applications[0].Countries = []string{"CA", "DE", "FR"}
	})
	for _, c := range []struct{ header, languages, want string }{
		{"", "", ""}, {"", "fr", ""}, {"", "fr-CA,fr;q=0.9", "CA"}, {"", "en-US, de-DE", "DE"}, {"", "en-GB", ""},
		{"FR", "", "FR"}, {"FR", "de-DE", "FR"}, {"GB", "de-DE", "DE"}, {"XX", "", ""}, {"T1", "en-GB", ""},
	} {
		_, link := r.newPage(`{"subject":"ann","return_url":"https://shop.example/"}`)
		v := r.visit()
		v.get(link)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+"/verify", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Cf-Ipcountry", c.header)
		q.Header.Set("Accept-Language", c.languages)
		v.read(v.client.Do(q))
		chosen := ""
		if m := regexp.MustCompile(`<option value="(\w+)" selected>`).FindStringSubmatch(v.page); m != nil {
			chosen = m[1]
		}
		if chosen != c.want {
			t.Errorf("%+v: %q is chosen", c, chosen)
		}
	}
}
