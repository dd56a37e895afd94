package wording_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp/wording"
)

// esperanto is a whole language that is not built in.
var esperanto = wording.Wording{
	Code:      "{{.Code}} estas via kodo de {{.Brand}}.",
	Details:   "Konfirmi: {{.Details}}.",
	Life:      "Ĝi validas {{.Life}}.",
	Secret:    "Ne diskonigu ĝin.",
	Requested: "Petita: {{.Requested}}.",
	Try:       "Mesaĝo {{.Try}}.",
	Ignore:    "Se vi ne petis la kodon, ignoru la mesaĝon.",
	Subject:   "Via kodo de {{.Brand}}",
	Minutes:   wording.Plural{One: "unu minuton", Other: "# minutojn"},
}

func TestAddedLanguage(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Default: "eo", Wordings: map[string]wording.Wording{"eo": esperanto}})
	for minutes, want := range map[int]string{1: "validas unu minuton.", 21: "validas 21 minutojn."} {
		text := render(t, s, wording.Data{Minutes: minutes})
		if !strings.Contains(text.SMS, want) || !strings.Contains(text.HTML, `lang="eo"`) {
			t.Errorf("%d: %q", minutes, text)
		}
	}
	if got, err := s.Language("eo-001, en;q=0.5", ""); got != "eo" || err != nil {
		t.Errorf("Language: %q, %v", got, err)
	}
}

func TestReplacedWording(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Brand: "MyBank", Wordings: map[string]wording.Wording{
		"en":    {Secret: "Tell no one."},
		"pt-PT": {Secret: "Não o partilhe."},
		"no":    {Subject: "Kode"},
		"de":    {HTML: `<p>{{.Say.Before}}<b>{{.Code}}</b>{{.Say.After}}{{range .Say.Rest}}<p>{{.}}{{end}}`},
	}})
	for lang, want := range map[string]string{
		"en":    "482910 is your MyBank code. It expires in 5 minutes. Tell no one.",
		"pt":    "482910 é o seu código MyBank. Vale 5 minutos. Não o divulgue.",
		"pt-PT": "482910 é o seu código MyBank. Vale 5 minutos. Não o partilhe.",
	} {
		if got := render(t, s, wording.Data{Language: lang}).SMS; got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
	}
	if got := render(t, s, wording.Data{Language: "nb"}).Subject; got != "Kode" {
		t.Errorf("nb: subject %q", got)
	}
	want := "<p><b>482910</b> ist Ihr Code für MyBank. Zu bestätigen: &lt;i&gt;.<p>" +
		"Er ist 5 Minuten gültig. Bitte nicht weitergeben." +
		"<p>Falls Sie diesen Code nicht angefordert haben, ignorieren Sie diese Nachricht."
	if got := render(t, s, wording.Data{Language: "de", Details: "<i>"}).HTML; got != want {
		t.Errorf("de: HTML %q, want %q", got, want)
	}
}

func TestBadWording(t *testing.T) {
	t.Parallel()
	incomplete := esperanto
	incomplete.Details = ""
	for _, c := range []struct {
		name, lang string
		w          wording.Wording
		field      string
	}{
		{"does not parse", "en", wording.Wording{SMS: "{{.Code"}, "Wording.SMS"},
		{"HTML does not parse", "en", wording.Wording{HTML: "{{end}}"}, "Wording.HTML"},
		{"unknown field", "fr", wording.Wording{Life: "{{.Lifetime}}"}, "Wording.Life"},
		{"unknown field behind a condition", "fr", wording.Wording{Text: "{{.Code}} {{if .Try}}{{.Trie}}{{end}}"},
			"Wording.Text"},
		{"unknown field of an optional sentence", "fr", wording.Wording{Requested: "{{.When}}"}, "Wording.Requested"},
		{"unknown function", "fr", wording.Wording{Subject: "{{shout .Brand}}"}, "Wording.Subject"},
		{"code missing in the sentence", "de", wording.Wording{Code: "Ihr Code für {{.Brand}}."}, "Wording.Code"},
		{"code grouped", "de", wording.Wording{Code: "{{slice .Code 0 3}} {{slice .Code 3}} für {{.Brand}}."},
			"Wording.Code"},
		{"code missing in HTML", "de", wording.Wording{HTML: "<p>{{.Brand}}"}, "Wording.HTML"},
		{"ambiguous HTML", "de", wording.Wording{HTML: "<p {{if .Try}}title='{{end}}>{{.Code}}"}, "Wording.HTML"},
		{"two lines of subject", "de", wording.Wording{Subject: "Code\r\nBcc: x@y.example"}, "Wording.Subject"},
		{"sentence missing", "eo", incomplete, "Wording.Details"},
		{"nothing at all", "eo", wording.Wording{}, "Wording.Code"},
		{"plural form missing", "pl", wording.Wording{Minutes: wording.Plural{One: "# minutę", Other: "# minuty"}},
			"Wording.Minutes"},
		{"no other", "en", wording.Wording{Minutes: wording.Plural{One: "a minute"}}, "Wording.Minutes"},
	} {
		_, err := wording.New(wording.Config{Brand: brand, Wordings: map[string]wording.Wording{c.lang: c.w}})
		wantField(t, c.name, err, c.field)
		var e *wording.Error
		if errors.As(err, &e) && e.Language != c.lang {
			t.Errorf("%s: error names language %q, want %q", c.name, e.Language, c.lang)
		}
	}
	for _, keys := range [][]string{{"klingon"}, {""}, {"und"}, {strings.Repeat("a-", 1000)}, {"id", "in"}} {
		w := map[string]wording.Wording{}
		for _, k := range keys {
			w[k] = wording.Wording{}
		}
		_, err := wording.New(wording.Config{Brand: brand, Wordings: w})
		wantField(t, strings.Join(keys, "+"), err, "Config.Wordings")
	}
}

