package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/otpcourier/otpcourier/store/pgstore/pgtest"
	"github.com/otpcourier/otpcourier/store/redisstore/redistest"
)

// stores return the URL of an empty store.
var stores = map[string]func(*testing.T) string{
	"memory":           func(*testing.T) string { return "" },
	"TestRealRedis":    func(t *testing.T) string { return "redis://" + redistest.Start(t).Addr + "/0" },
	"TestRealPostgres": newDatabase,
}

// newDatabase makes a database on a PostgreSQL that the tests share.
func newDatabase(t *testing.T) string {
	t.Helper()
	server := pgtest.Shared(t)
	name := pgtest.Schema()
	inPostgres(t, server.URL(), "CREATE DATABASE "+name)
	return changeURL(t, server.URL(), func(u *url.URL) { u.Path = "/" + name })
}

func inPostgres(t *testing.T, at, statements string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}

func changeURL(t *testing.T, text string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func TestRealRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	testShared(t, "redis://"+redis.Addr+"/0", redis.Kill)
}

func TestRealPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	testShared(t, server.URL(), server.Kill)
}

// Two servers on one store are one: a code of one is checked at the other, whose pages,
// blocks and webhooks are the same; and if the store is down nobody is verified and
// readiness says so.
func testShared(t *testing.T, store string, kill func()) {
	fail := http.StatusGone
	var mu sync.Mutex
	e := newEndpoint(t, func(_ int, w http.ResponseWriter) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(fail)
	})
	r := hooked(t, e, func(c *config) {
		c.Store, c.Operators = store, []operator{newOperator("ann", roleOperator)}
	})
	other := r.serve(r.s.c)
	r.want(r.watch, "200 ready", "GET", "/readyz", "")
	o := newOperatorClient(t, r.s.adminURL())
	o.signIn("ann")

	created := r.want(r.shop, "201 pending", "POST", apiPath, annsLogin)
	at := apiPath + "/" + created.body.ID
	other.want(other.bank, "404 not_found", "GET", at, "", "Otp-Subject", "ann")
	code := r.people.read("+447912345601")
	other.want(other.shop, "200 verified", "POST", at+"/check", checkBody(code))
	r.want(r.shop, "200 verified", "GET", at, "", "Otp-Subject", "ann")
	r.want(r.shop, "422 code_refused", "POST", at+"/check", checkBody(code))

	e.wait(t, 1)
	mu.Lock()
	fail = http.StatusNoContent
	mu.Unlock()
	r.want(r.shop, "202 ", "POST", "/v1/webhooks/main/replay", "")
	other.want(other.shop, "202 ", "POST", "/v1/webhooks/main/test", "")
	e.wait(t, 3)

	id, link := r.newPage(signUp)
	v := other.visit()
	v.get(other.s.url()+strings.TrimPrefix(link, r.s.url())).post("/verify/send", "phone", "+447912345609")
	v.says("Enter the code").post("/verify/check", "code", r.people.read("+447912345609")).says("You are verified")
	if state := r.pageState(r.shop, id); state.Status != "verified" {
		t.Errorf("got %+v", state)
	}
	r.want(r.shop, "404 not_found", "GET", pagesPath+"/%00", "")
	r.want(r.shop, "404 not_found", "GET", apiPath+"/%00", "", "Otp-Subject", "ann")
	r.want(r.shop, "404 not_found", "GET", apiPath+"/"+strings.Repeat("a", 64), "", "Otp-Subject", "%00")

	_, link = r.newPage(signUp)
	v.get(link).says("Enter your mobile number")
	_, unopened := r.newPage(signUp)

	guess := &client{r.shop.url, "otpk_shop1_guess", r.shop.http}
	for range maxFailures {
		r.want(guess, "401 unauthorized", "GET", at, "", "Otp-Subject", "ann")
	}
	other.want(other.shop, "429 rate_limited, with Retry-After", "GET", at, "", "Otp-Subject", "ann")

	kill()
	o.storeDown(r, other, created.body.ID)
	r.want(r.shop, "503 unavailable, with Retry-After", "GET", at, "", "Otp-Subject", "ann")
	r.want(r.watch, "503 ", "GET", "/readyz", "")
	v.post("/verify/send", "phone", "+447912345608").saysDown()
	v.get("/verify").saysDown()
	v.get(unopened).saysDown()
	if !strings.Contains(r.metrics(), `otp_challenges_total{application="shop",`) {
		t.Error("/metrics has nothing while the store is down")
	}
	if resp, err := http.Get(r.s.adminURL() + "/healthz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Error("a process whose store is down is not dead")
	} else {
		resp.Body.Close()
	}
}

// saysDown holds a page to what a person sees while the store is down.
func (v *visitor) saysDown() {
	v.t.Helper()
	if v.says("Something is wrong on our side", "</html>"); v.status != http.StatusServiceUnavailable {
		v.t.Errorf("got %d", v.status)
	}
}

