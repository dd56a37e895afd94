package provider

import (
	"errors"
	"net/http"
)

// An authSpec is a profile's auth, one of its members.
type authSpec struct {
	Basic  *basicSpec  `json:"basic"`
	Bearer *string     `json:"bearer"`
	OAuth2 *oauth2Spec `json:"oauth2"`
	Login  *loginSpec  `json:"login"`

	user, password, bearer template // of basic, or client and secret of oauth2
	url, scope             template
}

type basicSpec struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

type oauth2Spec struct {
	URL    string `json:"url"`
	Client string `json:"client"`
	Secret string `json:"secret"`
	Scope  string `json:"scope"`
}

// A loginSpec is a request for a token that is not as RFC 6749 §4.4 has it: with
// the credentials in the form or in JSON, or a user's password.
type loginSpec struct {
	requestSpec
	Token string `json:"token"`
	Life  string `json:"life"`

	token, life path
}

func (s *profileSpec) compileAuth() (err error) {
	if s.headers, err = parseHeaders("headers", s.Headers, s.ofValues); err != nil {
		return err
	}
	if s.signing, err = s.Signing.compile(s.ofValues); err != nil || s.Auth == nil {
		return err
	}
	a := s.Auth
	kinds := 0
	for _, set := range []bool{a.Basic != nil, a.Bearer != nil, a.OAuth2 != nil, a.Login != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return at("auth", errors.New("is not one of basic, bearer, oauth2, login"))
	case a.Basic != nil:
		return s.parseEach("auth.basic.", map[string]string{"user": a.Basic.User, "password": a.Basic.Password},
			map[string]*template{"user": &a.user, "password": &a.password})
	case a.Bearer != nil:
		return s.parseEach("auth.", map[string]string{"bearer": *a.Bearer}, map[string]*template{"bearer": &a.bearer})
	case a.Login != nil:
		return a.Login.compile(s.ofValues)
	}
	if a.scope, err = parseTemplate(a.OAuth2.Scope, s.ofValues); err != nil {
		return at("auth.oauth2.scope", err)
	}
	if err := s.parseEach("auth.oauth2.", map[string]string{"client": a.OAuth2.Client, "secret": a.OAuth2.Secret},
		map[string]*template{"client": &a.user, "secret": &a.password}); err != nil {
		return err
	}
	a.url, err = parseURLTemplate(a.OAuth2.URL, s.ofValues)
	return at("auth.oauth2.url", err)
}

func (s *loginSpec) compile(known scope) error {
	if s.Method == "" {
		s.Method = http.MethodPost
	}
	if s.Token == "" {
		s.Token = "access_token"
	}
	if s.Life == "" {
		s.Life = "expires_in"
	}
	if err := s.requestSpec.compile("auth.login.", known); err != nil {
		return err
	}
	return parsePaths("auth.login.", map[string]string{"token": s.Token, "life": s.Life},
		map[string]*path{"token": &s.token, "life": &s.life})
}

// parseEach parses templates that must be there.
func (s *profileSpec) parseEach(where string, texts map[string]string, into map[string]*template) (err error) {
	for _, name := range sortedKeys(texts) {
		if texts[name] == "" {
			return at(where+name, errMissing)
		}
		if *into[name], err = parseTemplate(texts[name], s.ofValues); err != nil {
			return at(where+name, err)
		}
	}
	return nil
}
