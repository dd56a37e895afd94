package provider

import (
	"crypto/sha256"
	"encoding/base64"
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

// jwtSpec is a bearer token (RFC 7519) that the provider signs with HS256 (RFC
// 7518 §3.2). It says who posts and where to, not what.
type jwtSpec struct {
	secretSpecs
	Audience string `json:"audience"`

	audience template
}

func (s *jwtSpec) compile(where string, known scope) (err error) {
	if s.Audience == "" {
		return at(where+".audience", errMissing)
	}
	if s.audience, err = parseTemplate(s.Audience, known); err != nil {
		return at(where+".audience", err)
	}
	return s.secretSpecs.compile(where, known)
}

func (s *jwtSpec) with(get lookup) (verifier, error) {
	secrets, err := s.resolve(get)
	if len(secrets) == 0 {
		return nil, err
	}
	audience, err := s.audience.render(get)
	if errors.Is(err, errOmit) {
		return nil, nil //nolint:nilnil // without its own URL there is no webhook
	}
	return jwtVerifier{secrets, audience}, err
}

type jwtVerifier struct {
	keys     []string
	audience string
}

type jwtHeader struct {
	Algorithm string   `json:"alg"`
	Critical  []string `json:"crit"`
}

type jwtClaims struct {
	Audience  jwtAudience `json:"aud"`
	Expires   *float64    `json:"exp"`
	NotBefore *float64    `json:"nbf"`
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

func (v jwtVerifier) verify(r *http.Request, _ []byte, now time.Time) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
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
	// The algorithm is ours to choose, not the token's (RFC 8725 §3.1).
	return decodeJWT(parts[0], &header) && header.Algorithm == "HS256" && header.Critical == nil &&
		decodeJWT(parts[1], &claims) && claims.valid(now) && slices.Contains(claims.Audience, v.audience)
}

func decodeJWT(part string, into any) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(b, into) == nil
}

func (c jwtClaims) valid(now time.Time) bool {
	if c.Expires == nil || now.Add(-jwtLeeway).After(unixTime(*c.Expires)) {
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
