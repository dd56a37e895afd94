package wording

import (
	htmltemplate "html/template"
	"maps"
	"slices"
	"strings"
	texttemplate "text/template"

	"golang.org/x/text/language"
)

// words is a compiled Wording: of a language, or of a purpose in it.
type words struct {
	language, dir string
	lineHeight    string // of a mail
	purpose       string
	minutes       Plural
	rule          func(int) category
	say           [8]sentence // in the order of Wording.sentences
	sms, text     *texttemplate.Template
	html          *htmltemplate.Template

	purposes map[string]*words
	// general is set for a purpose with the built-in Code. It is the wording of
	// the language, whose Code takes less room in an SMS.
	general *words
}

// sentence is a source: its parts, its template if it has more than these, or its text if
// it has no action.
type sentence struct {
	field  string
	source string
	parts  []part
	tmpl   *texttemplate.Template // nil if there are parts: a template takes much memory
}

// field returns the name of a Wording's field, for errors.
func (c *words) field(name string) string {
	if c.purpose != "" {
		return "Wording.Purposes[" + c.purpose + "]." + name
	}
	return "Wording." + name
}

// compile prepares the wording of a language, with its purposes. Base is the
// built-in wording under w.
func compile(name string, w, base Wording) (*words, error) {
	tag := language.Make(name)
	lang, _ := tag.Base()
	c := &words{language: name, dir: direction(tag), lineHeight: "1.5", rule: pluralRule(lang.String())}
	if lang.String() == "ur" { // phones use Nastaliq, whose lines are high
		c.lineHeight = "1.9"
	}
	if err := c.parse(w, nil); err != nil {
		return nil, err
	}
	c.purposes = make(map[string]*words, len(w.Purposes))
	for _, purpose := range slices.Sorted(maps.Keys(w.Purposes)) {
		p := w.Purposes[purpose]
		switch {
		case purpose == "" || len(purpose) > maxPurpose || !isPrintable(purpose):
			return nil, &Error{Language: name, Field: "Wording.Purposes",
				Reason: "has a key that is not 1 to 64 characters of printable ASCII"}
		case p.Purposes != nil:
			return nil, &Error{Language: name, Field: "Wording.Purposes", Reason: "has purposes within " + purpose}
		}
		own := &words{language: name, dir: c.dir, lineHeight: c.lineHeight, rule: c.rule, purpose: purpose}
		if p.Code != "" && p.Code == base.Purposes[purpose].Code {
			own.general = c
		}
		if err := own.parse(p.filled(w), c); err != nil {
			return nil, err
		}
		c.purposes[purpose] = own
	}
	return c, nil
}

// parse parses the sources of w. If general has parsed a source already, its
// result is used.
func (c *words) parse(w Wording, general *words) error {
	for i, src := range w.sentences() {
		if strings.TrimSpace(*src.text) == "" {
			return c.fault(src.name, "is missing", nil)
		}
		if general != nil && general.say[i].source == *src.text {
			c.say[i] = general.say[i]
			continue
		}
		c.say[i] = sentence{field: src.name, source: *src.text}
		if !strings.Contains(*src.text, "{{") {
			continue
		}
		t, err := c.parseText(src.name, *src.text)
		if err != nil {
			return err
		}
		if c.say[i].parts = partsOf(t); c.say[i].parts == nil {
			c.say[i].tmpl = t
		}
	}
	var missing string
	if c.minutes, missing = w.Minutes.complete(c.rule); missing != "" {
		return c.fault("Minutes", "lacks the form "+missing, nil)
	}
	return c.parseWhole(w)
}

func (c *words) parseWhole(w Wording) (err error) {
	if w.SMS != "" {
		if c.sms, err = c.parseText("SMS", w.SMS); err != nil {
			return err
		}
	}
	if w.Text != "" {
		if c.text, err = c.parseText("Text", w.Text); err != nil {
			return err
		}
	}
	if w.HTML != "" {
		c.html, err = htmltemplate.New("HTML").Option("missingkey=error").Parse(w.HTML)
		if err != nil {
			return c.fault("HTML", "does not parse", err)
		}
	}
	return nil
}

func (c *words) parseText(field, src string) (*texttemplate.Template, error) {
	t, err := texttemplate.New(field).Option("missingkey=error").Parse(src)
	if err != nil {
		return nil, c.fault(field, "does not parse", err)
	}
	return t, nil
}

func (c *words) fault(field, reason string, cause error) *Error {
	return &Error{Language: c.language, Field: c.field(field), Reason: reason, Err: cause}
}
