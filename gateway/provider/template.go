package provider

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A template is text with fields: "Code {{code}}", "{{from|sender}}" for the
// first that is not empty, "{{base64 user+':'+password}}" for several and a
// literal in a filter. It runs nothing. A field without a filter of its own is
// escaped for the string that it stands in: JSON, XML or the query of a URL.
type template struct {
	parts []templatePart
}

// A templatePart is literal text or, if it has terms, a field.
type templatePart struct {
	literal string
	filters []string // the last is applied first
	terms   [][]string
	escape  string // a filter, for where the field stands; empty: none
	query   bool   // the literal begins the query of the URL in the part before
}

// field reports whether a part is a field.
func (p *templatePart) field() bool { return p.terms != nil }

// names returns the fields that a part names.
func (p *templatePart) names() (all []string) {
	for _, term := range p.terms {
		for _, name := range term {
			if !isLiteral(name) {
				all = append(all, name)
			}
		}
	}
	return all
}

func isLiteral(name string) bool { return strings.HasPrefix(name, "'") }

// A scope says which fields a template may name.
type scope func(name string) bool

func parseTemplate(text string, known scope) (template, error) {
	t := template{}
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{{")
		if literal != "" {
			t.parts = append(t.parts, templatePart{literal: literal})
		}
		if !found {
			break
		}
		field, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return template{}, errors.New(`"{{" without "}}"`)
		}
		part, err := parseField(field, known)
		if err != nil {
			return template{}, err
		}
		t.parts = append(t.parts, part)
		rest = tail
	}
	t.escapeFields()
	for _, p := range t.parts {
		if p.outermost() == filterNumber && len(t.parts) > 1 && p.escape != filterJSON {
			return template{}, errors.New("a number has text around it")
		}
	}
	return t, nil
}

func parseField(field string, known scope) (templatePart, error) {
	var p templatePart
	rest := strings.TrimSpace(field)
	for {
		filter, after, found := strings.Cut(rest, " ")
		if !found || filters[filter] == nil && filter != filterHMAC {
			break
		}
		p.filters, rest = append(p.filters, filter), strings.TrimSpace(after)
	}
	for _, term := range splitOutside(rest, '+') {
		var alternatives []string
		for _, name := range splitOutside(term, '|') {
			name = strings.TrimSpace(name)
			if filter, _, spaced := strings.Cut(name, " "); spaced && !isLiteral(name) {
				return p, fmt.Errorf("unknown filter %q", filter)
			}
			if isLiteral(name) && (len(name) < 3 || !strings.HasSuffix(name, "'")) {
				return p, fmt.Errorf("a literal is not of the form '…'")
			}
			if !isLiteral(name) && !known(name) {
				return p, fmt.Errorf("unknown field {{%s}}", name)
			}
			alternatives = append(alternatives, name)
		}
		p.terms = append(p.terms, alternatives)
	}
	return p, p.checkFilters()
}

func (p *templatePart) checkFilters() error {
	for i, filter := range p.filters {
		if filter == filterNumber && i > 0 {
			return errors.New("number is not the first filter")
		}
		if filter == filterHMAC && (i < len(p.filters)-1 || len(p.terms) < 2) {
			return errors.New("hmac is not the last filter, or has no key and content, {{hmac key+text}}")
		}
	}
	return nil
}

