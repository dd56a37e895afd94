package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys come and go with the issuer's set; while it is down the known ones go on for a day,
// and unknown ones cause a read a minute.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	p, now := newIdentity(t, "rsa"), time.Unix(1.8e9, 0)
	s := p.known(t).set
	step := 0
	want := func(want error, kid string, reads int) {
		t.Helper()
		step++
		key, err := s.find(t.Context(), kid, algorithmOf[kid], now)
		if !errors.Is(err, want) || (key == nil) != (err != nil) {
			t.Errorf("%d: %s: got %v, want %v", step, kid, err, want)
		}
		s.running.Wait()
		if n := p.count(); n != reads {
			t.Errorf("%d: the set was read %d times, want %d", step, n, reads)
		}
	}
	want(nil, "rsa", 1)
	want(nil, "rsa", 1)
	want(errUnknownKey, "next", 1) // read a moment ago
	p.publish("rsa", "next")
	for i := range 1000 {
		if _, err := s.find(t.Context(), fmt.Sprint("x", i), "RS256", now); !errors.Is(err, errUnknownKey) {
			t.Fatal(err)
		}
	}
	want(errUnknownKey, "next", 1)
	now = now.Add(keysPause)
	want(nil, "next", 2)
	for i := range 1000 {
		_, _ = s.find(t.Context(), fmt.Sprint("x", i), "RS256", now.Add(time.Duration(i)*keysPause/1000))
	}
	want(nil, "next", 2)

	p.publish("next") // rsa is withdrawn
	want(nil, "rsa", 2)
	now = now.Add(keysFresh)
	want(nil, "rsa", 3) // is answered at once, and the set is read meanwhile
	want(errUnknownKey, "rsa", 3)
	want(nil, "next", 3)

	p.publish() // it is down
	now = now.Add(keysFresh)
	want(nil, "next", 4)
	want(nil, "next", 4)
	want(errKeysDown, "rsa", 4)
	now = now.Add(keysPause)
	want(nil, "next", 5)
	now = now.Add(keysLife - keysFresh - keysPause)
	want(errKeysDown, "next", 6)
	p.publish("ec")
	now = now.Add(keysPause)
	want(nil, "ec", 7)
	want(errUnknownKey, "next", 7)
}

// A set that does not come holds a request up no longer than the request lasts, and one
// read is for all that wait.
func TestKeysHang(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 10), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-release
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: identityKeys()["ed"].Public(), KeyID: "ed"}}})
	}))
	defer web.Close()
	s := newKeySet(web.URL, slog.New(slog.DiscardHandler))
	defer s.close()
	now := time.Unix(1.8e9, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.find(ctx, "ed", "EdDSA", now); !errors.Is(err, errKeysDown) {
		t.Errorf("got %v", err)
	}
	got := make(chan error, 5)
	for range cap(got) {
		go func() {
			_, err := s.find(t.Context(), "ed", "EdDSA", now)
			got <- err
		}()
	}
	<-asked
	close(release)
	for range cap(got) {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	if len(asked) != 0 {
		t.Error("the set was read more than once")
	}
}

// What is no key to verify with is left out, and a set that cannot be read has none.
func TestKeySets(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	if err != nil {
		t.Fatal(err)
	}
	keys := identityKeys()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: keys["rsa"].Public(), KeyID: "good"},
		{Key: short.Public(), KeyID: "short"}, {Key: []byte(strings.Repeat("x", 32)), KeyID: "secret"},
		{Key: keys["ec"].Public(), KeyID: "other use", Use: "enc"}, {Key: keys["ed"], KeyID: "private"}}}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), `"keys":[`, `"keys":[{"kty":"AKP","kid":"new"},{"kty":"RSA"},7,`, 1))
	path := t.TempDir() + "/keys.json"
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newKeySet(path, slog.New(slog.DiscardHandler))
	defer s.close()
	if got, err := s.read(); err != nil || len(got) != 1 || got[0].KeyID != "good" {
		t.Errorf("got %+v %v", got, err)
	}
	large := strings.Repeat(" ", keysSize) + string(text)
	for _, bad := range []string{"", "{", "[]", `{"keys":[]}`, `{"keys":{}}`, large} {
		if got, err := parseKeys(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q: got %+v", bad, got)
		}
	}
	web := httptest.NewServer(http.RedirectHandler("https://x.example/", http.StatusFound))
	defer web.Close()
	for _, from := range []string{web.URL, "http://127.0.0.1:1/", path + "x"} {
		s := newKeySet(from, slog.New(slog.DiscardHandler))
		if got, err := s.read(); err == nil {
			t.Errorf("%s: got %+v", from, got)
		}
		s.close()
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)
	f.Add(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","n":"AA","e":"AQAB"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys(strings.NewReader(text))
		if (err == nil) != (len(keys) > 0) {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if !k.IsPublic() || !verifies(k.Key) {
				t.Errorf("got %+v", k)
			}
		}
	})
}
