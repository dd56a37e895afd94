package wording

import (
	htmltemplate "html/template"
	"maps"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
	"time"

	"golang.org/x/text/language"
)

// Config says whose codes a Set words, and how.
type Config struct {
	// Brand is the name the person knows the sender by. Required: 1 to 32
	// characters on one line.
	Brand string
	// Default is the language when none is asked for and the region gives
	// none. "" is "en".
	Default string
	// Wordings replaces or adds languages, by BCP 47 tag. nil changes nothing.
	Wordings map[string]Wording
	// AppHash, of 11 characters as [AppHash] computes them, ends every SMS on
	// a line of its own, so that SMS Retriever hands the code to that Android
	// app. It wants the message in one segment. "" is none.
	AppHash string
	// Origin, a host name, binds the code to a web site: every SMS ends with
	// the line "@example.com #482910" and no line break, after the WICG draft
	// "Origin-bound one-time codes delivered via SMS". With AppHash the hash
	// stands on that line too, after a space: browsers ignore what follows the
	// code. "" is none.
	Origin string
}

// Data is one message. The zero value of an optional field leaves out what
// would be said of it.
type Data struct {
	Language  string    // a tag as [Set.Language] returns it; "" is the Set's default
	Code      string    // 4 to 32 characters of printable ASCII, no spaces
	Minutes   int       // how long the code still lives: 1 to 10080
	Try       int       // which message for this challenge it is: 1 to 99; optional
	Requested time.Time // when the code was asked for, said to the minute in UTC; optional
	// what the code confirms, as the amount and payee of a payment: one line of at most 200 characters; optional
	Details string
}

// Text is a message in all its forms, in UTF-8 with "\n" line ends.
type Text struct {
	SMS     string
	Subject string // one line, without the code unless a Wording puts it there
	Body    string // of an e-mail, text/plain
	HTML    string // of an e-mail, text/html: a whole page
}

// Set is the wording of every language for one Config. It does not change and
// is safe for concurrent use.
type Set struct {
	brand    string
	origin   string
	appHash  string
	fallback string // the default language
	words    map[string]*words
	names    []string // the languages; tags has the same order
	tags     []language.Tag
	matcher  language.Matcher
	scratch  sync.Pool
}

// New checks c, parses its wording and renders each text of each language once
// with and once without the optional parts. Its [*Error] names the language
// and the field: a source that does not parse or execute, a message that does
// not show its code, a missing sentence or plural form.
func New(c Config) (*Set, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Set{brand: c.Brand, origin: c.Origin, appHash: c.AppHash, words: map[string]*words{}}
	s.scratch.New = func() any { return new(scratch) }
	given, err := merged(c.Wordings)
	if err != nil {
		return nil, err
	}
	for name, w := range given {
		if s.words[name], err = compile(name, w); err != nil {
			return nil, err
		}
	}
	if err := s.index(c.Default); err != nil {
		return nil, err
	}
	for _, name := range s.names {
		if err := s.try(s.words[name]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// merged returns the built-in wordings with own laid over them.
func merged(own map[string]Wording) (map[string]Wording, error) {
	all, err := builtin()
	if err != nil {
		return nil, err
	}
	base := maps.Clone(all)
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		tag, name, err := canonical(key)
		switch {
		case err != nil || tag == language.Und:
			return nil, &Error{Field: "Config.Wordings", Reason: "has a key that is not a BCP 47 tag", Err: ErrLanguage}
		case seen[name]:
			return nil, &Error{Language: name, Field: "Config.Wordings", Reason: "has this language twice"}
		}
		seen[name] = true
		w := own[key]
		for ; tag != language.Und; tag = tag.Parent() {
			if b, ok := base[tag.String()]; ok {
				w = w.over(b)
				break
			}
		}
		all[name] = w
	}
	return all, nil
}

// index orders the languages for the matcher: the default first, then the
// built-in ones, so that the choice does not depend on the order of a map.
func (s *Set) index(def string) error {
	if def == "" {
		def = "en"
	}
	_, name, err := canonical(def)
	if err != nil || s.words[name] == nil {
		return &Error{Field: "Config.Default", Reason: "has no wording", Err: ErrLanguage}
	}
	s.fallback = name
	s.names = append([]string{name}, Languages()...)
	s.names = append(s.names, slices.Sorted(maps.Keys(s.words))...)
	seen := map[string]bool{}
	s.names = slices.DeleteFunc(s.names, func(n string) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
	for _, n := range s.names {
		s.tags = append(s.tags, language.Make(n))
	}
	s.matcher = language.NewMatcher(s.tags)
	return nil
}

// words is a Wording made ready.
type words struct {
	language, dir string
	minutes       Plural
	rule          func(int) category
	say           [8]sentence // in the order of Wording.sentences
	sms, text     *texttemplate.Template
	html          *htmltemplate.Template
}

// sentence is a source: its template, or its text if it has no action.
type sentence struct {
	field string
	text  string
	tmpl  *texttemplate.Template
}

func compile(name string, w Wording) (*words, error) {
	tag := language.Make(name)
	base, _ := tag.Base()
	c := &words{language: name, dir: direction(tag), rule: pluralRule(base.String())}
	for i, src := range w.sentences() {
		if strings.TrimSpace(*src.text) == "" {
			return nil, &Error{Language: name, Field: "Wording." + src.name, Reason: "is missing"}
		}
		c.say[i] = sentence{field: src.name, text: *src.text}
		if !strings.Contains(*src.text, "{{") {
			continue
		}
		var err error
		if c.say[i].tmpl, err = parseText(name, src.name, *src.text); err != nil {
			return nil, err
		}
	}
	var missing string
	if c.minutes, missing = w.Minutes.complete(c.rule); missing != "" {
		return nil, &Error{Language: name, Field: "Wording.Minutes", Reason: "lacks the form " + missing}
	}
	return c, c.parseWhole(w)
}

func (c *words) parseWhole(w Wording) (err error) {
	if w.SMS != "" {
		if c.sms, err = parseText(c.language, "SMS", w.SMS); err != nil {
			return err
		}
	}
	if w.Text != "" {
		if c.text, err = parseText(c.language, "Text", w.Text); err != nil {
			return err
		}
	}
	if w.HTML != "" {
		c.html, err = htmltemplate.New("HTML").Option("missingkey=error").Parse(w.HTML)
		if err != nil {
			return &Error{Language: c.language, Field: "Wording.HTML", Reason: "does not parse", Err: err}
		}
	}
	return nil
}

func parseText(lang, field, src string) (*texttemplate.Template, error) {
	t, err := texttemplate.New(field).Option("missingkey=error").Parse(src)
	if err != nil {
		return nil, &Error{Language: lang, Field: "Wording." + field, Reason: "does not parse", Err: err}
	}
	return t, nil
}
