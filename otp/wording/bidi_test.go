package wording_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/bidi"

	"github.com/otpcourier/otpcourier/otp/wording"
)

// seenAs returns a paragraph that goes from right to left in the order in which
// it is seen, from left to right, by the Unicode Bidirectional Algorithm. Words
// that go from left to right must hold none that do not: then the runs of the
// paragraph stand in reverse order (rule L2).
func seenAs(tb testing.TB, paragraph string) string {
	tb.Helper()
	var p bidi.Paragraph
	if _, err := p.SetString(paragraph); err != nil {
		tb.Fatal(err)
	}
	order, err := p.Order()
	if err != nil {
		tb.Fatal(err)
	}
	var runs []string
	for i := range order.NumRuns() {
		run := order.Run(i)
		text := []rune(run.String())
		if run.Direction() == bidi.RightToLeft {
			slices.Reverse(text)
		}
		runs = append(runs, string(text))
	}
	slices.Reverse(runs)
	return isolates.Replace(strings.Join(runs, ""))
}

// rightToLeft is a Set with four languages that are written from right to left.
func rightToLeft(tb testing.TB, brand string) *wording.Set {
	tb.Helper()
	return newSet(tb, wording.Config{Brand: brand, Wordings: map[string]wording.Wording{"he": {
		Code: hebrew, Details: "לאישור: {{.Details}}.", Life: "תקף {{.Life}}.", Secret: "אל תשתף.",
		Requested: "התבקש: {{.Requested}}.", Try: "הודעה {{.Try}}.", Subject: "קוד {{.Brand}}", Ignore: "התעלם.",
		Minutes: wording.Plural{Other: "# דקות"},
	}}})
}

// What an embedder inserts is seen in its own order, in the SMS and in the mail.
func TestSeenInOrder(t *testing.T) {
	t.Parallel()
	for _, brand := range []string{"MyBank", "1xBet", "24 Bank-7", "Bank (UK)", "7-Eleven 24/7", "Łódź Bank", "2GIS"} {
		s := rightToLeft(t, brand)
		for _, lang := range []string{"ar", "he", "fa", "ur"} {
			for _, c := range []string{"482910", "A7QX2P", "7AQX2P", "12-AB", "AB-12", "#12a"} {
				for _, details := range []string{"", "EUR 1,999.00 → DE-89", "3704 0044 → 9688", "+966 50 123 4567",
					"-5.00 USD", "1,999.00 €", "€ 5 (net)", "50%", "12-3456-789", "1/2 + 3", "₺250, Bob",
					"(020) 7946 0018"} {
					text := render(t, s, wording.Data{Language: lang, Code: c, Details: details,
						Requested: time.Unix(1<<30, 0)})
					first, rest, _ := strings.Cut(text.Body, "\n\n")
					for _, m := range []struct {
						where, text string
						holds       []string
					}{
						{"SMS", text.SMS, []string{c, brand, details, "2004-01-10 13:37 UTC"}},
						{"mail", first, []string{c, brand, details}},
						{"mail's subject", text.Subject, []string{brand}},
						{"rest of the mail", rest[strings.Index(rest, "\n\n")+2:], []string{"2004-01-10 13:37 UTC"}},
					} {
						seen := seenAs(t, m.text)
						for _, want := range m.holds {
							if !strings.Contains(seen, want) {
								t.Errorf("%s: %q is not in its order in the %s: %q", lang, want, m.where, seen)
							}
						}
					}
				}
			}
		}
	}
}

// A text goes from right to left whatever its code and brand begin with, on
// phones that know isolates and on those that do not.
func TestFirstLetter(t *testing.T) {
	t.Parallel()
	for _, brand := range []string{"MyBank", "1xBet"} {
		s := rightToLeft(t, brand)
		for _, lang := range []string{"ar", "he", "fa", "ur"} {
			for _, c := range []string{"482910", "A7QX2P", "7AQX2P", "AB-12", "12-AB"} {
				text := render(t, s, wording.Data{Language: lang, Code: c})
				for _, m := range []string{text.SMS, text.Body} {
					if class := firstStrong(m); class != bidi.R && class != bidi.AL {
						t.Errorf("%s, %s: %+q begins with class %v", lang, c, m, class)
					}
					if bare := strings.TrimPrefix(isolates.Replace(m), "\u200f"); !strings.HasPrefix(bare, c+" ") {
						t.Errorf("%s: %+q does not begin with %s", lang, m, c)
					}
				}
				if c == "482910" && strings.Contains(text.SMS+text.Body, "\u200f") {
					t.Errorf("%s: a mark that nothing needs: %+q", lang, text.SMS)
				}
			}
		}
	}
}

func firstStrong(text string) bidi.Class {
	for _, r := range text {
		p, _ := bidi.LookupRune(r)
		if class := p.Class(); class == bidi.L || class == bidi.R || class == bidi.AL {
			return class
		}
	}
	return bidi.ON
}

// Details may hold isolates, which end in them.
func TestDetailsWithIsolates(t *testing.T) {
	t.Parallel()
	s := rightToLeft(t, "MyBank")
	for _, c := range []struct{ lang, details, want string }{
		{"en", "EUR 20 to \u2068دانيال\u2069", "\u2068\u2066EUR 20 to\u2069 \u2068دانيال\u2069\u2069"},
		{"en", "EUR 20 to \u2068Bob\u2069", "EUR 20 to Bob"}, // needs none, and GSM-7 has none
		{"ar", "\u2066EUR 20\u2069 \u2068Bob\u2069", "\u2066\u2066EUR 20\u2069 \u2068Bob\u2069\u2069"},
		{"ar", "إلى \u2068دانيال 12-34\u2069 5-6",
			"\u2068إلى \u2068دانيال \u206612-34\u2069\u2069 \u20665-6\u2069\u2069"},
		{"ar", "\u2067a \u2066b\u2069\u2069 إلى", "\u2068\u2067a \u2066b\u2069\u2069 إلى\u2069"},
	} {
		text := render(t, s, wording.Data{Language: c.lang, Details: c.details})
		if !strings.Contains(text.SMS, c.want) || !strings.Contains(text.Body, c.want) {
			t.Errorf("%s, %+q: SMS %+q, not %+q", c.lang, c.details, text.SMS, c.want)
		}
		if strings.ContainsAny(text.HTML, "\u2066\u2067\u2068\u2069") {
			t.Errorf("%s, %+q: an isolate in the HTML", c.lang, c.details)
		}
		if strings.Count(text.HTML, "<bdi") != strings.Count(text.HTML, "</bdi>") {
			t.Errorf("%s, %+q: %s", c.lang, c.details, text.HTML)
		}
	}
	for _, details := range []string{"\u2066EUR 20", "EUR 20\u2069", "\u2069EUR 20\u2066", "\u2068\u2069", "a\u200fb",
		"\u202bEUR 20\u202c", "a\u061cb"} {
		_, err := s.Render(wording.Data{Language: "ar", Code: code, Minutes: 5, Details: details})
		wantField(t, details, err, "Data.Details")
	}
}
