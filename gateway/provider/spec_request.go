package provider

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

type requestSpec struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query"`
	JSON    any               `json:"json"`
	Form    map[string]string `json:"form"`

	url            template
	headers, query map[string]template
	form           map[string]template
	json           *jsonTemplate
}

// methods are those of requests.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (r *requestSpec) compile(where string, known scope) (err error) {
	if r.url, err = parseURLTemplate(r.URL, known); err != nil {
		return at(where+"url", err)
	}
	if !slices.Contains(methods, r.Method) {
		return at(where+"method", fmt.Errorf("is not one of %s", strings.Join(methods, ", ")))
	}
	if r.headers, err = parseHeaders(where+"headers", r.Headers, known); err != nil {
		return err
	}
	if r.query, err = parseTemplates(where+"query", r.Query, known); err != nil {
		return err
	}
	if r.form, err = parseTemplates(where+"form", r.Form, known); err != nil {
		return err
	}
	if (r.JSON != nil || r.form != nil) && r.Method == http.MethodGet || r.JSON != nil && r.form != nil {
		return at(where+"method", errors.New("there is more than one of GET, json and form"))
	}
	if r.JSON == nil {
		return nil
	}
	body, inside, err := parseJSONTemplate(r.JSON, known)
	r.json = &body
	return at(where+"json"+inside, err)
}

func parseTemplates(where string, texts map[string]string, known scope) (map[string]template, error) {
	if texts == nil {
		return nil, nil
	}
	parsed := make(map[string]template, len(texts))
	for _, name := range sortedKeys(texts) {
		t, err := parseTemplate(texts[name], known)
		if err != nil {
			return nil, at(where+"."+name, err)
		}
		parsed[name] = t
	}
	return parsed, nil
}

func parseHeaders(where string, texts map[string]string, known scope) (map[string]template, error) {
	for _, name := range sortedKeys(texts) {
		switch {
		case !isHeaderName(name):
			return nil, at(where, fmt.Errorf("%q cannot be the name of a header", name))
		case !headerValue(texts[name]):
			return nil, at(where+"."+name, errors.New("has a control character, or white space at an end"))
		}
	}
	return parseTemplates(where, texts, known)
}

// isHeaderName reports whether a profile may set a header: a token (RFC 9110
// §5.6.2) that net/http does not take from elsewhere.
func isHeaderName(s string) bool {
	name := textproto.CanonicalMIMEHeaderKey(s)
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}) && !slices.Contains([]string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Trailer"}, name)
}

// parseURLTemplate parses a URL, whose scheme and host are literal or come as a
// whole from one value.
func parseURLTemplate(text string, known scope) (template, error) {
	if text == "" {
		return template{}, errMissing
	}
	t, err := parseTemplate(text, known)
	if err != nil {
		return t, err
	}
	if strings.ContainsFunc(text, noPath) {
		return t, errors.New(`has a "?" (use query), a "#" or another character that no path has`)
	}
	first := t.parts[0]
	if first.field() {
		if slices.ContainsFunc(first.names(), ofMessage) || len(first.names()) == 0 {
			return t, errors.New("begins with what a message holds, not a value")
		}
		if len(t.parts) > 1 && !strings.HasPrefix(t.parts[1].literal, "/") {
			return t, errors.New(`the value that it begins with is not followed by "/"`)
		}
		return t, nil
	}
	scheme, rest, found := strings.Cut(first.literal, "://")
	host, _, complete := strings.Cut(rest, "/")
	if !found || scheme != "https" && scheme != "http" || host == "" || !complete && len(t.parts) > 1 {
		return t, errors.New(`does not begin with "https://host/" or with a value`)
	}
	return t, nil
}

func noPath(r rune) bool { return r < ' ' || r == '?' || r == '#' || r == '\\' || r == 0x7f }

func ofMessage(field string) bool { return messageFields[field] || field == fieldProviderID }
