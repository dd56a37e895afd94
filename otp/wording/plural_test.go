package wording

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// TestPluralRules holds every rule but those of Hebrew, Maltese and Macedonian, which changed since, to
// the CLDR 32 data of x/text.
func TestPluralRules(t *testing.T) {
	t.Parallel()
	forms := map[plural.Form]category{
		plural.Other: other, plural.One: one, plural.Two: two, plural.Few: few, plural.Many: many,
		plural.Zero: zero,
	}
	added := strings.Fields("th lo my km be hr sr bs cs sk sl lt el hu et sq hy ka az kk sw ur fa bn ca gl " +
		"lv ga cy fil gd")
	for _, lang := range append(Languages(), added...) {
		tag := language.MustParse(lang)
		base, _ := tag.Base()
		rule := pluralRule(base.String())
		for n := 1; n <= maxMinutes; n++ {
			if want := forms[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]; rule(n) != want {
				t.Errorf("%s: %d is %v, want %v", lang, n, rule(n), want)
				break
			}
		}
	}
}

// TestPluralForms shows the words, which no rule can check.
func TestPluralForms(t *testing.T) {
	t.Parallel()
	all, err := builtin()
	if err != nil {
		t.Fatal(err)
	}
	numbers := []int{1, 2, 3, 5, 11, 21, 22, 25, 100}
	for lang, want := range map[string]string{
		"en": "1 minute|2 minutes|3 minutes|5 minutes|11 minutes|21 minutes|22 minutes|25 minutes|100 minutes",
		"ru": "1 минуту|2 минуты|3 минуты|5 минут|11 минут|21 минуту|22 минуты|25 минут|100 минут",
		"uk": "1 хвилину|2 хвилини|3 хвилини|5 хвилин|11 хвилин|21 хвилину|22 хвилини|25 хвилин|100 хвилин",
		"pl": "1 minutę|2 minuty|3 minuty|5 minut|11 minut|21 minut|22 minuty|25 minut|100 minut",
		"ar": "دقيقة واحدة|دقيقتين|3 دقائق|5 دقائق|11 دقيقة|21 دقيقة|22 دقيقة|25 دقيقة|100 دقيقة",
		"ro": "1 minut|2 minute|3 minute|5 minute|11 minute|21 de minute|22 de minute|25 de minute|100 de minute",
		"is": "1 mínútu|2 mínútur|3 mínútur|5 mínútur|11 mínútur|21 mínútu|22 mínútur|25 mínútur|100 mínútur",
		"bg": "1 минута|2 минути|3 минути|5 минути|11 минути|21 минути|22 минути|25 минути|100 минути",
		"fi": "1 minuutin|2 minuuttia|3 minuuttia|5 minuuttia|" +
			"11 minuuttia|21 minuuttia|22 minuuttia|25 minuuttia|100 minuuttia",
		"sw": "dakika 1|dakika 2|dakika 3|dakika 5|dakika 11|dakika 21|dakika 22|dakika 25|dakika 100",
		"ja": "1分間|2分間|3分間|5分間|11分間|21分間|22分間|25分間|100分間",
	} {
		forms := all[lang].Minutes
		var got []string
		for _, n := range numbers {
			got = append(got, forms.count(pluralRule(lang), n))
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s:\n got %s\nwant %s", lang, s, want)
		}
	}
}

func TestPluralOtherAlone(t *testing.T) {
	t.Parallel()
	p, missing := Plural{Other: "# min"}.complete(polish)
	if missing != "" {
		t.Fatal("lacks", missing)
	}
	for n := 1; n < 30; n++ {
		if got := p.count(polish, n); !strings.HasSuffix(got, " min") {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestWidest(t *testing.T) {
	t.Parallel()
	for _, lang := range append(Languages(), strings.Fields("hr cs sl lt he lv mt ga gd cy")...) {
		rule := pluralRule(lang)
		var all, seen [zero + 1]int
		for n := 1; n <= 30; n++ {
			all[rule(n)] = max(all[rule(n)], len(strconv.Itoa(n)))
		}
		for _, n := range widest {
			seen[rule(n)] = max(seen[rule(n)], len(strconv.Itoa(n)))
		}
		if all != seen {
			t.Errorf("%s: digits by form up to 30: %v, of widest: %v", lang, all, seen)
		}
	}
}
