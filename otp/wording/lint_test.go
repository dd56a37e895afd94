package wording_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otpcourier/otpcourier/otp/wording"
)

func lint(tb testing.TB, c wording.Config) map[string]wording.Warning {
	tb.Helper()
	found := map[string]wording.Warning{}
	for _, w := range newSet(tb, c).Lint() {
		found[w.Language] = w
	}
	return found
}

func TestLint(t *testing.T) {
	t.Parallel()
	found := lint(t, wording.Config{})
	ucs2 := 0
	for _, w := range found {
		if w.UCS2 {
			ucs2++
		}
	}
	if ucs2 != 27 {
		t.Errorf("%d warnings, want one for each of the 27 languages that GSM-7 lacks letters of", ucs2)
	}
	want := wording.Warning{Language: "es", UCS2: true, Char: 'ó', Units: 69, Segments: 1,
		NoAutofill: []string{"Android 16"}}
	if diff := cmp.Diff(want, found["es"]); diff != "" {
		t.Errorf("es (-want +got):\n%s", diff)
	}
	if s := want.String(); s != "es: needs UCS-2 for 'ó', 69 units in 1 segment, no autofill by Android 16" {
		t.Errorf("String: %q", s)
	}

	if first := newSet(t, wording.Config{Default: "ja"}).Lint()[0]; first.Language != "ja" {
		t.Errorf("the default language is not the first: %v", first)
	}

	bound := lint(t, wording.Config{Brand: "MyBank", Origin: "example.com"})
	for lang, segments := range map[string]int{"zh": 1, "ja": 1, "ko": 1, "ru": 2} {
		if bound[lang].Segments != segments {
			t.Errorf("with an origin: %v, want %d segments", bound[lang], segments)
		}
	}

	// One letter of the brand costs every language its GSM-7.
	if found := lint(t, wording.Config{Brand: "Crédit Côte"}); len(found) != 41 || found["en"].Char != 'ô' {
		t.Errorf("brand with ô: %d warnings, en: %v", len(found), found["en"])
	}
	long := lint(t, wording.Config{Brand: strings.Repeat("B", 32), Origin: strings.Repeat("o", 60) + ".example"})
	if w := long["en"]; w.UCS2 || w.Segments != 2 || w.Char != 0 {
		t.Errorf("long last line: %v", w)
	}
}

// The lint says which system cannot autofill which text.
func TestLintAutofill(t *testing.T) {
	t.Parallel()
	const retriever, consent, ios = "SMS Retriever", "SMS User Consent", "iOS"
	const android15, android16 = "Android 15", "Android 16"
	own := func(sms string) map[string]wording.Wording { return map[string]wording.Wording{"en": {SMS: sms}} }
	for _, c := range []struct {
		name  string
		c     wording.Config
		lang  string
		codes []string
		want  []string
	}{
		{"six digits", wording.Config{}, "en", nil, nil},
		{"four, eight, letters and digits", wording.Config{}, "en", []string{"4829", "48291073", "A7QX2P"}, nil},
		{"another language", wording.Config{}, "fr", nil, []string{android16}},
		{"no digit", wording.Config{}, "en", []string{"482910", "ABCDEF"}, []string{consent, android15, android16}},
		{"ten digits", wording.Config{}, "en", []string{"4829107365"}, []string{android15, android16}},
		{"twelve", wording.Config{}, "en", []string{"482910736512"}, []string{consent, android15, android16}},
		{"a year", wording.Config{}, "en", []string{"1984"}, []string{android15, android16}},
		{"a dash", wording.Config{}, "en", []string{"ABC-123"}, []string{consent, ios}},
		{"a date", wording.Config{}, "en", []string{"12-11-2026"},
			[]string{consent, ios, android15, android16}},
		{"a brand behind the code", wording.Config{Brand: "1xBet", Wordings: own("{{.Code}} {{.Brand}} code")}, "en",
			nil, []string{android15, android16}},
		{"a sign before the code", wording.Config{Wordings: own("{{.Brand}} code #{{.Code}}")}, "en", nil,
			[]string{android15, android16}},
		{"no word for it", wording.Config{Wordings: own("{{.Code}} is for {{.Brand}}.")}, "en", nil,
			[]string{android16}},
		{"another word for it", wording.Config{Wordings: own("{{.Code}} is the OTP for {{.Brand}}.")}, "en", nil, nil},
		{"a regional wording", wording.Config{Wordings: map[string]wording.Wording{"en-IN": {Secret: "!"}}}, "en-IN",
			nil, nil},
		{"two segments without app", wording.Config{Wordings: own("{{.Code}} " + strings.Repeat("code ", 40))}, "en",
			nil, nil},
		{"two segments", wording.Config{AppHash: "FA+9qCX9VSu",
			Wordings: own("{{.Code}} " + strings.Repeat("code ", 40))}, "en", nil, []string{retriever}},
	} {
		if c.c.Brand == "" {
			c.c.Brand = "MyBank"
		}
		var got []string
		for _, w := range newSet(t, c.c).Lint(c.codes...) {
			if w.Language == c.lang {
				got = w.NoAutofill
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A purpose of one's own is linted, a built-in one never costs a segment.
func TestLintPurposes(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Brand: "MyBank", Wordings: map[string]wording.Wording{"en": {
		Purposes: map[string]wording.Wording{
			"long":  {Secret: strings.Repeat("Do not share it. ", 8)},
			"reset": {Secret: strings.Repeat("Do not share it. ", 8)},
			"short": {Secret: "Do not share."},
		},
	}}})
	var got []string
	for _, w := range s.Lint() {
		if w.Purpose != "" {
			got = append(got, w.String())
		}
	}
	if diff := cmp.Diff([]string{"en, long: 190 units in 2 segments",
		"en, reset: 205 units in 2 segments"}, got); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkLint(b *testing.B) {
	s := newSet(b, wording.Config{Brand: "MyBank"})
	b.ReportAllocs()
	for b.Loop() {
		s.Lint()
	}
}
