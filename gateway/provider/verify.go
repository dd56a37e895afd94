package provider

import (
	"errors"
	"net/http"
	"time"

	"github.com/otpcourier/otpcourier/gateway/internal/inbound"
)

// errUnsigned is all that is said of a webhook that was not signed as it must
// be: who forges one learns nothing from it.
var errUnsigned = errors.New("the webhook is not signed, or not rightly")

// A verifier reports whether a webhook comes from the provider.
type verifier interface {
	verify(r *http.Request, body []byte, now time.Time) bool
}

type verifySpec struct {
	HMAC            *signatureSpec `json:"hmac"`
	Ed25519         *signatureSpec `json:"ed25519"`
	ECDSA           *signatureSpec `json:"ecdsa"`
	JWT             *jwtSpec       `json:"jwt"`
	Twilio          *twilioSpec    `json:"twilio"`
	SNS             *snsSpec       `json:"sns"`
	Token           *tokenSpec     `json:"token"`
	DangerouslyNone bool           `json:"dangerously_none"`

	kind verifySpecKind // nil: dangerously_none
}

// A verifySpecKind is one way to verify, as a profile describes it.
type verifySpecKind interface {
	compile(where string, known scope) error

	// with returns nil while all secrets are empty.
	with(get lookup) (verifier, error)
}

var errOneVerifier = errors.New("is not one of hmac, ed25519, ecdsa, jwt, twilio, sns, token, dangerously_none")

func (s *verifySpec) compile(where string, known scope) error {
	kinds := map[string]verifySpecKind{}
	for name, spec := range map[string]*signatureSpec{"hmac": s.HMAC, "ed25519": s.Ed25519, "ecdsa": s.ECDSA} {
		if spec != nil {
			spec.algorithm = name
			kinds[name] = spec
		}
	}
	if s.JWT != nil {
		kinds["jwt"] = s.JWT
	}
	if s.Twilio != nil {
		kinds["twilio"] = s.Twilio
	}
	if s.SNS != nil {
		kinds["sns"] = s.SNS
	}
	if s.Token != nil {
		kinds["token"] = s.Token
	}
	if s.DangerouslyNone {
		kinds[""] = nil
	}
	if len(kinds) != 1 {
		return at(where, errOneVerifier)
	}
	for name, kind := range kinds {
		if s.kind = kind; kind != nil {
			return kind.compile(where+"."+name, known)
		}
	}
	return nil
}

func (s *verifySpec) with(get lookup) (verifier, error) {
	if s.kind == nil {
		return anyone{}, nil
	}
	return s.kind.with(get)
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

// tokenSpec is a secret that the provider repeats because it stands in the URL
// that it was given, in a header, or as user:password of Basic authentication.
type tokenSpec struct {
	secretSpecs
	Query  string `json:"query"`
	Header string `json:"header"`
	Basic  bool   `json:"basic"`
}

func (s *tokenSpec) compile(where string, known scope) error {
	if s.Basic && s.Query+s.Header == "" {
		return s.secretSpecs.compile(where, known)
	}
	if (s.Query == "") == (s.Header == "") || s.Basic {
		return at(where, errors.New("has not one of query, header, basic"))
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
	switch {
	case v.Query != "":
		given = r.URL.Query().Get(v.Query)
	case v.Basic:
		user, password, _ := r.BasicAuth()
		given = user + ":" + password
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
