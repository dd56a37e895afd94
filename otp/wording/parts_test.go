package wording

import (
	"strings"
	"testing"
)

// TestPartsAreTemplates compares the parts of each built-in sentence with its template.
func TestPartsAreTemplates(t *testing.T) {
	t.Parallel()
	set, err := New(Config{Brand: "A & B"})
	if err != nil {
		t.Fatal(err)
	}
	f := fields{Language: "xx", Dir: "rtl", Brand: "A & <B>", Code: "4829-10", Details: "EUR 19.99 {{.Code}}",
		Minutes: 5, Try: 2, Life: "5 minutes", Requested: "2026-11-30 12:00 UTC", Link: "https://x.example/?a=1&b=2"}
	sentences, quick := 0, 0
	check := func(w *words) {
		for _, s := range w.say {
			if !strings.Contains(s.source, "{{") {
				continue
			}
			if sentences++; s.parts == nil || s.tmpl != nil {
				t.Logf("%s %s has no parts, or a template beside them: %s", w.language, s.field, s.source)
				continue
			}
			quick++
			slow := sentence{field: s.field, source: s.source}
			if slow.tmpl, err = w.parseText(s.field, s.source); err != nil {
				t.Fatal(err)
			}
			r := scratch{words: w, f: f}
			if got, want := r.sentence(&s), r.sentence(&slow); got != want || r.err != nil {
				t.Errorf("%s %s: %q, by its template %q, error %v", w.language, s.field, got, want, r.err)
			}
		}
	}
	for _, w := range set.words {
		check(w)
		for _, p := range w.purposes {
			check(p)
		}
	}
	if sentences < 100 || quick < sentences {
		t.Errorf("%d of %d built-in sentences have parts", quick, sentences)
	}
}

func TestNoParts(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"{{if .Details}}a{{end}}", "{{.Code | printf}}", "{{$c := .Code}}{{$c}}",
		"{{.Say.Code}}", "{{.Nothing}}", "{{print .Code}}", "{{.Code.Nothing}}", "{{.}}", "{{`a`}}", "{{.Subject}}"} {
		tmpl, err := (&words{}).parseText("Code", source)
		if err != nil {
			t.Fatal(err)
		}
		if p := partsOf(tmpl); p != nil {
			t.Errorf("%s has %d parts, want none", source, len(p))
		}
	}
	tmpl, err := (&words{}).parseText("Code", "a {{- .Code -}} b{{/* c */}}")
	if err != nil {
		t.Fatal(err)
	}
	r := scratch{words: &words{}, f: fields{Code: "123"}}
	if got := r.sentence(&sentence{parts: partsOf(tmpl)}); got != "a123b" || strings.Contains(got, "c") {
		t.Errorf("%q, want a123b", got)
	}
}