// A wording that leaves the details out must not carry a message whose details
// the person confirms.
func TestDetailsNotShown(t *testing.T) {
	t.Parallel()
	s := newSet(t,
		wording.Config{Wordings: map[string]wording.Wording{"en": {SMS: "{{.Code}} is your {{.Brand}} code."}}})
	render(t, s, wording.Data{})
	_, err := s.Render(wording.Data{Code: code, Minutes: 5, Details: "EUR 20.00, Bob"})
	wantField(t, "details", err, "Data.Details")
	render(t, s, wording.Data{Language: "fr", Details: "EUR 20.00, Bob"})
}

// A message that lacks the code, or the details, for some data only is caught
// when that data comes; the last line does not count.
func TestNotShownForSomeData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sms string
		data      wording.Data
		field     string
	}{
		{"long lives", "{{if gt .Minutes 20}}hi{{else}}{{.Code}}{{end}} code", wording.Data{Code: code, Minutes: 25},
			"Wording.SMS"},
		{"details of a first try", "{{.Code}} code{{if .Try}} {{.Details}}{{end}}", wording.Data{Code: code, Minutes: 5,
			Details: "EUR 20.00, Bob & Co's"}, "Data.Details"},
	} {
		s := newSet(t, wording.Config{Origin: "example.com", Wordings: map[string]wording.Wording{"en": {SMS: c.sms}}})
		_, err := s.Render(c.data)
		wantField(t, c.name, err, c.field)
	}
	if _, err := wording.New(wording.Config{Brand: "MyBank", Origin: "example.com",
		Wordings: map[string]wording.Wording{"en": {SMS: "hello"}}}); err == nil {
		t.Error("an SMS whose code is in its last line only passes")
	}
	s := newSet(t, wording.Config{Wordings: map[string]wording.Wording{"en": {HTML: "<p>{{.Code}} {{.Details}}</p>"}}})
	render(t, s, wording.Data{Details: "+10 EUR <to> Bob & Co's"})
}

// What fails only for some data is an error of Render. It names the place, and
// what the template says about it only where that cannot be the code.
func TestRenderFails(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Wordings: map[string]wording.Wording{
		"en": {SMS: "{{.Code}} {{if gt .Minutes 30}}{{slice .Brand 482910}}{{end}}"},
		"fr": {Subject: "{{if gt .Minutes 30}}\n{{end}}Code"},
	}})
	for _, c := range []struct {
		lang, code, field string
		quoted            bool
	}{
		{"en", "111111", "Wording.SMS", true},
		{"en", "482910", "Wording.SMS", false},
		{"fr", "482910", "Wording.Subject", false},
	} {
		_, err := s.Render(wording.Data{Language: c.lang, Code: c.code, Minutes: 31})
		wantField(t, c.lang, err, c.field)
		if err != nil && strings.Contains(err.Error(), "482910") != c.quoted {
			t.Errorf("%s, code %s: %v", c.lang, c.code, err)
		}
		// The scratch of a failed Render serves the next.
		render(t, s, wording.Data{Language: c.lang})
	}
}

// TestTable keeps the table in the form that an editor of it may rely on.
func TestTable(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("wordings.json")
	if err != nil {
		t.Fatal(err)
	}
	var table map[string]wording.Wording
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	if len(table) != len(wording.Languages()) {
		t.Errorf("%d languages in the table, %d in Languages", len(table), len(wording.Languages()))
	}
	for _, lang := range wording.Languages() {
		w, ok := table[lang]
		if !ok {
			t.Errorf("%s is not in the table", lang)
		}
		for _, want := range []struct{ sentence, field string }{
			{w.Code, "{{.Code}}"}, {w.Code, "{{.Brand}}"}, {w.Details, "{{.Details}}"}, {w.Life, "{{.Life}}"},
			{w.Requested, "{{.Requested}}"}, {w.Try, "{{.Try}}"}, {w.Subject, "{{.Brand}}"},
		} {
			if !strings.Contains(want.sentence, want.field) {
				t.Errorf("%s: %q lacks %s", lang, want.sentence, want.field)
			}
		}
		for _, sentence := range []string{w.Code, w.Details, w.Life, w.Secret, w.Requested, w.Try, w.Ignore} {
			// Thai has no full stop.
			if end := []rune(sentence); lang != "th" && !slices.Contains([]rune(".。।۔።"), end[len(end)-1]) {
				t.Errorf("%s: no full stop: %q", lang, sentence)
			}
		}
		if w.SMS != "" || w.Text != "" || w.HTML != "" {
			t.Errorf("%s: a whole message in the table", lang)
		}
	}
}