// storeDown holds a signed-in operator's view of two servers to an outage of their store:
// the dashboard of the first, which knows the session, opens and names the fault.
func (o *operatorClient) storeDown(r, other *rig, id string) {
	o.t.Helper()
	text := o.want(http.StatusOK, "cannot be read", "/dashboard?application=shop&find=x")
	if !strings.Contains(text, "Routes up") || strings.Contains(text, "no figures yet") {
		o.t.Errorf("the dashboard says %s", text)
	}
	const silent = "The store does not answer"
	o.want(http.StatusOK, silent, "/dashboard/failures?application=shop")
	o.want(http.StatusOK, silent, "/dashboard/replay", "application", "shop", "webhook", "main")
	o.want(http.StatusOK, silent, "/dashboard/cancel", "application", "shop", "verification", id, "subject", "ann")
	o.want(http.StatusServiceUnavailable, "unavailable", "/dashboard/events?application=shop")
	resp, err := r.shop.http.Do(r.request(r.shop, http.MethodGet, "/v1/stats", ""))
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	kind := resp.Header.Get("Content-Type")
	if resp.StatusCode != http.StatusServiceUnavailable || kind != "application/problem+json" {
		o.t.Errorf("/v1/stats: %d %s", resp.StatusCode, kind)
	}
	first := o.url
	o.url = strings.Replace(other.s.adminURL(), "http:", "https:", 1)
	o.want(http.StatusUnauthorized, "Sign in", "/dashboard")
	o.want(http.StatusServiceUnavailable, "try again", "/dashboard/sign-in", "name", "ann", "password",
		passwordOf("ann"))
	o.url = first
	at, err := url.Parse(o.url)
	if err != nil {
		o.t.Fatal(err)
	}
	kept := o.http.Jar.Cookies(at)
	o.want(http.StatusUnauthorized, "Sign in", "/dashboard/sign-out", "x", "x")
	for _, c := range kept {
		c.Path, c.Secure = "/", true
	}
	o.http.Jar.SetCookies(at, kept) // a thief has copied them
	o.want(http.StatusUnauthorized, "Sign in", "/dashboard")
}

// A database's user that may make no tables serves once their owner has made them.
func TestRealPostgresRights(t *testing.T) {
	t.Parallel()
	owner := newDatabase(t)
	role := pgtest.Schema()
	inPostgres(t, owner, strings.ReplaceAll(`CREATE ROLE server_only LOGIN;
		ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO server_only;
		ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO server_only`, "server_only", role))
	less := changeURL(t, owner, func(u *url.URL) {
		q := u.Query()
		q.Set("user", role)
		u.RawQuery, u.User = q.Encode(), url.User(role)
	})
	path := t.TempDir() + "/config.json"
	file := fmt.Sprintf(`{"store":%q,"applications":[{"name":"shop","brand":"Shop",
		"routes":[{"name":"sms","url":"console:phone"}]}]}`, less)
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	var out bytes.Buffer
	migrate := func() error {
		get := func(name string) string { return env[name] }
		return run(t.Context(), []string{"migrate", "-config", path}, get, &out)
	}
	if err := migrate(); err == nil || !strings.Contains(err.Error(), "let its owner run the argument migrate") {
		t.Errorf("without the right to make tables: %v", err)
	}
	env["OTP_STORE"] = owner
	if err := migrate(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "fsync"); n != 1 { // is off in the tests' PostgreSQL
		t.Errorf("%d warnings: %s", n, &out)
	}
	r := start(t, func(c *config) { c.Store, c.Applications = less, c.Applications[:1] })
	at := apiPath + "/" + r.want(r.shop, "201 pending", "POST", apiPath, annsLogin).body.ID
	r.want(r.shop, "200 verified", "POST", at+"/check", checkBody(r.people.read("+447912345601")))
	r.newPage(signUp)
}

// A store that is none, or that cannot be reached, is refused at the start, and the error
// has no password.
func TestWrongStore(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"mysql://user:pass-word@host/db", "redis://user:pass-word@host:x/", "://pass-word",
		"postgres://user:pass-word@127.0.0.1:1/db", "postgres://user:pass-word@host:x/db"} {
		s, err := openState(t.Context(), &config{Store: wrong}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "store: ") || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%s: got %v %v", wrong, s, err)
		}
	}
	names := map[string]bool{}
	for _, prefix := range []string{appPrefix("a-b"), hookPrefix("a-b/c"), hookPrefix("a/b-c"),
		hookPrefix(strings.Repeat("a-", 40))} {
		names[schemaOf(prefix)] = true
	}
	if len(names) != 4 {
		t.Errorf("schemas meet: %v", names)
	}
}

// All cabinets keep the same promises.
func TestCabinets(t *testing.T) {
	t.Parallel()
	for name, shared := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := openState(t.Context(), &config{Store: shared(t)}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			testCabinet(t, s.cabinet())
		})
	}
}

func testCabinet(t *testing.T, c cabinet) {
	ctx := t.Context()
	get := func(want, name string, how func(name string) ([]byte, error)) {
		t.Helper()
		got, err := how(name)
		if string(got) != want || (want == "") != errors.Is(err, errGone) {
			t.Errorf("%s: got %q %v", name, got, err)
		}
	}
	look := func(name string) ([]byte, error) { return c.get(ctx, name) }
	take := func(name string) ([]byte, error) { return c.take(ctx, name) }
	for name, value := range map[string]string{"a/1": "x", "a/2": "y\x00\xff", "b/1": "z", "a_1": "q", "a%1": "q"} {
		if err := c.put(ctx, name, []byte(value), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	get("x", "a/1", look)
	get("y\x00\xff", "a/2", look)
	get("", "a/3", look)
	get("", "a\x00", look)
	if names, err := c.list(ctx, "a/"); err != nil || !slices.Equal(names, []string{"a/1", "a/2"}) {
		t.Errorf("got %q %v", names, err)
	}
	if err := c.put(ctx, "a/1", []byte("again"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); !errors.Is(err, errGone); { // until its millisecond is over
		_, err = look("a/1")
	}
	get("", "a/1", take)
	if names, err := c.list(ctx, "a/"); err != nil || !slices.Equal(names, []string{"a/2"}) {
		t.Errorf("got %q %v", names, err)
	}
	won := make(chan bool, 8)
	for range cap(won) {
		go func() {
			_, err := c.take(ctx, "b/1")
			won <- err == nil
		}()
	}
	n := 0
	for range cap(won) {
		if <-won {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d took one value", n)
	}
}
