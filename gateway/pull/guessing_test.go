package pull_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/pull"
)

// TestWithoutPassword shows that a phone which has no password does not come
// in with an empty one.
func TestWithoutPassword(t *testing.T) {
	t.Parallel()
	p := newChannel(t, pull.Config{Phones: []pull.Phone{{ID: "pixel", WeakHashSecret: "sesame"}}})
	for _, id := range []string{"pixel", "nobody", ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(id, "")
		res, err := gatewaytest.HandlerClient(p).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %d", id, res.StatusCode)
		}
	}
}

// Phones come in with their password as CHT Gateway encodes it for the URL, as
// multiOTP's app puts it into the header, and as it is.
func TestEncodedPasswords(t *testing.T) {
	t.Parallel()
	const password = `p$ss w0rd%24é:_-!.~'()*`
	p := newChannel(t, pull.Config{Phones: []pull.Phone{{ID: "größe", Password: password}}})
	for _, row := range []struct {
		user, password string
		status         int
	}{
		{"größe", password, http.StatusOK},
		{"gr\xf6\xdfe", `p%24ss%20w0rd%2524%C3%A9%3A_-!.~'()*`, http.StatusOK},
		{"gr\xf6\xdfe", "p$ss w0rd%24\xe9:_-!.~'()*", http.StatusOK},
		{"größe", `p$ss w0rd$é:_-!.~'()*`, http.StatusUnauthorized},
		{"größe", `p%24ss+w0rd%2524%C3%A9%3A_-!.~'()*`, http.StatusUnauthorized},
		{"größe", "", http.StatusUnauthorized},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(row.user, row.password)
		res, err := gatewaytest.HandlerClient(p).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != row.status {
			t.Errorf("%q, %q: status %d, want %d", row.user, row.password, res.StatusCode, row.status)
		}
	}
}

// TestGuessing shows how many guesses there are.
func TestGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := twoPhones()
		remote := ""
		c.Remote = func(*http.Request) string { return remote }
		p := newChannel(t, c)
		try := func(from, user, password, query string) int {
			remote = from
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://h/"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			res, err := gatewaytest.HandlerClient(p).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode == http.StatusTooManyRequests && res.Header.Get("Retry-After") != "60" {
				t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
			}
			return res.StatusCode
		}
		right := "?id=pixel&h=" + weakHash
		time.Sleep(time.Hour)
		// One remote: its guesses end, right ones included; others go on.
		for i := range 10 {
			if got := try("mallory", "nokia", fmt.Sprint("guess ", i), ""); got != 401 {
				t.Errorf("guess %d: %d", i, got)
			}
		}
		for user, want := range map[string]int{"mallory": 429, "alice": 200} {
			if got := try(user, "nokia", secret, ""); got != want {
				t.Errorf("%s: %d", user, got)
			}
		}
		// Many remotes: the weak hash of one id is closed to all, a password
		// is not.
		for i := range 10 {
			if got := try(fmt.Sprint("bot ", i), "", "", fmt.Sprintf("?id=pixel&h=%06x", i)); got != 401 {
				t.Errorf("bot %d: %d", i, got)
			}
		}
		if hash, basic := try("alice", "", "", right), try("alice", "pixel", secret, ""); hash != 429 || basic != 200 {
			t.Errorf("hash %d, Basic %d", hash, basic)
		}
		time.Sleep(time.Minute)
		if got := try("alice", "", "", right); got != 200 {
			t.Errorf("after a minute: %d", got)
		}
		// A flood of remotes shuts nobody out who comes new.
		for i := range 10_100 {
			try(fmt.Sprint("flood ", i), "nokia", "guess", "")
		}
		for range 11 {
			try("late", "nokia", "guess", "")
		}
		if got := try("new", "nokia", secret, ""); got != 200 {
			t.Errorf("after a flood: %d", got)
		}
		for range 10 {
			try("bot", "", "", "?id=pixel&h=000000")
		}
		if got := try("alice", "", "", right); got != 429 {
			t.Errorf("the id is not counted in a flood: %d", got)
		}
	})
}
