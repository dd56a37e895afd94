package provider

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// A profileSpec is a Profile's JSON, and the templates and paths that compile made
// of it.
type profileSpec struct {
	Name      string             `json:"name"`
	Values    map[string]*string `json:"values"`
	Headers   map[string]string  `json:"headers"`
	Auth      *authSpec          `json:"auth"`
	Signing   signingSpec        `json:"signing"`
	Send      requestSpec        `json:"send"`
	Answer    answerSpec         `json:"answer"`
	Classes   map[string]string  `json:"classes"`
	Poll      *pollSpec          `json:"poll"`
	States    map[string]string  `json:"states"`
	Webhook   *webhookSpec       `json:"webhook"`
	Languages map[string]string  `json:"languages"`

	headers map[string]template
	signing map[string]template
	classes map[string]channel.Class
	states  map[string]channel.State
	used    map[string]bool // values that some template names
}

type authSpec struct {
	Basic  *basicSpec  `json:"basic"`
	Bearer *string     `json:"bearer"`
	OAuth2 *oauth2Spec `json:"oauth2"`

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

type pollSpec struct {
	requestSpec
	Status string `json:"status"`
	Code   string `json:"code"`

	status, code path
}

type answerSpec struct {
	Statuses []int    `json:"statuses"`
	OK       string   `json:"ok"`
	Is       []string `json:"is"`
	ID       string   `json:"id"`
	Code     string   `json:"code"`

	ok, id, code path
}

type webhookSpec struct {
	Format    string         `json:"format"`
	Each      string         `json:"each"`
	ID        string         `json:"id"`
	Message   string         `json:"message"`
	Status    string         `json:"status"`
	Code      string         `json:"code"`
	Verify    verifySpec     `json:"verify"`
	Challenge *challengeSpec `json:"challenge"`

	each, id, message, status, code path
}

// at says where an error is.
func at(where string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

var errMissing = errors.New("is required")

// compile checks the whole profile and parses its templates and paths.
func (s *profileSpec) compile() error {
	if s.Name == "" {
		return at("name", errMissing)
	}
	s.used = map[string]bool{}
	for _, step := range []func() error{
		s.compileValues, s.compileAuth, s.compileSend, s.compileAnswer, s.compileStates,
		s.compilePoll, s.compileWebhook, s.checkUsed,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *profileSpec) compileValues() error {
	for _, name := range sortedKeys(s.Values) {
		if !isFieldName(name) {
			return at("values", fmt.Errorf("%q is not of the form [a-z][a-z0-9_]*", name))
		}
		if messageFields[name] || name == fieldProviderID {
			return at("values", fmt.Errorf("%q is a field of messages", name))
		}
	}
	for _, tag := range sortedKeys(s.Languages) {
		if s.Languages[tag] == "" {
			return at("languages."+tag, errMissing)
		}
	}
	return nil
}

func isFieldName(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z' && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// The scopes of templates. Each notes which values are used.

func (s *profileSpec) ofValues(name string) bool {
	_, ok := s.Values[name]
	s.used[name] = s.used[name] || ok
	return ok
}

func (s *profileSpec) ofSend(name string) bool { return messageFields[name] || s.ofValues(name) }

func (s *profileSpec) ofPoll(name string) bool { return name == fieldProviderID || s.ofValues(name) }

func (s *profileSpec) compileAuth() (err error) {
	if s.headers, err = parseHeaders("headers", s.Headers, s.ofValues); err != nil {
		return err
	}
	if s.signing, err = s.Signing.compile(s.ofValues); err != nil || s.Auth == nil {
		return err
	}
	a := s.Auth
	switch {
	case a.Basic != nil && a.Bearer == nil && a.OAuth2 == nil:
		return s.parseEach("auth.basic.", map[string]string{"user": a.Basic.User, "password": a.Basic.Password},
			map[string]*template{"user": &a.user, "password": &a.password})
	case a.Bearer != nil && a.Basic == nil && a.OAuth2 == nil:
		return s.parseEach("auth.", map[string]string{"bearer": *a.Bearer}, map[string]*template{"bearer": &a.bearer})
	case a.OAuth2 != nil && a.Basic == nil && a.Bearer == nil:
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
	return at("auth", errors.New("is not one of basic, bearer, oauth2"))
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

func (s *profileSpec) compileSend() error {
	if s.Send.Method == "" {
		s.Send.Method = http.MethodPost
	}
	return s.Send.compile("send.", s.ofSend)
}

func (s *profileSpec) compileAnswer() error {
	a := &s.Answer
	if err := parsePaths("answer.", map[string]string{"ok": a.OK, "id": a.ID, "code": a.Code},
		map[string]*path{"ok": &a.ok, "id": &a.id, "code": &a.code}); err != nil {
		return err
	}
	if (a.OK == "") != (len(a.Is) == 0) {
		return at("answer", errors.New("there is only one of ok and is"))
	}
	for _, status := range a.Statuses {
		if (status < 200 || status > 299) && status != http.StatusConflict {
			return at("answer.statuses", fmt.Errorf("%d is neither one of 200 to 299 nor 409", status))
		}
	}
	s.classes = make(map[string]channel.Class, len(s.Classes))
	for _, code := range sortedKeys(s.Classes) {
		class, err := channel.ParseClass(s.Classes[code])
		if err != nil {
			return at("classes."+code, err)
		}
		s.classes[code] = class
	}
	return nil
}

func parsePaths(where string, texts map[string]string, into map[string]*path) (err error) {
	for _, name := range sortedKeys(texts) {
		if texts[name] == "" {
			continue
		}
		if *into[name], err = parsePath(texts[name]); err != nil {
			return at(where+name, err)
		}
	}
	return nil
}

func (s *profileSpec) compileStates() error {
	s.states = make(map[string]channel.State, len(s.States))
	for _, status := range sortedKeys(s.States) {
		state, ok := stateNames[s.States[status]]
		if !ok {
			return at("states."+status, errors.New("is not one of waiting, sent, delivered, failed, ended"))
		}
		s.states[status] = state
	}
	if len(s.states) == 0 && (s.Poll != nil || s.Webhook != nil) {
		return at("states", errMissing)
	}
	return nil
}

func (s *profileSpec) compilePoll() error {
	p := s.Poll
	if p == nil {
		return nil
	}
	if p.Method == "" {
		p.Method = http.MethodGet
	}
	if err := p.compile("poll.", s.ofPoll); err != nil {
		return err
	}
	if p.Status == "" {
		return at("poll.status", errMissing)
	}
	if s.Answer.ID == "" {
		return at("answer.id", errors.New("is required for poll"))
	}
	return parsePaths("poll.", map[string]string{"status": p.Status, "code": p.Code},
		map[string]*path{"status": &p.status, "code": &p.code})
}

func (s *profileSpec) compileWebhook() error {
	w := s.Webhook
	if w == nil {
		return nil
	}
	if w.Format == "" {
		w.Format = formatJSON
	}
	if !slices.Contains([]string{formatJSON, formatForm, formatQuery}, w.Format) {
		return at("webhook.format", errors.New("is not one of json, form, query"))
	}
	for name, text := range map[string]string{"id": w.ID, "status": w.Status} {
		if text == "" {
			return at("webhook."+name, errMissing)
		}
	}
	if w.Challenge != nil && w.Format == formatQuery {
		return at("webhook.challenge", errors.New("cannot be told from a report of format query"))
	}
	if err := w.Verify.compile("webhook.verify", s.ofValues); err != nil {
		return err
	}
	if err := w.Challenge.compile("webhook.challenge", s.ofValues); err != nil {
		return err
	}
	return parsePaths("webhook.",
		map[string]string{"each": w.Each, "id": w.ID, "message": w.Message, "status": w.Status, "code": w.Code},
		map[string]*path{"each": &w.each, "id": &w.id, "message": &w.message, "status": &w.status, "code": &w.code})
}

func (s *profileSpec) checkUsed() error {
	for _, name := range sortedKeys(s.Values) {
		if !s.used[name] {
			return at("values."+name, errors.New("is not used anywhere"))
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
