package main

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/store"
)

// tokenLife is short, since a token outlives a change of its key's entry in the file
// only as far as the entry is there.
const tokenLife = 10 * time.Minute

// tokens trade an API key for an access token, so that any OAuth2 client works with
// this server and no other: a JWT (RFC 9068) that is signed by EdDSA with a key that all
// processes derive from OTP_KEYS.
type tokens struct {
	key    ed25519.PrivateKey
	issuer string
}

func newTokens(keys otp.Keyring, issuer string) (*tokens, error) {
	seed, err := hkdf.Key(sha256.New, keys.Index, nil, "examples/server tokens 1", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return &tokens{ed25519.NewKeyFromSeed(seed), issuer}, nil
}

type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	Client   string `json:"client_id"`
	Scope    string `json:"scope"`
	ID       string `json:"jti"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// tokenHeader is the only one that is accepted: no token says by what it is verified.
var tokenHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"at+jwt"}`))

func (t *tokens) issue(k *apiKey, granted []string, now time.Time) (string, error) {
	body, err := json.Marshal(claims{Issuer: t.issuer, Audience: t.issuer, Subject: k.ID, Client: k.ID,
		Scope: strings.Join(granted, " "), ID: secret(), Issued: now.Unix(), Expires: now.Add(tokenLife).Unix()})
	if err != nil {
		return "", err
	}
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(t.key, []byte(signed))), nil
}

// read returns the claims of a token of ours, and whether it is valid now. A token whose
// signature is wrong has none.
func (t *tokens) read(token string, now time.Time) (c claims, ok bool) {
	signed, signature, ok := cutLast(token, ".")
	header, body, _ := strings.Cut(signed, ".")
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if !ok || err != nil || header != tokenHeader ||
		!ed25519.Verify(t.key.Public().(ed25519.PublicKey), []byte(signed), sig) {
		return c, false
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(text, &c) != nil {
		return c, false
	}
	const skew = 30 // seconds, between the clocks of the processes
	return c, c.Issuer == t.issuer && c.Audience == t.issuer && c.Issued <= now.Unix()+skew && now.Unix() < c.Expires
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// byToken returns the key that an access token stands for, or why it stands for none.
func (g *gate) byToken(ctx context.Context, token string, now time.Time) (*apiKey, error) {
	if k, err := g.byOurToken(token, now); !errors.Is(err, errOtherIssuer) {
		return k, err
	}
	for _, i := range g.issuers {
		if k, err := i.key(ctx, token, now); !errors.Is(err, errOtherIssuer) {
			return k, err
		}
	}
	return nil, errOtherIssuer
}

// byOurToken returns the key that a token stands for, with the scopes of both.
func (g *gate) byOurToken(token string, now time.Time) (*apiKey, error) {
	if g.tokens == nil {
		return nil, errOtherIssuer
	}
	c, ok := g.tokens.read(token, now)
	switch {
	case !ok && c.Issuer == g.tokens.issuer: // it has claims, so that the signature is right
		return nil, errExpired
	case !ok:
		return nil, errOtherIssuer
	}
	k := (*g.keys.Load())[c.Subject]
	if k == nil || !k.Expires.IsZero() && !now.Before(k.Expires) {
		return nil, errors.New("the API key of the token is no more")
	}
	granted := *k
	granted.Scopes = slices.DeleteFunc(strings.Fields(c.Scope), func(s string) bool {
		return !slices.Contains(k.Scopes, s)
	})
	return &granted, nil
}

// token is POST /oauth/token, of RFC 6749 §4.4 (client credentials): the client's name
// is that of the API key, its secret is the key.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	now := time.Now()
	refuse := func(status int, reason string) {
		writeJSON(w, status, map[string]string{"error": reason})
	}
	id, given, _ := r.BasicAuth()
	id, err1 := url.QueryUnescape(id)
	given, err2 := url.QueryUnescape(given)
	k := s.gate.find(given, now)
	failures := store.Limit{Key: "auth/" + network(s.gate.proxies.ClientAddr(r)), Most: maxFailures, Per: blockFor}
	failed := err1 != nil || err2 != nil || k == nil || k.ID != id
	failures.Peek = !failed
	limits := []store.Limit{failures}
	if !failed {
		limits = append(limits, k.limit())
	}
	if _, p := s.gate.take(r.Context(), now, limits...); p != nil {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
		refuse(p.Status, "temporarily_unavailable")
		return
	}
	if failed {
		w.Header().Set("WWW-Authenticate", `Basic realm="otp"`)
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	granted := k.Scopes
	if asked := strings.Fields(r.PostFormValue("scope")); len(asked) > 0 {
		granted = asked
	}
	beyond := slices.ContainsFunc(granted, func(s string) bool { return !slices.Contains(k.Scopes, s) })
	switch grant := r.PostFormValue("grant_type"); {
	case grant == "":
		refuse(http.StatusBadRequest, "invalid_request")
		return
	case grant != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	case beyond:
		refuse(http.StatusBadRequest, "invalid_scope")
		return
	}
	token, err := s.gate.tokens.issue(k, granted, now)
	if err != nil {
		refuse(http.StatusInternalServerError, "server_error")
		return
	}
	w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1
	writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer",
		"expires_in": int(tokenLife / time.Second), "scope": strings.Join(granted, " ")})
}
