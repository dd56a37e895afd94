package wording

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"maps"
	"strings"
	"sync"
)

// Purposes with built-in wording: values of Data.Purpose, and keys of
// Wording.Purposes.
const (
	SignIn  = "sign-in"
	SignUp  = "sign-up"
	Payment = "payment"
	Reset   = "reset" // of a password
)

// Wording is one language: the sentences from which every message is composed,
// and optional whole messages instead. All are text/template sources; HTML is
// an html/template source, because Brand, Code and Details come from outside
// and must be escaped for their place.
//
// A sentence must end with its own full stop and may use
//
//	{{.Code}} {{.Brand}} {{.Details}} {{.Language}}
//	{{.Life}}       as "5 minutes", from Minutes
//	{{.Minutes}}    the number alone
//	{{.Requested}}  as "2026-01-31 09:30 UTC", or ""
//	{{.Try}}        the number, or 0
//	{{.Link}}       the URL of Config.Link, or ""
//
// Brand, Details and Requested keep their order next to right-to-left text:
// isolates of Unicode (UAX #9) stand around them.
//
// A whole message may also use {{.Subject}}, {{.Dir}} ("ltr" or "rtl") and the
// finished sentences: {{.Say.Code}}, {{.Say.Life}} and so on. An omitted
// sentence is "". As paragraphs, {{.Say.Before}} and {{.Say.After}} stand
// around the code in the first, and {{range .Say.Rest}} are the others. So one
// HTML source can serve every language.
//
// In Config.Wordings, an empty field has the built-in wording of the same
// language ("pt-BR" uses "pt"). A language without built-in wording must have
// Minutes and every sentence, so that no Data is lost.
type Wording struct {
	Code      string `json:"code"`      // the first sentence; must have {{.Code}} among its first words
	Details   string `json:"details"`   // the object of the code; only if Data.Details is set
	Life      string `json:"life"`      // the life of the code
	Secret    string `json:"secret"`    // the advice not to share the code
	Requested string `json:"requested"` // only if Data.Requested is set
	Try       string `json:"try"`       // only if Data.Try is set
	Ignore    string `json:"ignore"`    // for a person who did not request the code; e-mail only
	Subject   string `json:"subject"`   // of the e-mail; one line
	Minutes   Plural `json:"minutes"`

	// "": Code, Details, Life, Secret, Requested, Try; the last line comes
	// after it either way
	SMS  string `json:"sms,omitempty"`
	Text string `json:"text,omitempty"` // "": the same in paragraphs, and Ignore
	HTML string `json:"html,omitempty"` // "": as Text, in a page of no colours or pictures

	// Purposes overrides the wording for codes of one purpose, by Data.Purpose:
	// 1 to 64 characters of printable ASCII. An empty field there has this
	// Wording's value. The built-in wordings have a Code sentence for each
	// built-in purpose; if a Wording sets Code, it replaces those as well.
	Purposes map[string]Wording `json:"purposes,omitempty"`
}

//go:embed wordings.json
var wordingsJSON []byte

// Languages returns the BCP 47 tags of the languages with built-in wording.
func Languages() []string {
	return strings.Fields("en fr de es it pt nl pl sv nb da fi ro bg uk ru tr ja ko zh id ms vi is ar hi sw ha yo " +
		"bn ur mr te ta fa th pa gu fil am zh-Hant")
}

// builtin returns the built-in wordings. The caller must not change them.
var builtin = sync.OnceValues(func() (map[string]Wording, error) {
	var words map[string]Wording
	d := json.NewDecoder(bytes.NewReader(wordingsJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(&words); err != nil {
		return nil, &Error{Field: "wordings.json", Reason: "is malformed", Err: err}
	}
	return words, nil
})

type source struct {
	name string
	text *string
}

func (w *Wording) sentences() []source {
	return []source{
		{"Code", &w.Code},
		{"Details", &w.Details},
		{"Life", &w.Life},
		{"Secret", &w.Secret},
		{"Requested", &w.Requested},
		{"Try", &w.Try},
		{"Ignore", &w.Ignore},
		{"Subject", &w.Subject},
	}
}

func (w *Wording) texts() []source {
	return append(w.sentences(), source{"SMS", &w.SMS}, source{"Text", &w.Text}, source{"HTML", &w.HTML})
}

// over returns w with its empty fields from base, a wording of the same
// language. It keeps the Purposes of base unless w has a Code of its own.
func (w Wording) over(base Wording) Wording {
	purposes := maps.Clone(w.Purposes)
	if w.Code == "" && purposes == nil {
		purposes = base.Purposes
	} else if w.Code == "" {
		for name, p := range base.Purposes {
			purposes[name] = purposes[name].filled(p)
		}
	}
	w = w.filled(base)
	w.Purposes = purposes
	return w
}

// filled returns w with its empty texts from base.
func (w Wording) filled(base Wording) Wording {
	from := base.texts()
	for i, s := range w.texts() {
		if *s.text == "" {
			*s.text = *from[i].text
		}
	}
	if w.Minutes == (Plural{}) {
		w.Minutes = base.Minutes
	}
	return w
}
