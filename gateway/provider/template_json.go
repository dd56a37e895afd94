package provider

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A jsonTemplate is a JSON value whose strings are templates. What is rendered
// is encoded as a whole, so that no value of a field can end a string.
type jsonTemplate struct {
	text    *template
	members map[string]jsonTemplate
	only    *template // the object is left out if this is empty; nil: it is not
	items   []jsonTemplate
	literal any // number, bool, null, or an empty object or array
}

// onlyWith names the member of an object that tells whether the object is there.
const onlyWith = "?"

func parseJSONTemplate(v any, known scope) (jsonTemplate, string, error) {
	switch v := v.(type) {
	case string:
		t, err := parseTemplate(v, known)
		return jsonTemplate{text: &t}, "", err
	case map[string]any:
		object := jsonTemplate{members: make(map[string]jsonTemplate, len(v))}
		for name, member := range v {
			t, at, err := parseJSONTemplate(member, known)
			if err != nil {
				return jsonTemplate{}, "." + name + at, err
			}
			if name == onlyWith && t.text != nil {
				object.only = t.text
				continue
			}
			object.members[name] = t
		}
		return object, "", nil
	case []any:
		items := make([]jsonTemplate, 0, len(v))
		for i, item := range v {
			t, at, err := parseJSONTemplate(item, known)
			if err != nil {
				return jsonTemplate{}, "[" + strconv.Itoa(i) + "]" + at, err
			}
			items = append(items, t)
		}
		return jsonTemplate{items: items}, "", nil
	}
	return jsonTemplate{literal: v}, "", nil
}

func (t jsonTemplate) render(get lookup) (any, error) {
	switch {
	case t.text != nil:
		return t.text.renderJSON(get)
	case t.members != nil:
		if t.only != nil {
			if value, err := t.only.render(get); err != nil || value == "" {
				return nil, cmp.Or(err, errOmit)
			}
		}
		object := make(map[string]any, len(t.members))
		for name, member := range t.members {
			v, err := member.render(get)
			if errors.Is(err, errOmit) {
				continue
			}
			if err != nil {
				return nil, err
			}
			object[name] = v
		}
		return object, nil
	case t.items != nil:
		array := make([]any, 0, len(t.items))
		for _, item := range t.items {
			v, err := item.render(get)
			if errors.Is(err, errOmit) {
				continue
			}
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		return array, nil
	}
	return t.literal, nil
}

func (t template) renderJSON(get lookup) (any, error) {
	s, err := t.render(get)
	if err != nil || !t.isNumber() {
		return s, err
	}
	return json.Number(s), nil
}

// isNumber reports whether s is a number as JSON writes it (RFC 8259 §6).
func isNumber(s string) bool {
	return s != "" && !slices.Contains([]byte{'"', '{', '[', 't', 'f', 'n'}, s[0]) &&
		strings.TrimSpace(s) == s && json.Valid([]byte(s))
}
