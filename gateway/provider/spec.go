package provider

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// A profileSpec is a Profile's JSON, and the templates and paths that compile made
// of it.
type profileSpec struct {
	Name      string             `json:"name"`
	Address   string             `json:"address"`
	Values    map[string]*string `json:"values"`
	Headers   map[string]string  `json:"headers"`
	Auth      *authSpec          `json:"auth"`
	Signing   signingSpec        `json:"signing"`
	Send      requestSpec        `json:"send"`
	Answer    answerSpec         `json:"answer"`
	Classes   map[string]string  `json:"classes"`
	Poll      *pollSpec          `json:"poll"`
	Cancel    *cancelSpec        `json:"cancel"`
	States    map[string]string  `json:"states"`
	Webhook   *webhookSpec       `json:"webhook"`
	Languages map[string]string  `json:"languages"`
	Alphabets map[string]string  `json:"alphabets"`

	address channel.Address
	headers map[string]template
	signing map[string]template
	classes codes[channel.Class]
	states  codes[channel.State]
	used    map[string]bool // values that some template names
	shared  map[string]bool // of those, the ones that are not only in the body of a send
}

type pollSpec struct {
	requestSpec
	Status string `json:"status"`
	Code   string `json:"code"`

	status, code path
}

type cancelSpec struct {
	requestSpec
	successSpec
}

type answerSpec struct {
	successSpec
	ID         string `json:"id"`
	IDOptional bool   `json:"id_optional"`
	OwnID      bool   `json:"own_id"`
	Code       string `json:"code"`
	Pattern    string `json:"pattern"`

	id, code path
	pattern  *regexp.Regexp
}

// A successSpec tells which answers are a success.
type successSpec struct {
	Statuses []int    `json:"statuses"`
	OK       string   `json:"ok"`
	Is       []string `json:"is"`

	ok path
	is codes[bool]
}

