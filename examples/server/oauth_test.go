package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/otpcourier/otpcourier/otp"
)

// Any OAuth2 client trades an API key for a token, and calls the API with it.
func TestClientCredentials(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.OAuth = true })
	cc := clientcredentials.Config{ClientID: "shop1", ClientSecret: r.shop.key, TokenURL: r.s.url() + "/oauth/token",
		Scopes: []string{scopeVerifications}, AuthStyle: oauth2.AuthStyleInHeader}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, r.shop.http)
	got, err := cc.Token(ctx)
	if err != nil {
		t.Fatal(err)
	}
	as := &client{r.shop.url, got.AccessToken, r.shop.http}
	at := apiPath + "/" + r.want(as, "201 pending", "POST", apiPath, annsLogin).body.ID
	r.want(r.shop, "200 pending", "GET", at, "", "Otp-Subject", "ann")
	r.want(as, "403 forbidden", "POST", pagesPath, signUp) // a scope that was not asked for
	for name, change := range map[string]func(*clientcredentials.Config){
		"invalid_client": func(c *clientcredentials.Config) { c.ClientSecret = r.bank.key },
		"invalid_scope":  func(c *clientcredentials.Config) { c.Scopes = []string{"everything"} },
		"unsupported_grant_type": func(c *clientcredentials.Config) {
			c.EndpointParams = map[string][]string{"grant_type": {"password"}}
		},
		"invalid_request": func(c *clientcredentials.Config) {
			c.EndpointParams = map[string][]string{"grant_type": {""}}
		},
	} {
		other := cc
		change(&other)
		if _, err := other.Token(ctx); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r.s.gate.setKeys(&config{}) // SIGHUP, with a file that has no key
	r.want(as, "401 unauthorized", "GET", at, "", "Otp-Subject", "ann")
}

// A wrong key at the token endpoint counts as one at the API.
func TestTokenBlock(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.OAuth = true })
	post := func(secret string) int {
		q := r.request(r.shop, http.MethodPost, "/oauth/token", "grant_type=client_credentials")
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.SetBasicAuth("shop1", secret)
		resp, err := r.shop.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for range maxFailures {
		if got := post("guess"); got != http.StatusUnauthorized {
			t.Errorf("got %d", got)
		}
	}
	if got := post(r.shop.key); got != http.StatusTooManyRequests {
		t.Errorf("after ten wrong keys: %d", got)
	}
	off := start(t, nil)
	off.want(off.shop, "404 not_found", "POST", "/oauth/token", "{}")
}

// A key gets no more tokens than it may make requests.
func TestTokenRate(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *config) { c.OAuth, c.Applications[0].Keys[0].Rate = true, 3 })
	post := func() (status int, retryAfter string) {
		q := r.request(r.shop, http.MethodPost, "/oauth/token", "grant_type=client_credentials")
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.SetBasicAuth("shop1", r.shop.key)
		resp, err := r.shop.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	for range 2 {
		if got, _ := post(); got != http.StatusOK {
			t.Errorf("got %d", got)
		}
	}
	r.want(r.shop, "404 not_found", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	if got, retry := post(); got != http.StatusTooManyRequests || retry == "" {
		t.Errorf("got %d, Retry-After %q", got, retry)
	}
}

// What is no token of ours, or none any more.
func TestTokens(t *testing.T) {
	t.Parallel()
	keys, now := otp.NewKeyring(), time.Unix(1e9, 0)
	ours, err := newTokens(keys, "https://api.example")
	if err != nil {
		t.Fatal(err)
	}
	good, err := ours.issue(&apiKey{ID: "shop1"}, scopes, now)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := ours.read(good, now); !ok || c.Subject != "shop1" || c.Scope != strings.Join(scopes, " ") {
		t.Errorf("got %+v %v", c, ok)
	}
	_, body, _ := strings.Cut(good, ".")
	body, _, _ = strings.Cut(body, ".")
	header := func(h string) string { // signed with our own key, and still refused
		signed := base64.RawURLEncoding.EncodeToString([]byte(h)) + "." + body
		return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(ours.key, []byte(signed)))
	}
	for name, token := range map[string]string{
		"none":  base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + body + ".",
		"HS256": header(`{"alg":"HS256","typ":"at+jwt"}`), "an ID token": header(`{"alg":"EdDSA","typ":"JWT"}`),
		"changed": good[:len(good)/2] + "A" + good[len(good)/2+1:], "cut": good[:len(good)-2],
		"empty": "", "dots": "..",
	} {
		if _, ok := ours.read(token, now); ok {
			t.Errorf("%s passes", name)
		}
	}
	for name, at := range map[string]time.Time{"expired": now.Add(tokenLife), "too early": now.Add(-time.Minute)} {
		if _, ok := ours.read(good, at); ok {
			t.Errorf("one %s passes", name)
		}
	}
	for name, other := range map[string]*tokens{"another issuer": {ours.key, "https://other.example"}} {
		if _, ok := other.read(good, now); ok {
			t.Errorf("%s passes", name)
		}
	}
	stranger, _ := newTokens(otp.NewKeyring(), "https://api.example")
	if _, ok := stranger.read(good, now); ok {
		t.Error("another key passes")
	}
}