// splitOutside splits text at a separator that is not inside a literal.
func splitOutside(text string, separator rune) []string {
	quoted := false
	var parts []string
	begin := 0
	for i, r := range text {
		switch {
		case r == '\'':
			quoted = !quoted
		case r == separator && !quoted:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// escapeFields finds out what each field stands in, by the literal text.
func (t *template) escapeFields() {
	if len(t.parts) < 2 {
		return
	}
	escape := ""
	switch begin := strings.TrimSpace(t.parts[0].literal); {
	case beginsWith(begin, "{[", "\"{["):
		escape = filterJSON
	case beginsWith(begin, "<", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ?!"):
		escape = filterXML
	case strings.HasPrefix(begin, "https://") && strings.Contains(begin, "?"):
		escape = filterURL
	}
	for i := range t.parts {
		p := &t.parts[i]
		if p.field() {
			p.escape = escape
			continue
		}
		if i > 0 && t.parts[i-1].isURL() && (p.literal[0] == '?' || p.literal[0] == '/') {
			p.query, escape = p.literal[0] == '?', filterURL
		}
	}
}

// beginsWith reports whether text begins with one of the first characters and one
// of the second: JSON or XML, but not a text such as "[MyBank]" or "<#>".
func beginsWith(text, first, second string) bool {
	return len(text) > 1 && strings.Contains(first, text[:1]) && strings.Contains(second, text[1:2])
}

// isURL reports whether a part is a value that holds a URL, by its name.
func (p *templatePart) isURL() bool {
	return len(p.terms) == 1 && strings.HasSuffix(p.terms[0][0], "url")
}

func (p *templatePart) outermost() string {
	if len(p.filters) == 0 {
		return ""
	}
	return p.filters[0]
}

// fields returns the names of all fields.
func (t template) fields() []string {
	var all []string
	for _, p := range t.parts {
		all = append(all, p.names()...)
	}
	return all
}

// A lookup returns the value of a field, which may be empty.
type lookup func(name string) (string, error)

// errOmit is the error of a template that consists of fields only, all of them
// empty: the member, header or parameter is left out.
var errOmit = errors.New("nothing to say")

func (t template) render(get lookup) (string, error) {
	return t.renderWith(get, func(s string) (string, error) { return s, nil })
}

// renderWith renders with the fields' values escaped. The error may be errOmit.
func (t template) renderWith(get lookup, escape func(string) (string, error)) (string, error) {
	var b strings.Builder
	empty := len(t.parts) > 0
	for _, p := range t.parts {
		if !p.field() {
			literal := p.literal
			switch {
			case p.query && empty: // there is no URL to add a query to
				return "", errOmit
			case p.query && strings.Contains(b.String(), "?"): // the URL has a query already
				literal = "&" + literal[1:]
			}
			b.WriteString(literal)
			empty = false
			continue
		}
		value, err := p.value(get)
		if err != nil {
			return "", err
		}
		if value, err = escape(value); err != nil {
			return "", err
		}
		empty = empty && value == ""
		b.WriteString(value)
	}
	if empty {
		return "", errOmit
	}
	return b.String(), nil
}

// value returns the value of a field after its filters, and escaped for where it
// stands. It is empty if all that the field names is empty.
func (p *templatePart) value(get lookup) (string, error) {
	values := make([]string, len(p.terms))
	empty := true
	for i, term := range p.terms {
		for _, name := range term {
			if isLiteral(name) {
				values[i] = name[1 : len(name)-1]
				empty = empty && len(term) == 1 // a default is a value, a separator is none
				break
			}
			v, err := get(name)
			if err != nil {
				return "", err
			}
			if v != "" {
				values[i], empty = v, false
				break
			}
		}
	}
	if empty {
		return "", nil
	}
	return p.filtered(values)
}

func (p *templatePart) filtered(values []string) (value string, err error) {
	applied := p.filters
	if len(applied) > 0 && applied[len(applied)-1] == filterHMAC {
		value, applied = hmacFilter(values[0], strings.Join(values[1:], "")), applied[:len(applied)-1]
	} else {
		value = strings.Join(values, "")
	}
	for i := len(applied) - 1; i >= 0; i-- {
		if value, err = filters[applied[i]](value); err != nil {
			return "", fmt.Errorf("{{%s}} %w", strings.Join(p.names(), "|"), err)
		}
	}
	if p.escape == "" || p.escape == p.outermost() || p.outermost() == filterNumber {
		return value, nil
	}
	return filters[p.escape](value)
}

func (t template) isNumber() bool { return len(t.parts) == 1 && t.parts[0].outermost() == filterNumber }

// renderAll renders the templates of a query, a form or headers.
func renderAll(all map[string]template, get lookup) (map[string]string, error) {
	rendered := make(map[string]string, len(all))
	for name, t := range all {
		value, err := t.render(get)
		switch {
		case errors.Is(err, errOmit):
		case err != nil:
			return nil, err
		default:
			rendered[name] = value
		}
	}
	return rendered, nil
}

func encodeForm(all map[string]template, get lookup) (string, error) {
	rendered, err := renderAll(all, get)
	if err != nil {
		return "", err
	}
	form := make(url.Values, len(rendered))
	for name, value := range rendered {
		form.Set(name, value)
	}
	return form.Encode(), nil
}

// headerValue reports whether a value can stand in a header (RFC 9110 §5.5):
// one with a line break would be two headers.
func headerValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) &&
		s == strings.TrimSpace(s)
}

var errSegment = errors.New(`a field in the path is empty, "." or ".."`)

// pathSegment makes a value one segment of a path, or a part of one.
func pathSegment(s string) (string, error) {
	if s == "" || s == "." || s == ".." {
		return "", errSegment
	}
	return url.PathEscape(s), nil
}
