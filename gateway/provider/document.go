package provider

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

var errDocument = errors.New("is neither JSON nor XML")

// parseDocument reads a JSON document, or else an XML document, for paths. A
// byte order mark is skipped.
func parseDocument(body []byte) (any, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte{'<'}) {
		return parseXML(body)
	}
	return parseJSON(body)
}

func parseJSON(body []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // ids may be longer than a float64 is exact
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errDocument
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errDocument
	}
	return v, nil
}

// maxDepth bounds how deep the elements of an XML document are nested.
const maxDepth = 64

// parseXML reads an XML document as JSON would have it: an element is an object
// of its attributes and elements, a text if it has neither, and an array if
// there are several of its name.
func parseXML(body []byte) (any, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errDocument
		}
		if start, ok := token.(xml.StartElement); ok {
			v, err := parseElement(d, start, maxDepth)
			return map[string]any{start.Name.Local: v}, err
		}
	}
}

func parseElement(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	if depth == 0 {
		return nil, errDocument
	}
	members := map[string]any{}
	for _, a := range start.Attr {
		if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
			members[a.Name.Local] = a.Value
		}
	}
	var text strings.Builder
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errDocument
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			v, err := parseElement(d, token, depth-1)
			if err != nil {
				return nil, err
			}
			addMember(members, token.Name.Local, v)
		case xml.EndElement:
			if len(members) == 0 {
				return strings.TrimSpace(text.String()), nil
			}
			return members, nil
		}
	}
}

// addMember adds an element to its siblings, which are an array if several have
// its name.
func addMember(members map[string]any, name string, v any) {
	switch first := members[name].(type) {
	case nil:
		members[name] = v
	case []any:
		members[name] = append(first, v)
	default:
		members[name] = []any{first, v}
	}
}

// parseText reads plain text by a pattern, whose named groups are the members.
func parseText(pattern *regexp.Regexp, body []byte) any {
	found := pattern.FindSubmatch(bytes.TrimPrefix(body, []byte("\ufeff")))
	members := make(map[string]any, len(found))
	for i, name := range pattern.SubexpNames() {
		if found != nil && name != "" {
			members[name] = string(found[i])
		}
	}
	return members
}
