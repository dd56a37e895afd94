package provider

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
)

// A path finds values in a document: "data.messages.*.status". A name is a member
// of an object, a number an item of an array, "*" each item or member, and
// "name=text" each of them whose member has that text. "{to}" and "{digits}" in a
// step are the recipient's number. "header:X-Id" is a header. "a|b" is a or else
// b; "a+b" joins both by "+", without the last of them if it is missing.
type path struct {
	alternatives [][]steps
}

// steps lead to a value. The first may be a header.
type steps []string

const headerStep = "header:"

var errPath = errors.New(`is no path such as "data.id"`)

func parsePath(text string) (path, error) {
	p := path{}
	for alternative := range strings.SplitSeq(text, "|") {
		var joined []steps
		for one := range strings.SplitSeq(alternative, "+") {
			one = strings.TrimSpace(one)
			if name, ok := strings.CutPrefix(one, headerStep); ok {
				if !isHeaderName(name) {
					return path{}, errPath
				}
				joined = append(joined, steps{one})
				continue
			}
			s := steps(strings.Split(one, "."))
			if slices.Contains(s, "") {
				return path{}, errPath
			}
			joined = append(joined, s)
		}
		p.alternatives = append(p.alternatives, joined)
	}
	return p, nil
}

func (p path) set() bool { return p.alternatives != nil }

// A document is an answer or a webhook, as paths see it.
type document struct {
	root   any // as encoding/json decodes it; nil: nothing can be read
	header http.Header
	to     *channel.Recipient // of the message that it answers; nil: unknown
}

// find returns the value as text, empty if there is none.
func (p path) find(d document) string {
	for _, joined := range p.alternatives {
		values := make([]string, 0, len(joined))
		for _, s := range joined {
			values = append(values, d.first(s))
		}
		for len(values) > 0 && values[len(values)-1] == "" {
			values = values[:len(values)-1]
		}
		if len(values) > 0 {
			return strings.Join(values, "+")
		}
	}
	return ""
}

// texts returns the texts that the first alternative leads to that has any, a
// joined one as find has it.
func (p path) texts(d document) []string {
	for _, joined := range p.alternatives {
		if len(joined) > 1 {
			if text := (path{[][]steps{joined}}).find(d); text != "" {
				return []string{text}
			}
			continue
		}
		var all []string
		d.visit(joined[0], func(v any) bool {
			if text := scalar(v); text != "" {
				all = append(all, text)
			}
			return true
		})
		if all != nil {
			return all
		}
	}
	return nil
}

// each returns a document for each value that the path leads to.
func (p path) each(d document) []document {
	var found []document
	d.visit(p.alternatives[0][0], func(v any) bool {
		found = append(found, document{v, d.header, d.to})
		return true
	})
	return found
}

func (d document) first(s steps) (text string) {
	d.visit(s, func(v any) bool {
		text = scalar(v)
		return text == ""
	})
	return text
}

// visit visits what steps lead to until visit returns false.
func (d document) visit(s steps, visit func(any) bool) {
	if name, ok := strings.CutPrefix(s[0], headerStep); ok {
		if value := d.header.Get(name); value != "" {
			visit(value)
		}
		return
	}
	if d.to != nil && strings.Contains(strings.Join(s, ""), "{") {
		number := strings.NewReplacer("{to}", d.to.Phone, "{digits}", strings.TrimPrefix(d.to.Phone, "+"))
		s = slices.Clone(s)
		for i := range s {
			s[i] = number.Replace(s[i])
		}
	}
	walk(d.root, s, visit)
}

// walk visits what steps lead to until visit returns false.
func walk(v any, s steps, visit func(any) bool) bool {
	if len(s) == 0 {
		return visit(v)
	}
	name, text, selects := strings.Cut(s[0], "=")
	if s[0] == "*" || selects {
		for _, item := range items(v) {
			if selects && scalar(member(item, name)) != text {
				continue
			}
			if !walk(item, s[1:], visit) {
				return false
			}
		}
		return true
	}
	if found := member(v, s[0]); found != nil {
		return walk(found, s[1:], visit)
	}
	return true
}

// items returns the items of an array, or the members of an object by name.
func items(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case map[string]any:
		all := make([]any, 0, len(v))
		for _, name := range sortedKeys(v) {
			all = append(all, v[name])
		}
		return all
	}
	return nil
}

// member returns a member of an object or an item of an array; nil: none.
func member(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[name]
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
