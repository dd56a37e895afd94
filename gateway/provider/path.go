package provider

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// A path finds a value in a JSON document: "data.messages.*.status". A name is
// a member of an object, a number an item of an array, "*" each item, of which
// the first that has a value counts. "a|b" is a or else b; "a+b" joins both by
// "+", without the last of them where it is missing.
type path struct {
	alternatives [][][]string
}

var errPath = errors.New(`is no path such as "data.id"`)

func parsePath(text string) (path, error) {
	p := path{}
	for alternative := range strings.SplitSeq(text, "|") {
		var joined [][]string
		for one := range strings.SplitSeq(alternative, "+") {
			steps := strings.Split(strings.TrimSpace(one), ".")
			for _, step := range steps {
				if step == "" {
					return path{}, errPath
				}
			}
			joined = append(joined, steps)
		}
		p.alternatives = append(p.alternatives, joined)
	}
	return p, nil
}

func (p path) set() bool { return p.alternatives != nil }

// find returns the value as text, empty where there is none.
func (p path) find(document any) string {
	for _, joined := range p.alternatives {
		values := make([]string, 0, len(joined))
		for _, steps := range joined {
			values = append(values, firstText(document, steps))
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

// all returns the values that the first alternative leads to.
func (p path) all(document any) []any {
	var found []any
	walk(document, p.alternatives[0][0], func(v any) bool {
		found = append(found, v)
		return true
	})
	return found
}

func firstText(document any, steps []string) (text string) {
	walk(document, steps, func(v any) bool {
		text = scalar(v)
		return text == ""
	})
	return text
}

// walk visits what steps lead to until visit returns false.
func walk(v any, steps []string, visit func(any) bool) bool {
	if len(steps) == 0 {
		return visit(v)
	}
	switch v := v.(type) {
	case map[string]any:
		if member, ok := v[steps[0]]; ok {
			return walk(member, steps[1:], visit)
		}
	case []any:
		if steps[0] == "*" {
			for _, item := range v {
				if !walk(item, steps[1:], visit) {
					return false
				}
			}
		} else if i, err := strconv.Atoi(steps[0]); err == nil && i >= 0 && i < len(v) {
			return walk(v[i], steps[1:], visit)
		}
	}
	return true
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

// parseDocument reads a JSON document for paths.
func parseDocument(body []byte) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber() // ids may be longer than a float64 is exact
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return v, nil
}
