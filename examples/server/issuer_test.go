package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// An identity is an identity provider: its JWKS, and how often it was read.
type identity struct {
	*httptest.Server
	mu     sync.Mutex
	set    any // as JSON; nil: it is down
	reads  int
	signer map[string]crypto.Signer
}

var identityKeys = sync.OnceValue(func() map[string]crypto.Signer {
	r, _ := rsa.GenerateKey(rand.Reader, 2048)
	e, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, d, _ := ed25519.GenerateKey(rand.Reader)
	_, next, _ := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{"rsa": r, "ec": e, "ed": d, "next": next}
})

func newIdentity(t testing.TB, kids ...string) *identity {
	p := &identity{signer: identityKeys()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reads++
		if p.set == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(p.set)
	}))
	t.Cleanup(p.Close)
	p.publish(kids...)
	return p
}

// publish replaces the set; without kids the provider is down.
func (p *identity) publish(kids ...string) {
	var set jose.JSONWebKeySet
	for _, kid := range kids {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: p.signer[kid].Public(), KeyID: kid, Use: "sig"})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set = set; len(kids) == 0 {
		p.set = nil
	}
}

func (p *identity) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads
}

// issuer is the provider as the file has it.
func (p *identity) issuer() issuer {
	return issuer{Issuer: "https://id.example", Audience: "otp", Keys: p.URL, DangerouslyPlaintext: true,
		Applications: map[string]string{"backend": "shop"}, Scopes: map[string]string{"otp.use": scopeVerifications}}
}

func (p *identity) known(t testing.TB) *issuer {
	i := p.issuer()
	if err := i.complete(&config{Applications: []application{{Name: "shop"}}}); err != nil {
		t.Fatal(err)
	}
	i.set = newKeySet(i.Keys, slog.New(slog.DiscardHandler))
	t.Cleanup(i.set.close)
	return &i
}

type members map[string]any

// with returns a copy in which some members are others; nil: none.
func (m members) with(more members) members {
	out := maps.Clone(m)
	for name, v := range more {
		if out[name] = v; v == nil {
			delete(out, name)
		}
	}
	return out
}

// header and claims are those of a good token at a time.
func header(kid, alg string) members { return members{"alg": alg, "kid": kid, "typ": "at+jwt"} }

func claimsAt(now time.Time) members {
	return members{"iss": "https://id.example", "aud": []string{"other", "otp"}, "client_id": "backend",
		"sub": "backend", "scope": "openid otp.use", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
}

func compact(header, claims members, sign func([]byte) []byte) string {
	part := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(header) + "." + part(claims)
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(signed)))
}

// token signs with a key of the provider.
func (p *identity) token(header, claims members, kid string) string {
	return compact(header, claims, func(text []byte) (sig []byte) {
		sum := sha256.Sum256(text)
		switch k := p.signer[kid].(type) {
		case *rsa.PrivateKey:
			sig, _ = rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
		case *ecdsa.PrivateKey:
			r, s, _ := ecdsa.Sign(rand.Reader, k, sum[:])
			sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		case ed25519.PrivateKey:
			sig = ed25519.Sign(k, text)
		}
		return sig
	})
}

var algorithmOf = map[string]string{"rsa": "RS256", "ec": "ES256", "ed": "EdDSA", "next": "EdDSA"}

func (p *identity) good(kid string, now time.Time) string {
	return p.token(header(kid, algorithmOf[kid]), claimsAt(now), kid)
}

