package provider

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha1" //nolint:gosec // what some sign with, as an HMAC
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// signatureWindow is how far the time in a webhook may be from ours, unless the
// profile says otherwise.
const signatureWindow = 5 * time.Minute

// A signatureSpec is a signature of a content that a template describes: an HMAC,
// or one that is verified with a public key.
type signatureSpec struct {
	secretSpecs
	Header    string `json:"header"`
	Member    string `json:"member"`
	Prefix    string `json:"prefix"`
	List      string `json:"list"`
	Hash      string `json:"hash"`
	Encoding  string `json:"encoding"`
	Key       string `json:"key"`
	Content   string `json:"content"`
	URL       string `json:"url"`
	Timestamp string `json:"timestamp"`
	Within    int    `json:"within"`

	algorithm    string
	content, url template
	member       path
}

var hashes = map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}

var encodings = map[string]func(string) ([]byte, error){
	"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString,
}

// keyForms make the key of an HMAC of a secret.
var keyForms = map[string]func(string) (string, error){
	"": always(func(s string) string { return s }),
	"base64": func(s string) (string, error) {
		_, encoded, found := strings.Cut(s, "_") // whsec_…
		if !found {
			encoded = s
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		return string(key), err
	},
	"sha256": always(func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return string(sum[:])
	}),
}

func (s *signatureSpec) compile(where string, known scope) (err error) {
	switch {
	case s.Member == "" && !isHeaderName(s.Header), s.Member != "" && s.Header != "":
		return at(where+".header", errors.New("is not the name of a header"))
	case hashes[s.Hash] == nil:
		return at(where+".hash", errors.New("is not one of sha256, sha1, sha512"))
	case encodings[s.Encoding] == nil:
		return at(where+".encoding", errors.New("is not one of hex, base64"))
	case keyForms[s.Key] == nil:
		return at(where+".key", errors.New("is not one of base64, sha256"))
	case s.algorithm != "hmac" && (s.Key != "" || s.Hash != ""):
		return at(where, errors.New("has a key or a hash, which only hmac has"))
	case s.Timestamp != "" && !isHeaderName(s.Timestamp):
		return at(where+".timestamp", errors.New("is not the name of a header"))
	case s.Within < 0 || s.Within > 0 && s.Timestamp == "":
		return at(where+".within", errors.New("is negative, or there is no timestamp"))
	}
	if s.Content == "" {
		s.Content = "{{body}}"
		if s.Timestamp != "" {
			s.Content += "{{header." + s.Timestamp + "}}"
		}
	}
	if s.content, err = parseTemplate(s.Content, s.inContent); err != nil {
		return at(where+".content", err)
	}
	for i := range s.content.parts {
		s.content.parts[i].escape = "" // it is no document
	}
	if s.url, err = parseTemplate(s.URL, known); err != nil {
		return at(where+".url", err)
	}
	if err := parsePaths(where+".", map[string]string{"member": s.Member},
		map[string]*path{"member": &s.member}); err != nil {
		return err
	}
	return s.secretSpecs.compile(where, known)
}

// The fields of a signature's content.
const (
	contentBody       = "body"
	contentBodySHA256 = "body_sha256"
	contentURL        = "url"
	contentPath       = "url_without_query"
)

// inContent is the scope of a signature's content.
func (s *signatureSpec) inContent(name string) bool {
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case contentBody, contentBodySHA256:
		return rest == ""
	case contentURL, contentPath:
		return rest == "" && s.URL != ""
	case "header":
		return isHeaderName(rest)
	case "member":
		_, err := parsePath(rest)
		return err == nil && !strings.ContainsAny(rest, "|+")
	}
	return false
}

func (s *signatureSpec) with(get lookup) (verifier, error) {
	secrets, err := s.resolve(get)
	if len(secrets) == 0 {
		return nil, err
	}
	v := signatureVerifier{signatureSpec: s}
	if s.URL != "" {
		v.publicURL, err = s.url.render(get)
		if errors.Is(err, errOmit) {
			return nil, nil //nolint:nilnil // without its own URL there is no webhook
		}
		if err != nil {
			return nil, err
		}
	}
	for _, secret := range secrets {
		check, err := s.checker(secret)
		if err != nil {
			return nil, err
		}
		v.checks = append(v.checks, check)
	}
	return v, nil
}

