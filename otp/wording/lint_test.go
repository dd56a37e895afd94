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
	if len(found) != 16 {
		t.Errorf("%d warnings, want one for each of the 16 languages that GSM-7 lacks letters of", len(found))
	}
	want := wording.Warning{Language: "es", UCS2: true, Char: 'ó', Units: 69, Segments: 1}
	if diff := cmp.Diff(want, found["es"]); diff != "" {
		t.Errorf("es (-want +got):\n%s", diff)
	}
	if s := want.String(); s != "es: needs UCS-2 for 'ó', 69 units in 1 segment" {
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
	if found := lint(t, wording.Config{Brand: "Crédit Côte"}); len(found) != 29 || found["en"].Char != 'ô' {
		t.Errorf("brand with ô: %d warnings, en: %v", len(found), found["en"])
	}
	long := lint(t, wording.Config{Brand: strings.Repeat("B", 32), Origin: strings.Repeat("o", 60) + ".example"})
	if w := long["en"]; w.UCS2 || w.Segments != 2 || w.Char != 0 {
		t.Errorf("long last line: %v", w)
	}
}

func BenchmarkLint(b *testing.B) {
	s := newSet(b, wording.Config{Brand: "MyBank"})
	b.ReportAllocs()
	for b.Loop() {
		s.Lint()
	}
}
