package wording

import (
	"maps"
	"slices"
	"sync"
	texttemplate "text/template"
	"time"

	"golang.org/x/text/language"
)

// Config sets the brand and the form of a Set's texts.
type Config struct {
	// Brand is the sender's name, as the person knows it. Required: 1 to 32
	// characters on one line.
	Brand string
	// Default is the language if none is requested and the region gives none.
	// "" is "en".
	Default string
	// Wordings replaces or adds languages, by BCP 47 tag. nil changes nothing.
	Wordings map[string]Wording
	// AppHash is the hash from [AppHash], of 11 characters. Every SMS ends with
	// it on a line of its own, so that SMS Retriever passes the code to that
	// Android app. SMS Retriever reads at most 140 octets, one segment. A
	// longer SMS is folded, as with Fold. If it is still longer, sentences are
	// left out until it fits: the purpose, Try, Requested, Life, Secret. If the
	// SMS is still too long, for example because of long Details, it is sent
	// whole, and Lint warns of it. "" is none.
	AppHash string
	// Origin is a host name and binds the code to a web site. Every SMS ends
	// with the line "@example.com #482910" without a line break, as in the WICG
	// draft "Origin-bound one-time codes delivered via SMS". With AppHash the
	// hash is on that line too, after a space: browsers ignore the text after
	// the code. "" is none.
	Origin string
	// Fold makes an SMS GSM-7 if GSM-7 has a near character for each of its
	// characters, at the price of spelling ("codigo"): see sms.Fold. It saves
	// segments in Spanish, Portuguese, Polish, Romanian, Turkish, Vietnamese,
	// Icelandic and Yoruba. E-mails are not folded. Default: false.
	Fold bool
	// Link is a URL that the e-mail shows with the code, for the page on which
	// the person types it. It is a text/template source with {{.ChallengeID}},
	// and optionally {{.Code}} and {{.Language}}, each escaped for a URL. It
	// must be https, and its host must not depend on the data. "" is none.
	//
	//	https://mybank.example/verify?id={{.ChallengeID}}&code={{.Code}}
	//
	// The page must not verify on GET. Mail scanners and previews fetch the
	// links of a mail. They would use the code up before the person sees it, or
	// confirm a payment that nobody has seen. The page must show the details of
	// the code, with a button whose POST verifies. A code in a URL also gets
	// into histories and logs. To avoid that, use {{.ChallengeID}} alone, and
	// let the person type the code.
	Link string
}

// Data is the content of one message. If an optional field is zero, its
// sentence is left out.
type Data struct {
	Language  string    // a tag as [Set.Language] returns it; "" is the Set's default
	Code      string    // 4 to 32 characters of printable ASCII, no spaces
	Minutes   int       // rest of the code's life: 1 to 10080
	Try       int       // number of the message for this challenge: 1 to 99; optional
	Requested time.Time // time of the request, shown to the minute in UTC; optional
	// Details describes the act that the code confirms, for example the amount and payee of
	// a payment. It must be one line of at most 200 characters. It may have
	// isolates of Unicode (UAX #9), each with its end, but no other
	// bidirectional control. Optional.
	Details string
	// Purpose is the use of the code: [SignIn], another built-in purpose, or a
	// key of Wording.Purposes. Any other value is worded as "". An SMS names a
	// built-in purpose only if that costs no segment. Optional.
	Purpose string
	// ChallengeID is for Config.Link, which requires it: at most 128 characters
	// of printable ASCII, without spaces. Optional without a Link.
	ChallengeID string
}

// Text is a message in all its forms, in UTF-8 with "\n" line ends.
type Text struct {
	SMS     string
	Subject string // one line, without the code unless a Wording puts it there
	Body    string // of an e-mail, text/plain
	HTML    string // of an e-mail, text/html: a whole page
}

// Set is the wording of every language for one Config. It never changes and is
// safe for concurrent use.
type Set struct {
	brand    string
	origin   string
	appHash  string
	fold     bool
	link     *texttemplate.Template
	fallback string // the default language
	words    map[string]*words
	names    []string // the languages; tags has the same order
	tags     []language.Tag

	hasRegional bool // a wording is for one country
}

// New checks c, parses its wording and renders each text of Config.Wordings
// once with and once without the optional parts. If it is wrong, the [*Error]
// names the language and the field. Causes are a source that does not parse or
// execute, a message without its code, and a missing sentence or plural form.
func New(c Config) (*Set, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Set{brand: c.Brand, origin: c.Origin, appHash: c.AppHash, fold: c.Fold}
	var err error
	if s.link, err = parseLink(c.Link); err != nil {
		return nil, err
	}
	ready, err := prepared()
	if err != nil {
		return nil, err
	}
	s.words = maps.Clone(ready)
	own, err := s.add(c.Wordings)
	if err != nil {
		return nil, err
	}
	if err := s.index(c.Default); err != nil {
		return nil, err
	}
	for _, name := range s.names {
		if !own[name] {
			continue
		}
		if err := s.try(s.words[name]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// prepared returns the compiled built-in wordings. The caller must not change
// them.
var prepared = sync.OnceValues(func() (map[string]*words, error) {
	all, err := builtin()
	if err != nil {
		return nil, err
	}
	ready := make(map[string]*words, len(all))
	for name, w := range all {
		if ready[name], err = compile(name, w, w); err != nil {
			return nil, err
		}
	}
	return ready, nil
})

// add merges wordings with the built-in ones, and returns the names of their
// languages.
func (s *Set) add(wordings map[string]Wording) (map[string]bool, error) {
	all, err := builtin()
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(wordings)) {
		tag, name, err := canonical(key)
		switch {
		case err != nil || tag == language.Und:
			return nil, &Error{Field: "Config.Wordings", Reason: "has a key that is not a BCP 47 tag", Err: ErrLanguage}
		case own[name]:
			return nil, &Error{Language: name, Field: "Config.Wordings", Reason: "has this language twice"}
		}
		own[name] = true
		w, base := wordings[key], Wording{}
		for ; tag != language.Und; tag = tag.Parent() {
			if b, ok := all[tag.String()]; ok {
				w, base = w.over(b), b
				break
			}
		}
		if s.words[name], err = compile(name, w, base); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// index orders the languages: the default first, then the built-in ones, then
// the others by tag. No choice may depend on the order of a map.
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
		tag := language.Make(n)
		s.tags = append(s.tags, tag)
		_, _, region := tag.Raw()
		s.hasRegional = s.hasRegional || region != (language.Region{})
	}
	return nil
}