// checker returns a function that checks signatures with one secret or key.
func (s *signatureSpec) checker(secret string) (func(content, signature []byte) bool, error) {
	switch s.algorithm {
	case "ed25519":
		key, err := ed25519Key(secret)
		return func(content, signature []byte) bool { return ed25519.Verify(key, content, signature) }, err
	case "ecdsa":
		key, err := ecdsaKey(secret)
		return func(content, signature []byte) bool {
			sum := sha256.Sum256(content)
			return ecdsa.VerifyASN1(key, sum[:], signature)
		}, err
	}
	key, err := keyForms[s.Key](secret)
	if err != nil || key == "" {
		return nil, errors.New("the secret is not in base64")
	}
	return func(content, signature []byte) bool {
		return inbound.Signed([]string{key}, hashes[s.Hash], signature, content)
	}, nil
}

var errKey = errors.New("the public key is not one of the algorithm, in base64 or PEM")

// keyBytes decodes a public key in base64, or in PEM.
func keyBytes(text string) ([]byte, error) {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes, nil
	}
	return base64.StdEncoding.DecodeString(text)
}

func ed25519Key(text string) (ed25519.PublicKey, error) {
	b, err := keyBytes(text)
	if err == nil && len(b) == ed25519.PublicKeySize {
		return b, nil
	}
	if parsed, err := x509.ParsePKIXPublicKey(b); err == nil {
		if key, ok := parsed.(ed25519.PublicKey); ok {
			return key, nil
		}
	}
	return nil, errKey
}

func ecdsaKey(text string) (*ecdsa.PublicKey, error) {
	b, err := keyBytes(text)
	if err != nil {
		return nil, errKey
	}
	if parsed, err := x509.ParsePKIXPublicKey(b); err == nil {
		if key, ok := parsed.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P256() {
			return key, nil
		}
	}
	return nil, errKey
}

type signatureVerifier struct {
	*signatureSpec
	publicURL string
	checks    []func(content, signature []byte) bool
}

// maxSignatures bounds the signatures in one header.
const maxSignatures = 16

func (v signatureVerifier) verify(r *http.Request, body []byte, now time.Time) bool {
	if v.Timestamp != "" && !v.timely(r.Header.Get(v.Timestamp), now) {
		return false
	}
	get := v.fields(r, body)
	content, err := v.content.render(get)
	if err != nil && !errors.Is(err, errOmit) {
		return false
	}
	given := r.Header.Get(v.Header)
	if v.Member != "" {
		given = memberOf(body, v.member)
	}
	all := []string{given}
	if v.List != "" {
		all = strings.SplitN(given, v.List, maxSignatures+1)
	}
	for _, one := range all[:min(len(all), maxSignatures)] {
		encoded, found := strings.CutPrefix(strings.TrimSpace(one), v.Prefix)
		signature, err := encodings[v.Encoding](encoded)
		if !found || err != nil || len(signature) == 0 {
			continue
		}
		for _, check := range v.checks {
			if check([]byte(content), signature) {
				return true
			}
		}
	}
	return false
}

func (v signatureVerifier) timely(timestamp string, now time.Time) bool {
	window := signatureWindow
	if v.Within > 0 {
		window = time.Duration(v.Within) * time.Second
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	return err == nil && now.Sub(time.Unix(seconds, 0)).Abs() <= window
}

// fields looks up the fields of a signature's content.
func (v signatureVerifier) fields(r *http.Request, body []byte) lookup {
	return func(name string) (string, error) {
		kind, rest, _ := strings.Cut(name, ".")
		switch kind {
		case contentBody:
			return string(body), nil
		case contentBodySHA256:
			sum := sha256.Sum256(body)
			return string(sum[:]), nil
		case contentURL:
			return calledURL(v.publicURL, r), nil
		case contentPath:
			u, _, _ := strings.Cut(v.publicURL, "#")
			u, _, _ = strings.Cut(u, "?")
			return u, nil
		case "header":
			return r.Header.Get(rest), nil
		}
		p, err := parsePath(rest)
		return memberOf(body, p), err
	}
}

// calledURL is the URL that the provider called: what comes before the query as
// we gave it, because a proxy may have changed it since, and the query as it came.
func calledURL(public string, r *http.Request) string {
	public, _, _ = strings.Cut(public, "#")
	if r.URL.RawQuery == "" {
		return public
	}
	before, _, _ := strings.Cut(public, "?")
	return before + "?" + r.URL.RawQuery
}

// memberOf returns a member of a body, JSON or a form.
func memberOf(body []byte, p path) string {
	if root, err := parseJSON(body); err == nil {
		return p.find(document{root: root})
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return p.find(document{root: firstValues(form)})
}
