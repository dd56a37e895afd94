package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// vectorHash is of the reference implementation's tests: "password" with "somesalt".
const vectorHash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestPasswordHash(t *testing.T) {
	t.Parallel()
	h, err := parsePasswordHash(vectorHash)
	if err != nil || h.String() != vectorHash {
		t.Fatal(h, err)
	}
	c := newHasher()
	for password, want := range map[string]bool{"password": true, "Password": false, "": false} {
		if got, err := c.matches(t.Context(), h, password); got != want || err != nil {
			t.Errorf("%q: %v %v", password, got, err)
		}
	}
	h = newPasswordHash("\u00e9l\u00e8ve") // composed, as most keyboards do
	if again, err := parsePasswordHash(h.String()); err != nil || !bytes.Equal(again.of("e\u0301le\u0300ve"), h.sum) {
		t.Error("a keyboard that does not compose letters types another password", err)
	}
	if h.String() == newPasswordHash("\u00e9l\u00e8ve").String() {
		t.Error("two hashes have one salt")
	}
	for _, change := range [][2]string{{"argon2id", "argon2i"}, {"v=19", "v=16"}, {"v=19$", ""}, {"65536", "065536"},
		{"65536", "4294967296"}, {"65536", "262145"}, {"65536", "19455"}, {"t=2", "t=0"}, {"t=2", "t=11"},
		{"p=1", "p=0"}, {"p=1", "p=17"}, {"p=1", "p=257"}, {"p=1", "p=1,x=1"}, {"c29tZXNhbHQ", "c29tZQ"},
		{"hbHQ$", "hbHR$"}, {"hbHQ$", "hbHQ=$"}, {"CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", ""}, {vectorHash, ""},
		{vectorHash, vectorHash + "$"}, {vectorHash, " " + vectorHash}} {
		text := strings.Replace(vectorHash, change[0], change[1], 1)
		if _, err := parsePasswordHash(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// The entry that the argument password prints is one of the file, without the password.
func TestPrintPassword(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	var out bytes.Buffer
	if err := printPassword([]string{"ann", "viewer"}, strings.NewReader(password+"\r\n"), &out); err != nil {
		t.Fatal(err)
	}
	_, entry, _ := strings.Cut(out.String(), ": ")
	c, err := parseConfig(fmt.Appendf(nil, `{"applications":[{"name":"a","brand":"A","routes":[{"name":"r",
		"url":"console:phone"}]}],"operators":[%s]}`, entry), func(string) string { return "" })
	if err != nil || strings.Contains(out.String(), password) {
		t.Fatal(out.String(), err)
	}
	if o, err := newLogin(c).check(t.Context(), "ann", password); o == nil || o.Role != roleViewer || err != nil {
		t.Error(o, err)
	}
	for _, bad := range []struct{ name, role, password string }{{"Ann", "viewer", password}, {"ann", "boss", password},
		{"ann", "viewer", "fourteen chars"}, {"ann", "viewer", strings.Repeat("\u00e9", maxPassword/2) + "x"},
		{"ann", "viewer", password + "\xff"}} {
		out.Reset()
		err := printPassword([]string{bad.name, bad.role}, strings.NewReader(bad.password), &out)
		if err == nil || out.Len() > 0 || strings.Contains(err.Error(), bad.password) {
			t.Errorf("%v: got %v %s", bad, err, &out)
		}
	}
	if printPassword([]string{"ann"}, strings.NewReader(password), &out) == nil {
		t.Error("no role is a role")
	}
}

// A desk calls the operators' listener of a server in a bubble, from addresses of its choice.
type desk struct {
	t       *testing.T
	handler http.Handler
}

func newDesk(t *testing.T) (*desk, *rig) {
	r, _ := startPiped(t)
	r.s.login.set(&config{Operators: []operator{newOperator("ann", roleViewer), newOperator("ben", roleViewer)}})
	return &desk{t, r.s.adminHandler()}, r
}

// signIn sends the form and returns the answer.
func (d *desk) signIn(from, name, password, cookie string) *httptest.ResponseRecorder {
	form := url.Values{"name": {name}, "password": {password}}
	q := httptest.NewRequestWithContext(d.t.Context(), http.MethodPost, "/dashboard/sign-in",
		strings.NewReader(form.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	q.RemoteAddr = from + ":1234"
	return d.call(q, cookie)
}

func (d *desk) call(q *http.Request, cookie string) *httptest.ResponseRecorder {
	if cookie != "" {
		q.Header.Set("Cookie", operatorCookie+"="+cookie)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, q)
	return w
}

// opens reports whether the dashboard opens to a cookie.
func (d *desk) opens(cookie string) bool {
	q := httptest.NewRequestWithContext(d.t.Context(), http.MethodGet, "/dashboard", nil)
	return d.call(q, cookie).Code == http.StatusOK
}

// enter signs ann in and returns her cookie.
func (d *desk) enter(cookie string) string {
	d.t.Helper()
	w := d.signIn("192.0.2.9", "ann", passwordOf("ann"), cookie)
	if w.Code != http.StatusSeeOther {
		d.t.Fatalf("signing in: %d %s", w.Code, w.Body)
	}
	c := w.Result().Cookies()[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" ||
		c.Name != operatorCookie {
		d.t.Errorf("the cookie is %v", c)
	}
	return c.Value
}

// A session has a value of its own that no browser brings along, and ends with the next,
// with the password, and after its life.
func TestOperatorSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, r := newDesk(t)
		first := d.enter("planted")
		if d.opens("planted") || !d.opens(first) {
			t.Error("a session has the value that the browser brought along")
		}
		second := d.enter(first)
		if second == first || d.opens(first) || !d.opens(second) {
			t.Error("the former session goes on")
		}
		ann := newOperator("ann", roleViewer)
		changed := ann
		changed.Password = newOperator("ben", roleViewer).Password
		if r.s.login.set(&config{Operators: []operator{changed}}); d.opens(second) {
			t.Error("a session of a former password goes on")
		}
		if r.s.login.set(&config{Operators: []operator{ann}}); !d.opens(second) {
			t.Error("the session of the password does not go on")
		}
		time.Sleep(operatorLife - time.Second)
		if !d.opens(second) {
			t.Error("the session ended early")
		}
		if time.Sleep(time.Second); d.opens(second) {
			t.Error("the session did not end")
		}
	})
}

// Five failures lock a name, known or not, from any address and to the right password,
// for 15 minutes from the first. Tries at one time are bounded, too.
func TestOperatorLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, _ := newDesk(t)
		for _, name := range []string{"ann", "nobody"} {
			var mu sync.Mutex
			got := map[int]int{}
			var tries sync.WaitGroup
			for i := range 20 {
				tries.Go(func() {
					w := d.signIn(fmt.Sprintf("192.0.2.%d", i), name, "guess", "")
					mu.Lock()
					defer mu.Unlock()
					got[w.Code]++
				})
			}
			tries.Wait()
			if got[http.StatusUnauthorized] != maxSignIns || got[http.StatusTooManyRequests] != 20-maxSignIns {
				t.Errorf("%s: got %v", name, got)
			}
		}
		locked := d.signIn("198.51.100.1", "ann", passwordOf("ann"), "")
		if locked.Code != http.StatusTooManyRequests || !strings.Contains(locked.Body.String(), "in 900 seconds") {
			t.Errorf("got %d %s", locked.Code, locked.Body)
		}
		if w := d.signIn("198.51.100.1", "ben", passwordOf("ben"), ""); w.Code != http.StatusSeeOther {
			t.Errorf("another name is locked: %d", w.Code)
		}
		time.Sleep(blockFor + time.Second)
		for range 2 * maxFailures { // a right password is no failure
			d.enter("")
		}
		for i := range maxFailures {
			d.signIn("198.51.100.2", fmt.Sprintf("name%d", i), "guess", "")
		}
		if w := d.signIn("198.51.100.2", "ann", passwordOf("ann"), ""); w.Code != http.StatusTooManyRequests {
			t.Errorf("an address that failed with %d names: %d", maxFailures, w.Code)
		}
	})
}

// Only a few passwords are hashed at one time, those of unknown names as well. A try that
// waited too long is no failure.
func TestOperatorFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, r := newDesk(t)
		for range hashings {
			r.s.login.hasher <- struct{}{}
		}
		for range maxSignIns {
			for _, name := range []string{"ann", "nobody"} {
				begun := time.Now()
				if w := d.signIn("192.0.2.1", name, passwordOf(name), ""); w.Code != http.StatusServiceUnavailable {
					t.Errorf("%s: got %d", name, w.Code)
				}
				if waited := time.Since(begun); waited != 5*time.Second {
					t.Errorf("%s waited %v", name, waited)
				}
			}
		}
		<-r.s.login.hasher
		d.enter("")
	})
}