type webhookSpec struct {
	Method    string         `json:"method"`
	Format    string         `json:"format"`
	Inside    string         `json:"inside"`
	Each      string         `json:"each"`
	ID        string         `json:"id"`
	Message   string         `json:"message"`
	Status    string         `json:"status"`
	Code      string         `json:"code"`
	Verify    verifySpec     `json:"verify"`
	Challenge *challengeSpec `json:"challenge"`
	Reply     any            `json:"reply"`

	inside, each, id, message, status, code path
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
	s.used, s.shared = map[string]bool{}, map[string]bool{}
	for _, step := range []func() error{
		s.compileAddress, s.compileValues, s.compileAuth, s.compileSend, s.compileAnswer, s.compileStates,
		s.compilePoll, s.compileCancel, s.compileWebhook, s.checkUsed,
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
	s.shared[name] = true
	return s.isValue(name)
}

func (s *profileSpec) isValue(name string) bool {
	_, ok := s.Values[name]
	s.used[name] = s.used[name] || ok
	return ok
}

func (s *profileSpec) ofSend(name string) bool { return messageFields[name] || s.isValue(name) }

func (s *profileSpec) ofPoll(name string) bool { return name == fieldProviderID || s.ofValues(name) }

func (s *profileSpec) ofCancel(name string) bool { return name == "id" || s.ofPoll(name) }

func (s *profileSpec) compileAddress() error {
	if s.Address == "" {
		s.Address = channel.Phone.String()
	}
	err := s.address.UnmarshalText([]byte(s.Address))
	if err != nil || !slices.Contains(kinds, s.address) {
		return at("address", errors.New("is not one of phone, email, push, chat"))
	}
	return nil
}

var kinds = []channel.Address{channel.Phone, channel.Email, channel.Push, channel.Chat}

func (s *profileSpec) compileSend() error {
	if s.Send.Method == "" {
		s.Send.Method = http.MethodPost
	}
	if err := s.Send.compile("send.", s.ofSend); err != nil {
		return err
	}
	for _, name := range s.Send.url.fields() {
		s.shared[name] = true
	}
	for _, name := range sortedKeys(s.Alphabets) {
		if name != alphabetGSM && name != alphabetUCS2 {
			return at("alphabets", fmt.Errorf("%q is not one of gsm, ucs2", name))
		}
	}
	return nil
}

func (s *profileSpec) compileAnswer() (err error) {
	a := &s.Answer
	if err := a.successSpec.compile("answer", http.StatusConflict); err != nil {
		return err
	}
	if a.Pattern != "" {
		if a.pattern, err = regexp.Compile(a.Pattern); err != nil {
			return at("answer.pattern", errors.New("is no regular expression of Go's package regexp"))
		}
	}
	if a.OwnID && a.ID != "" {
		return at("answer", errors.New("there is both id and own_id"))
	}
	if a.IDOptional && (a.OK == "" || a.ID == "") {
		return at("answer.id_optional", errors.New("needs id, and an ok that tells a success without it"))
	}
	for _, code := range sortedKeys(s.Classes) {
		class, err := channel.ParseClass(s.Classes[code])
		if err != nil {
			return at("classes."+code, err)
		}
		s.classes.add(code, class)
	}
	return parsePaths("answer.", map[string]string{"id": a.ID, "code": a.Code},
		map[string]*path{"id": &a.id, "code": &a.code})
}

// compile takes statuses of 2xx, and one more.
func (s *successSpec) compile(where string, more int) (err error) {
	if (s.OK == "") != (len(s.Is) == 0) {
		return at(where, errors.New("there is only one of ok and is"))
	}
	for _, status := range s.Statuses {
		if (status < 200 || status > 299) && status != more {
			return at(where+".statuses", fmt.Errorf("%d is neither one of 200 to 299 nor %d", status, more))
		}
	}
	for _, value := range s.Is {
		s.is.add(value, true)
	}
	return parsePaths(where+".", map[string]string{"ok": s.OK}, map[string]*path{"ok": &s.ok})
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
	for _, status := range sortedKeys(s.States) {
		state, ok := stateNames[s.States[status]]
		if !ok {
			return at("states."+status, errors.New("is not one of waiting, sent, delivered, failed, ended"))
		}
		s.states.add(status, state)
	}
	if len(s.States) == 0 && (s.Poll != nil || s.Webhook != nil) {
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
	if s.Answer.ID == "" && !s.Answer.OwnID {
		return at("answer.id", errors.New("is required for poll"))
	}
	return parsePaths("poll.", map[string]string{"status": p.Status, "code": p.Code},
		map[string]*path{"status": &p.status, "code": &p.code})
}

func (s *profileSpec) compileCancel() error {
	c := s.Cancel
	if c == nil {
		return nil
	}
	if c.Method == "" {
		c.Method = http.MethodDelete
	}
	if err := c.requestSpec.compile("cancel.", s.ofCancel); err != nil {
		return err
	}
	return c.successSpec.compile("cancel", http.StatusConflict)
}

func (s *profileSpec) compileWebhook() error {
	w := s.Webhook
	if w == nil {
		return nil
	}
	if err := w.compileFormat(); err != nil {
		return err
	}
	for name, text := range map[string]string{"id": w.ID, "status": w.Status} {
		if text == "" {
			return at("webhook."+name, errMissing)
		}
	}
	if err := w.Verify.compile("webhook.verify", s.ofValues); err != nil {
		return err
	}
	if err := w.Challenge.compile("webhook.challenge", s.ofValues); err != nil {
		return err
	}
	return parsePaths("webhook.", map[string]string{
		"inside": w.Inside, "each": w.Each, "id": w.ID, "message": w.Message, "status": w.Status, "code": w.Code,
	}, map[string]*path{
		"inside": &w.inside, "each": &w.each, "id": &w.id, "message": &w.message, "status": &w.status, "code": &w.code,
	})
}

func (s *webhookSpec) compileFormat() error {
	if s.Format == "" {
		s.Format = formatJSON
	}
	if s.Method == "" {
		s.Method = http.MethodPost
		if s.Format == formatQuery {
			s.Method = http.MethodGet
		}
	}
	switch {
	case !slices.Contains([]string{formatJSON, formatForm, formatQuery}, s.Format):
		return at("webhook.format", errors.New("is not one of json, form, query"))
	case !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, s.Method):
		return at("webhook.method", errors.New("is not one of GET, POST, PUT"))
	case s.Challenge != nil && s.Method == http.MethodGet:
		return at("webhook.challenge", errors.New("cannot be told from a report"))
	}
	return nil
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
