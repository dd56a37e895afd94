package provider

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A template is text with fields: "Code {{code}}", "{{from|sender}}" for the
// first that is not empty, "{{number ttl}}" for a JSON number, "{{xml text}}"
// for text between tags. It runs nothing.
type template struct {
	parts []templatePart
}

// A templatePart is literal text or, where it has names, a field.
type templatePart struct {
	literal string
	filter  string
	names   []string // alternatives
}

const (
	filterNumber = "number"
	filterXML    = "xml"
)

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
	for _, p := range t.parts {
		if p.filter == filterNumber && len(t.parts) > 1 {
			return template{}, errors.New("a number has text around it")
		}
	}
	return t, nil
}

func parseField(field string, known scope) (templatePart, error) {
	var p templatePart
	field = strings.TrimSpace(field)
	if filter, names, found := strings.Cut(field, " "); found {
		p.filter, field = filter, names
		if filter != filterNumber && filter != filterXML {
			return p, fmt.Errorf("unknown filter %q", filter)
		}
	}
	for name := range strings.SplitSeq(field, "|") {
		name = strings.TrimSpace(name)
		if !known(name) {
			return p, fmt.Errorf("unknown field {{%s}}", name)
		}
		p.names = append(p.names, name)
	}
	return p, nil
}

// fields returns the names of all fields.
func (t template) fields() []string {
	var all []string
	for _, p := range t.parts {
		all = append(all, p.names...)
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

// renderWith renders with the fields' values escaped. The error
// may be errOmit.
func (t template) renderWith(get lookup, escape func(string) (string, error)) (string, error) {
	var b strings.Builder
	empty := len(t.parts) > 0
	for _, p := range t.parts {
		if p.names == nil {
			b.WriteString(p.literal)
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

func (p templatePart) value(get lookup) (string, error) {
	var value string
	for _, name := range p.names {
		v, err := get(name)
		if err != nil {
			return "", err
		}
		if v != "" {
			value = v
			break
		}
	}
	if p.filter == filterXML {
		var b strings.Builder
		err := xml.EscapeText(&b, []byte(value))
		return b.String(), err
	}
	return value, nil
}

func (t template) isNumber() bool { return len(t.parts) == 1 && t.parts[0].filter == filterNumber }

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
