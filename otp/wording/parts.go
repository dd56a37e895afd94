package wording

import (
	"strconv"
	texttemplate "text/template"
	"text/template/parse"
)

// A part of a sentence is a text and, after it, a field unless that is nil. Most
// templates are only these, and executing them takes a tenth of the time that package
// template needs.
type part struct {
	text  string
	field func(*fields) string
}

// partFields are the fields that a sentence may name, as a template writes them.
var partFields = map[string]func(*fields) string{
	"Language":  func(f *fields) string { return f.Language },
	"Dir":       func(f *fields) string { return f.Dir },
	"Brand":     func(f *fields) string { return f.Brand },
	"Code":      func(f *fields) string { return f.Code },
	"Details":   func(f *fields) string { return f.Details },
	"Minutes":   func(f *fields) string { return strconv.Itoa(f.Minutes) },
	"Try":       func(f *fields) string { return strconv.Itoa(f.Try) },
	"Life":      func(f *fields) string { return f.Life },
	"Requested": func(f *fields) string { return f.Requested },
	"Link":      func(f *fields) string { return f.Link },
}

// partsOf returns the parts of a template, nil if it has anything else.
func partsOf(t *texttemplate.Template) (parts []part) {
	for _, node := range t.Root.Nodes {
		p := part{}
		switch n := node.(type) {
		case *parse.TextNode:
			p.text = string(n.Text)
		case *parse.ActionNode:
			p.field = partFields[fieldOf(n)]
			if p.field == nil {
				return nil
			}
		default:
			return nil
		}
		parts = append(parts, p)
	}
	return parts
}

// fieldOf returns the name of the field that is all of an action, or "".
func fieldOf(n *parse.ActionNode) string {
	if len(n.Pipe.Decl) > 0 || len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 {
		return ""
	}
	f, ok := n.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok || len(f.Ident) != 1 {
		return ""
	}
	return f.Ident[0]
}
