package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// An issuer is an identity provider of your own. Its access tokens (JWTs, RFC 9068) open
// the API as API keys do.
type issuer struct {
	Issuer   string `json:"issuer"`   // iss of a token
	Audience string `json:"audience"` // must be in its aud
	// Keys is where the public keys are (JWKS, RFC 7517): an https URL, or a file.
	Keys string `json:"keys"`
	// Algorithms may be RS256, ES256 and EdDSA. A token signed by another is refused.
	// Default: all three.
	Algorithms []string `json:"algorithms,omitempty"`
	// Type is the typ of a token. Default: at+jwt. If your issuer writes JWT into all its
	// tokens, the audience must differ from the client_id, which ID tokens have there.
	Type string `json:"type,omitempty"`
	// Claim names the member with the client's name. Default: client_id. Applications has
	// the application of each client; tokens of other clients are refused.
	Claim        string            `json:"claim,omitempty"`
	Applications map[string]string `json:"applications"`
	// Scopes are the issuer's names for those of this server. Default: the same.
	Scopes map[string]string `json:"scopes,omitempty"`
	Rate   int               `json:"rate,omitempty"` // requests a minute of each client; default: 600
	// DangerouslyPlaintext lets the URL of Keys begin with http:, for one machine.
	DangerouslyPlaintext bool `json:"dangerously_plaintext,omitempty"`

	algorithms []jose.SignatureAlgorithm
	set        *keySet
}

// leeway is how far the clocks of an issuer and of this server may be apart.
const leeway = 30 * time.Second

var algorithms = []string{string(jose.RS256), string(jose.ES256), string(jose.EdDSA)}

// complete returns an error that names the field.
func (i *issuer) complete(c *config) error {
	u, err := url.Parse(i.Keys)
	switch {
	case i.Issuer == "":
		return errors.New("issuer: it is required")
	case i.Audience == "":
		return errors.New("audience: it is required: a token for another service would do")
	case i.Keys == "" || err != nil || u.Scheme == "http" && !i.DangerouslyPlaintext:
		return errors.New("keys: it must be a URL, https and a host, or the path of a file")
	case i.Rate < 0:
		return errors.New("rate: it is negative")
	case len(i.Applications) == 0:
		return errors.New("applications: there is none")
	}
	for _, name := range i.Applications {
		if !slices.ContainsFunc(c.Applications, func(a application) bool { return a.Name == name }) {
			return fmt.Errorf("applications: there is no application %q", name)
		}
	}
	for _, s := range i.Scopes {
		if !slices.Contains(scopes, s) {
			return fmt.Errorf("scopes: %q is none of %q", s, scopes)
		}
	}
	i.Type, i.Claim, i.Rate = cmp.Or(i.Type, "at+jwt"), cmp.Or(i.Claim, "client_id"), cmp.Or(i.Rate, defaultRate)
	if i.Scopes == nil {
		i.Scopes = map[string]string{}
		for _, s := range scopes {
			i.Scopes[s] = s
		}
	}
	if len(i.Algorithms) == 0 {
		i.Algorithms = algorithms
	}
	i.algorithms = nil
	for _, a := range i.Algorithms {
		if !slices.Contains(algorithms, a) {
			return fmt.Errorf("algorithms: %q is none of %q", a, algorithms)
		}
		i.algorithms = append(i.algorithms, jose.SignatureAlgorithm(a))
	}
	return nil
}

// Errors of tokens, whose text is fixed. After the first two an address has guessed wrong.
var (
	errOtherIssuer = errors.New("the token is of another issuer, or is none")
	errSignature   = errors.New("the signature is wrong")
	errExpired     = errors.New("the token has expired")
	errUnknownKey  = errors.New("the issuer has no such key")
	errKeysDown    = errors.New("the keys of the issuer cannot be read")
)

// key returns the key that a token stands for, or why it stands for none.
func (i *issuer) key(ctx context.Context, token string, now time.Time) (*apiKey, error) {
	t, err := jwt.ParseSigned(token, i.algorithms) // none, HS256 and the like are no algorithms
	if err != nil {
		return nil, errOtherIssuer
	}
	var claims jwt.Claims
	if t.UnsafeClaimsWithoutVerification(&claims) != nil || claims.Issuer != i.Issuer {
		return nil, errOtherIssuer
	}
	header := t.Headers[0]
	key, err := i.set.find(ctx, header.KeyID, header.Algorithm, now)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	if t.Claims(key, &claims, &all) != nil {
		return nil, errSignature
	}
	if err := i.validate(header, claims, now); err != nil {
		return nil, err
	}
	return i.stands(all)
}

// validate checks the typ and the claims of a token whose signature is right.
func (i *issuer) validate(header jose.Header, claims jwt.Claims, now time.Time) error {
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	err := claims.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{i.Audience}, Time: now}, leeway)
	switch {
	case typ != strings.ToLower(i.Type):
		return errors.New("the typ is another")
	case claims.Expiry == nil:
		return errors.New("the token has no exp")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return errors.New("the aud is another")
	case errors.Is(err, jwt.ErrExpired):
		return errExpired
	case err != nil:
		return errors.New("the token is of a time to come")
	}
	return nil
}

// stands returns the key of a token's claims, which has the name of the client.
func (i *issuer) stands(claims map[string]any) (*apiKey, error) {
	client, _ := claims[i.Claim].(string)
	app, ok := i.Applications[client]
	if !ok {
		return nil, errors.New("the " + i.Claim + " stands for no application")
	}
	sum := sha256.Sum256([]byte(i.Issuer + "\x00" + client))
	k := &apiKey{ID: "jwt_" + base64.RawURLEncoding.EncodeToString(sum[:12]), Rate: i.Rate, app: app}
	for _, s := range scopesOf(claims) {
		if ours, ok := i.Scopes[s]; ok && !slices.Contains(k.Scopes, ours) {
			k.Scopes = append(k.Scopes, ours)
		}
	}
	return k, nil
}

// scopesOf reads scope (RFC 9068), a text, or scp, which some issuers have in its place.
func scopesOf(claims map[string]any) (all []string) {
	for _, name := range []string{"scope", "scp"} {
		switch v := claims[name].(type) {
		case string:
			all = append(all, strings.Fields(v)...)
		case []any:
			for _, s := range v {
				if s, ok := s.(string); ok {
					all = append(all, s)
				}
			}
		}
	}
	return all
}
