package provider

import (
	"crypto/sha1" //nolint:gosec // what Twilio signs with, as an HMAC
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// signatureWindow is how far the time in a webhook may be from ours.
const signatureWindow = 5 * time.Minute

// errUnsigned is all that is said of a webhook that was not signed as it must
// be: who forges one learns nothing from it.
var errUnsigned = errors.New("the webhook is not signed, or not rightly")

// A verifier reports whether a webhook comes from the provider.
type verifier interface {
	verify(r *http.Request, body []byte, now time.Time) bool
}

type verifySpec struct {
	HMAC            *hmacSpec   `json:"hmac"`
	JWT             *jwtSpec    `json:"jwt"`
	Twilio          *twilioSpec `json:"twilio"`
	Token           *tokenSpec  `json:"token"`
	DangerouslyNone bool        `json:"dangerously_none"`
}

// A verifySpecKind is one way to verify, as a profile describes it.
type verifySpecKind interface {
	compile(where string, known scope) error

	// with returns nil while all secrets are empty.
	with(get lookup) (verifier, error)
}

var errOneVerifier = errors.New("is not one of hmac, jwt, twilio, token, dangerously_none")

func (s *verifySpec) compile(where string, known scope) error {
	var kinds []string
	for name, set := range map[string]bool{
		"hmac": s.HMAC != nil, "jwt": s.JWT != nil, "twilio": s.Twilio != nil, "token": s.Token != nil,
		"": s.DangerouslyNone,
	} {
		if set {
			kinds = append(kinds, name)
		}
	}
	if len(kinds) != 1 {
		return at(where, errOneVerifier)
	}
	if s.DangerouslyNone {
		return nil
	}
	return s.kind().compile(where+"."+kinds[0], known)
}

func (s *verifySpec) kind() verifySpecKind {
	switch {
	case s.HMAC != nil:
		return s.HMAC
	case s.JWT != nil:
		return s.JWT
	case s.Twilio != nil:
		return s.Twilio
	}
	return s.Token
}

func (s *verifySpec) with(get lookup) (verifier, error) {
	if s.DangerouslyNone {
		return anyone{}, nil
	}
	return s.kind().with(get)
}

type anyone struct{}

func (anyone) verify(*http.Request, []byte, time.Time) bool { return true }

// secretSpecs are templates of secrets, of which those that are not empty count.
type secretSpecs struct {
	Secrets []string `json:"secrets"`

	secrets []template
}

func (s *secretSpecs) compile(where string, known scope) error {
	if len(s.Secrets) == 0 {
		return at(where+".secrets", errMissing)
	}
	for _, text := range s.Secrets {
		t, err := parseTemplate(text, known)
		if err != nil {
			return at(where+".secrets", err)
		}
		if len(t.fields()) == 0 {
			return at(where+".secrets", errors.New("is no value: a profile holds no secret"))
		}
		s.secrets = append(s.secrets, t)
	}
	return nil
}

// resolve leaves out those with a field that is empty: the text around it, in
// the profile, is no secret.
func (s *secretSpecs) resolve(get lookup) ([]string, error) {
	var all []string
	for _, t := range s.secrets {
		secret, err := t.renderWith(get, func(value string) (string, error) {
			if value == "" {
				return "", errOmit
			}
			return value, nil
		})
		switch {
		case errors.Is(err, errOmit):
		case err != nil:
			return nil, err
		default:
			all = append(all, secret)
		}
	}
	return all, nil
}

type hmacSpec struct {
	secretSpecs
	Header    string `json:"header"`
	Prefix    string `json:"prefix"`
	Hash      string `json:"hash"`
	Encoding  string `json:"encoding"`
	Timestamp string `json:"timestamp"`
}

var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}

var encodings = map[string]func(string) ([]byte, error){
	"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
}

func (s *hmacSpec) compile(where string, known scope) error {
	switch {
	case !isHeaderName(s.Header):
		return at(where+".header", errors.New("is not the name of a header"))
	case hashes[s.Hash] == nil:
		return at(where+".hash", errors.New("is not one of sha256, sha1, sha512"))
	case encodings[s.Encoding] == nil:
		return at(where+".encoding", errors.New("is not one of hex, base64"))
	case s.Timestamp != "" && !isHeaderName(s.Timestamp):
		return at(where+".timestamp", errors.New("is not the name of a header"))
	}
	return s.secretSpecs.compile(where, known)
}

func (s *hmacSpec) with(get lookup) (verifier, error) {
	secrets, err := s.resolve(get)
	if len(secrets) == 0 {
		return nil, err
	}
	return hmacVerifier{s, secrets}, nil
}

type hmacVerifier struct {
	*hmacSpec
	keys []string
}

func (v hmacVerifier) verify(r *http.Request, body []byte, now time.Time) bool {
	signature, found := strings.CutPrefix(r.Header.Get(v.Header), v.Prefix)
	if !found {
		return false
	}
	given, err := encodings[v.Encoding](signature)
	if err != nil {
		return false
	}
	timestamp := ""
	if v.Timestamp != "" {
		timestamp = r.Header.Get(v.Timestamp)
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > signatureWindow {
			return false
		}
	}
	return inbound.Signed(v.keys, hashes[v.Hash], given, body, []byte(timestamp))
}

// twilioSpec is the signature of Twilio's "Validating Signatures from Twilio":
// HMAC-SHA-1 of the URL as Twilio knows it, and of the form's parameters, sorted
// by name, each with its value after it.
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
	return twilioVerifier{secrets, u}, err
}

type twilioVerifier struct {
	keys []string
	url  string
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
		for _, value := range form[name] {
			_, _ = io.WriteString(&signed, name+value)
		}
	}
	return inbound.Signed(v.keys, sha1.New, given, []byte(v.url), []byte(signed.String()))
}

// tokenSpec is a secret that the provider repeats because it stands in the URL
// that it was given, or in a header.
type tokenSpec struct {
	secretSpecs
	Query  string `json:"query"`
	Header string `json:"header"`
}

func (s *tokenSpec) compile(where string, known scope) error {
	if (s.Query == "") == (s.Header == "") {
		return at(where, errors.New("has not one of query, header"))
	}
	if s.Header != "" && !isHeaderName(s.Header) {
		return at(where+".header", errors.New("is not the name of a header"))
	}
	return s.secretSpecs.compile(where, known)
}

func (s *tokenSpec) with(get lookup) (verifier, error) {
	secrets, err := s.resolve(get)
	if len(secrets) == 0 {
		return nil, err
	}
	return tokenVerifier{s, secrets}, nil
}

type tokenVerifier struct {
	*tokenSpec
	tokens []string
}

func (v tokenVerifier) verify(r *http.Request, _ []byte, _ time.Time) bool {
	given := r.Header.Get(v.Header)
	if v.Query != "" {
		given = r.URL.Query().Get(v.Query)
	}
	return inbound.OneOf(v.tokens, given)
}

// challengeSpec is how Meta asks whether a webhook is ours, before it posts to it.
type challengeSpec struct {
	secretSpecs
	Query  string `json:"query"`
	Answer string `json:"answer"`
}

func (s *challengeSpec) compile(where string, known scope) error {
	if s == nil {
		return nil
	}
	if s.Query == "" || s.Answer == "" {
		return at(where, errors.New("has not both of query and answer"))
	}
	return s.secretSpecs.compile(where, known)
}
