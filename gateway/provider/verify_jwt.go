package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// jwtLeeway is how far the provider's clock may be from ours.
const jwtLeeway = time.Minute

// jwtSpec is a token (RFC 7519) that the provider signs with HS256 (RFC 7518
// §3.2). It says who posts and where to, and, by a hash, what.
type jwtSpec struct {
	secretSpecs
	Header   string `json:"header"`
	Audience string `json:"audience"`
	Issuer   string `json:"issuer"`
	URL      string `json:"url"`
	BodyHash string `json:"body_hash"`
	URLHash  string `json:"url_hash"`

	audience, url template
}

func (s *jwtSpec) compile(where string, known scope) (err error) {
	switch {
	case s.Audience == "" && s.BodyHash == "":
		return at(where, errors.New("has neither audience nor body_hash"))
	case s.Header != "" && !isHeaderName(s.Header):
		return at(where+".header", errors.New("is not the name of a header"))
	case (s.URL == "") != (s.URLHash == ""):
		return at(where, errors.New("there is only one of url and url_hash"))
	}
	if s.audience, err = parseTemplate(s.Audience, known); err != nil {
		return at(where+".audience", err)
	}
	if s.url, err = parseTemplate(s.URL, known); err != nil {
		return at(where+".url", err)
	}
	return s.secretSpecs.compile(where, known)
}

func (s *jwtSpec) with(get lookup) (verifier, error) {
	secrets, err := s.resolve(get)
	if len(secrets) == 0 {
		return nil, err
	}
	v := jwtVerifier{jwtSpec: s, keys: secrets}
	for _, one := range []struct {
		template template
		into     *string
	}{{s.audience, &v.audience}, {s.url, &v.publicURL}} {
		if *one.into, err = one.template.render(get); errors.Is(err, errOmit) {
			return nil, nil //nolint:nilnil // without its own URL there is no webhook
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

type jwtVerifier struct {
	*jwtSpec
	keys                []string
	audience, publicURL string
}

type jwtHeader struct {
	Algorithm string   `json:"alg"`
	Critical  []string `json:"crit"`
}

type jwtClaims struct {
	Audience  jwtAudience `json:"aud"`
	Expires   *float64    `json:"exp"`
	NotBefore *float64    `json:"nbf"`
	Issuer    string      `json:"iss"`
}

// jwtAudience is one string or several (RFC 7519 §4.1.3).
type jwtAudience []string

func (a *jwtAudience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = jwtAudience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

func (v jwtVerifier) verify(r *http.Request, body []byte, now time.Time) bool {
	token := r.Header.Get(v.Header)
	if v.Header == "" {
		scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		token = rest
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	given, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !inbound.Signed(v.keys, sha256.New, given, []byte(parts[0]), []byte{'.'}, []byte(parts[1])) {
		return false
	}
	var header jwtHeader
	var claims jwtClaims
	var named map[string]any
	// The algorithm is ours to choose, not the token's (RFC 8725 §3.1).
	return decodeJWT(parts[0], &header) && header.Algorithm == "HS256" && header.Critical == nil &&
		decodeJWT(parts[1], &claims) && claims.valid(now, v.BodyHash == "") &&
		(v.Audience == "" || slices.Contains(claims.Audience, v.audience)) &&
		(v.Issuer == "" || claims.Issuer == v.Issuer) &&
		decodeJWT(parts[1], &named) && v.hashed(named, r, body)
}

// hashed reports whether the claims have the hashes of the body and the URL, as
// far as the profile names claims for them. An empty body needs none.
func (v jwtVerifier) hashed(claims map[string]any, r *http.Request, body []byte) bool {
	is := func(claim, content string) bool {
		sum := sha256.Sum256([]byte(content))
		text, _ := claims[claim].(string)
		return strings.EqualFold(text, hex.EncodeToString(sum[:]))
	}
	if v.BodyHash != "" && !is(v.BodyHash, string(body)) && (len(body) > 0 || claims[v.BodyHash] != nil) {
		return false
	}
	return v.URLHash == "" || is(v.URLHash, calledURL(v.publicURL, r))
}

func decodeJWT(part string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(b, into) == nil
}

// valid reports whether the token is of this time. One that signs no body must
// expire.
func (c jwtClaims) valid(now time.Time, mustExpire bool) bool {
	if c.Expires == nil && mustExpire || c.Expires != nil && now.Add(-jwtLeeway).After(unixTime(*c.Expires)) {
		return false
	}
	return c.NotBefore == nil || !now.Add(jwtLeeway).Before(unixTime(*c.NotBefore))
}

// unixTime reads a NumericDate (RFC 7519 §2). What no time.Time could hold is
// brought to where it can.
func unixTime(seconds float64) time.Time {
	const most = 1 << 40
	return time.Unix(int64(min(max(seconds, -most), most)), 0)
}