// A token of the issuer opens the application that its client stands for, for what its
// scope says.
func TestIssuer(t *testing.T) {
	t.Parallel()
	p := newIdentity(t, "rsa", "ec", "ed")
	r := start(t, func(c *config) { c.Issuers = []issuer{p.issuer()}; c.OAuth = true })
	as := func(token string) *client { return &client{r.shop.url, token, r.shop.http} }
	now := time.Now()
	for kid := range algorithmOf {
		if kid != "next" {
			at := apiPath + "/" + r.want(as(p.good(kid, now)), "201 pending", "POST", apiPath, annsLogin).body.ID
			r.want(r.shop, "200 pending", "GET", at, "", "Otp-Subject", "ann")
			r.want(r.bank, "404 not_found", "GET", at, "", "Otp-Subject", "ann")
		}
	}
	r.want(as(p.good("ec", now)), "403 forbidden", "POST", pagesPath, signUp)
	scp := claimsAt(now).with(members{"scope": nil, "scp": []string{"otp.use"}})
	r.want(as(p.token(header("ed", "EdDSA"), scp, "ed")), "201 pending", "POST", apiPath, annsLogin)
	ours := claimsAt(now).with(members{"scope": scopePages}) // our name for it, which the file does not map
	r.want(as(p.token(header("ed", "EdDSA"), ours, "ed")), "403 forbidden", "POST", pagesPath, signUp)
	r.want(as(p.good("next", now)), "401 unauthorized", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	if p.count() != 1 {
		t.Errorf("the keys were read %d times", p.count())
	}

	// A kid that is unknown is no guess, nor is a token that has expired: they block nobody.
	// A wrong signature is one.
	ten, err := r.s.gate.tokens.issue(&apiKey{ID: "shop1"}, scopes, now.Add(-tokenLife))
	if err != nil {
		t.Fatal(err)
	}
	old := p.good("rsa", now.Add(-time.Hour))
	for range maxFailures {
		r.want(as(ten), "401 unauthorized", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
		r.want(as(old), "401 unauthorized", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
		r.want(as(p.good("next", now)), "401 unauthorized", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	}
	forged := p.token(header("rsa", "RS256"), claimsAt(now), "ed")
	for range maxFailures {
		r.want(as(forged), "401 unauthorized", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	}
	r.want(as(forged), "429 rate_limited, with Retry-After", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
}

// While no key could ever be read a token is answered 503, and API keys go on.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	p := newIdentity(t)
	r := start(t, func(c *config) { c.Issuers = []issuer{p.issuer()} })
	as := &client{r.shop.url, p.good("rsa", time.Now()), r.shop.http}
	for range 2 * maxFailures {
		r.want(as, "503 unavailable, with Retry-After", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	}
	r.want(r.shop, "404 not_found", "GET", apiPath+"/x", "", "Otp-Subject", "ann")
	if p.count() != 1 {
		t.Errorf("the keys were asked for %d times", p.count())
	}
}

// The attacks on a token, each of which a good one is changed to.
func TestIssuerAttacks(t *testing.T) {
	t.Parallel()
	p, now := newIdentity(t, "rsa", "ec", "ed"), time.Unix(1.8e9, 0)
	i := p.known(t)
	head, claims := header("rsa", "RS256"), claimsAt(now)
	if k, err := i.key(t.Context(), p.token(head, claims, "rsa"), now); err != nil || k.app != "shop" ||
		len(k.Scopes) != 1 {
		t.Fatalf("a good token: %+v %v", k, err)
	}
	public, _ := x509.MarshalPKIXPublicKey(p.signer["rsa"].Public())
	hs256 := func(secret []byte) string {
		return compact(header("rsa", "HS256"), claims, func(text []byte) []byte {
			mac := hmac.New(sha256.New, secret)
			mac.Write(text)
			return mac.Sum(nil)
		})
	}
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	own := jose.JSONWebKey{Key: stranger.Public(), KeyID: "own"}
	byStranger := func(header members) string {
		return compact(header, claims, func(text []byte) []byte { return ed25519.Sign(stranger, text) })
	}
	good := p.token(head, claims, "rsa")
	parts := strings.Split(good, ".")
	other, _ := json.Marshal(claims.with(members{"client_id": "backend2"}))
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for name, token := range map[string]string{
		"none":            compact(members{"alg": "none", "typ": "at+jwt"}, claims, func([]byte) []byte { return nil }),
		"None":            compact(members{"alg": "None", "typ": "at+jwt"}, claims, func([]byte) []byte { return nil }),
		"no signature":    parts[0] + "." + parts[1] + ".",
		"HS256, DER":      hs256(public),
		"HS256, PEM-less": hs256([]byte(base64.StdEncoding.EncodeToString(public))),
		"HS256, empty":    hs256(nil),
		"RSA as ES256":    p.token(header("rsa", "ES256"), claims, "rsa"),
		"EC as RS256":     p.token(header("ec", "RS256"), claims, "ec"),
		"PS256":           p.token(header("rsa", "PS256"), claims, "rsa"),
		"another's kid":   p.token(header("ec", "ES256"), claims, "rsa"),
		"unknown kid":     p.token(header("none", "RS256"), claims, "rsa"),
		"no kid of three": p.token(head.with(members{"kid": nil}), claims, "rsa"),
		"its own key":     byStranger(header("own", "EdDSA").with(members{"jwk": own})),
		"its own key URL": byStranger(header("own", "EdDSA").with(members{"jku": "https://x.example"})),
		"crit":            p.token(head.with(members{"crit": []string{"x"}, "x": 1}), claims, "rsa"),
		"ID token":        p.token(head.with(members{"typ": "JWT"}), claims, "rsa"),
		"no typ":          p.token(head.with(members{"typ": nil}), claims, "rsa"),
		"changed":         parts[0] + "." + base64.RawURLEncoding.EncodeToString(other) + "." + parts[2],
		"expired":         p.token(head, claims.with(members{"exp": at(-leeway - time.Second)}), "rsa"),
		"no exp":          p.token(head, claims.with(members{"exp": nil}), "rsa"),
		"nbf to come":     p.token(head, claims.with(members{"nbf": at(leeway + time.Second)}), "rsa"),
		"iat to come":     p.token(head, claims.with(members{"iat": at(leeway + time.Second)}), "rsa"),
		"another aud":     p.token(head, claims.with(members{"aud": "other"}), "rsa"),
		"no aud":          p.token(head, claims.with(members{"aud": nil}), "rsa"),
		"another iss":     p.token(head, claims.with(members{"iss": "https://id.example/"}), "rsa"),
		"no iss":          p.token(head, claims.with(members{"iss": nil}), "rsa"),
		"another client":  p.token(head, claims.with(members{"client_id": "x"}), "rsa"),
		"no client":       p.token(head, claims.with(members{"client_id": nil}), "rsa"),
		"client, a list":  p.token(head, claims.with(members{"client_id": []string{"backend"}}), "rsa"),
		"an API key":      "otpk_shop1_x", "dots": "..", "empty": "", "four parts": good + ".x",
	} {
		if k, err := i.key(t.Context(), token, now); err == nil || k != nil {
			t.Errorf("%s passes: %+v", name, k)
		}
	}
	for name, token := range map[string]string{
		"just expired": p.token(head, claims.with(members{"exp": at(-leeway / 2)}), "rsa"),
		"a clock":      p.token(head, claims.with(members{"iat": at(leeway / 2), "nbf": at(leeway / 2)}), "rsa"),
		"whole typ":    p.token(head.with(members{"typ": "application/at+jwt"}), claims, "rsa"),
		"one aud":      p.token(head, claims.with(members{"aud": "otp"}), "rsa"),
	} {
		if _, err := i.key(t.Context(), token, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	i.algorithms = []jose.SignatureAlgorithm{jose.ES256}
	if _, err := i.key(t.Context(), good, now); err == nil {
		t.Error("an algorithm that the file does not have passes")
	}
}

func TestIssuerConfig(t *testing.T) {
	t.Parallel()
	p := newIdentity(t)
	for want, change := range map[string]func(*issuer){
		"issuer":       func(i *issuer) { i.Issuer = "" },
		"audience":     func(i *issuer) { i.Audience = "" },
		"keys":         func(i *issuer) { i.DangerouslyPlaintext = false },
		"rate":         func(i *issuer) { i.Rate = -1 },
		"applications": func(i *issuer) { i.Applications = map[string]string{"backend": "bank"} },
		"scopes":       func(i *issuer) { i.Scopes = map[string]string{"x": "everything"} },
		"algorithms":   func(i *issuer) { i.Algorithms = []string{"HS256"} },
	} {
		i := p.issuer()
		change(&i)
		err := i.complete(&config{Applications: []application{{Name: "shop"}}})
		if err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("%s: got %v", want, err)
		}
	}
}
