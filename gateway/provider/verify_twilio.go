package provider

import (
	"crypto/sha1" //nolint:gosec // what Twilio signs with, as an HMAC
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// twilioSpec is the signature of Twilio's "Validating Signatures from Twilio":
// HMAC-SHA-1 of the URL as Twilio knows it, and of the form's parameters, sorted
// by name, each with its values after it. As Twilio's libraries do, it takes the
// URL with the scheme's port and without a port. The fragment, in which Twilio
// is told about retries, is not signed.
type twilioSpec struct {
	secretSpecs
	URL string `json:"url"`

	url template
}

func (s *twilioSpec) compile(where string, known scope) (err error) {
	if s.URL == "" {
		return at(where+".url", errMissing)
	}
	if s.url, err = parseTemplate(s.URL, known); err != nil {
		return at(where+".url", err)
	}
	return s.secretSpecs.compile(where, known)
}

func (s *twilioSpec) with(get lookup) (verifier, error) {
	secrets, err := s.resolve(get)
	if len(secrets) == 0 {
		return nil, err
	}
	u, err := s.url.render(get)
	if errors.Is(err, errOmit) {
		return nil, nil //nolint:nilnil // without its own URL there is no webhook
	}
	return twilioVerifier{secrets, portVariants(u)}, err
}

// portVariants returns a URL with the scheme's port and without a port, or with
// the port that it names and without.
func portVariants(raw string) []string {
	raw, _, _ = strings.Cut(raw, "#")
	u, err := url.Parse(raw)
	if err != nil {
		return []string{raw}
	}
	with, without := *u, *u
	if u.Port() == "" {
		with.Host = u.Host + ":" + map[bool]string{true: "443", false: "80"}[u.Scheme == "https"]
	}
	without.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	return slices.Compact([]string{raw, with.String(), without.String()})
}

type twilioVerifier struct {
	keys []string
	urls []string
}

func (v twilioVerifier) verify(r *http.Request, body []byte, _ time.Time) bool {
	given, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Signature"))
	if err != nil {
		return false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return false
	}
	var signed strings.Builder
	for _, name := range sortedKeys(form) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[name]))) {
			signed.WriteString(name + value)
		}
	}
	for _, u := range v.urls {
		if inbound.Signed(v.keys, sha1.New, given, []byte(u), []byte(signed.String())) {
			return true
		}
	}
	return false
}
