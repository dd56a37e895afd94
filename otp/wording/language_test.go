package wording_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/otp/wording"
)

func TestLanguage(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Default: "de"})
	for _, c := range []struct{ explicit, region, want string }{
		// The order: explicit, region, default.
		{"", "", "de"},
		{"", "FR", "fr"},
		{"sv", "FR", "sv"},

		// One tag.
		{"en-GB", "", "en"},
		{"EN_us", "", "en"},
		{" pt-BR ", "", "pt"},
		{"no", "", "nb"},
		{"nn", "", "nb"},
		{"nn-NO", "SE", "nb"},
		{"in", "", "id"},
		{"zsm", "", "ms"},
		{"mo", "", "ro"},
		{"zh-Hans", "", "zh"},
		{"zh-TW", "", "zh-Hant"},
		{"zh-Hant-HK", "", "zh-Hant"},
		{"en-u-rg-inzzzz", "", "en"},
		{"tr-x-private", "", "tr"},

		// A tag without wording is passed over.
		{"cs-CZ", "PL", "pl"},
		{"cs-CZ", "", "de"},
		{"und", "IT", "it"},
		{"af", "", "de"},

		// Lists.
		{"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "", "fr"},
		{"en;q=0.5,ja", "", "ja"},
		{"cs, sk;q=0.9", "FI", "fi"},
		{"*", "FI", "fi"},
		{"en;q=0, it", "", "it"},
		{"en;q=0", "FI", "fi"},
		{"xx, klingon, da;q=0.5", "", "da"},
		{"en;q=abc, nl;q=0.1", "", "nl"},
		{",,;;, ,", "NL", "nl"},
		{"af, en;q=0.5", "", "en"},
		{"af, cs", "", "de"},
		{"af, gl", "", "de"},
		{"nn, en", "", "nb"},
		{"zh-TW, zh;q=0.9, en;q=0.8", "", "zh-Hant"},
		{strings.Repeat("cs,", 20) + "fr", "IT", "it"}, // only 16 items are looked at

		// Regions.
		{"", "us", "en"},
		{"", "IN", "en"},
		{"", "in", "en"},
		{"", "NG", "en"},
		{"", "NE", "ha"},
		{"", "KE", "sw"},
		{"", "TW", "zh-Hant"},
		{"", "HK", "zh-Hant"},
		{"", "NO", "nb"},
		{"", "BR", "pt"},
		{"", "AE", "ar"},
		{"", "PH", "fil"},
		{"", "ZZ", "de"},
		{"", "001", "de"},
		{"", "U$", "de"},
		{"", "Germany", "de"},
	} {
		got, err := s.Language(c.explicit, c.region)
		if err != nil || got != c.want {
			t.Errorf("Language(%q, %q) = %q, %v; want %q", c.explicit, c.region, got, err, c.want)
		}
	}
}

func TestLanguageRefused(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{})
	for _, explicit := range []string{
		"klingon", "xx", "12", "e", "en\x00", "français", "en/US", "\xff",
		strings.Repeat("a", 100), strings.Repeat("en,", 200), strings.Repeat("x", 1<<20),
	} {
		got, err := s.Language(explicit, "FR")
		var e *wording.Error
		if !errors.Is(err, wording.ErrLanguage) || !errors.As(err, &e) || got != "" {
			t.Errorf("Language(%.20q) = %q, %v; want ErrLanguage", explicit, got, err)
		}
		if err != nil && len(err.Error()) > 100 {
			t.Errorf("Language(%.20q): the error repeats its input", explicit)
		}
	}
}

func TestOwnChinese(t *testing.T) {
	t.Parallel()
	traditional := esperanto
	traditional.Code = "{{.Code}} 是您的 {{.Brand}} 驗證碼。"
	s := newSet(t, wording.Config{Wordings: map[string]wording.Wording{"zh-Hant": traditional}})
	for _, c := range []struct{ explicit, region, want string }{
		{"zh-TW", "", "zh-Hant"},
		{"", "TW", "zh-Hant"},
		{"", "HK", "zh-Hant"},
		{"zh", "TW", "zh"},
		{"", "CN", "zh"},
	} {
		if got, err := s.Language(c.explicit, c.region); got != c.want || err != nil {
			t.Errorf("Language(%q, %q) = %q, %v; want %q", c.explicit, c.region, got, err, c.want)
		}
	}
}

// A language without wording is never replaced by one that is like it, whether
// it is asked for or spoken in the number's country.
func TestNoNeighbours(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Default: "en"})
	for asked := range strings.FieldsSeq("af an ast az be br bs ca ceb ckb co cs cy dv eo et eu fo fy ga gd gl hr ht " +
		"hy jv ka kk kl km kmr kn ku kok ky lb lo lt lv mg mk ml mn mt my ne oc pap ps qu rm rw sa sd si sk sl so " +
		"sq sr su tg ti tk tt ug uz wo xh zu pa-PK pa-Arab hi-Latn sr-Latn az-Arab nds gsw") {
		if got, err := s.Language(asked, ""); got != "en" || err != nil {
			t.Errorf("someone who asks for %s gets %s, %v", asked, got, err)
		}
	}
	for region := range strings.FieldsSeq("AL AM AZ BA EE LV LT MK MN ME RS XK GE GR CY CZ SK SI HR HU IL KG KH LA " +
		"LK MM MV NP SO TJ TM UZ TL GW GL MG RW BI ER HT KM") {
		if got, err := s.Language("", region); got != "en" || err != nil {
			t.Errorf("a number of %s gets %s, %v", region, got, err)
		}
	}
}

// Many languages are parts of one whose standard form all their readers read.
func TestMacrolanguages(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{})
	for asked, want := range map[string]string{
		"arz": "ar", "ary": "ar", "apc": "ar", "arb": "ar", "ar-EG": "ar", "cmn": "zh", "yue": "zh",
		"yue-HK": "zh-Hant", "yue-Hant": "zh-Hant", "nan-TW": "zh-Hant", "cmn-TW": "zh-Hant", "zh-SG": "zh",
		"zh-MO": "zh-Hant", "pes": "fa", "prs": "fa", "fa-AF": "fa", "zsm": "ms", "swh": "sw", "nn": "nb", "no": "nb",
		"tl": "fil", "mo": "ro",
		"es-MX": "es", "pt-AO": "pt", "de-AT": "de",
	} {
		if got, err := s.Language(asked, ""); got != want || err != nil {
			t.Errorf("someone who asks for %s gets %s, %v; want %s", asked, got, err, want)
		}
	}
}

// What people read, where it is not what CLDR calls the main language.
func TestRegions(t *testing.T) {
	t.Parallel()
	s := newSet(t, wording.Config{Default: "is"})
	for want, regions := range map[string]string{
		"en": "US GB IN UG NA GH ZW MT SG ZA", "fr": "FR CD ML BF LU", "ru": "RU KZ BY", "es": "PY AD MX",
		"da": "FO DK", "zh-Hant": "TW HK MO", "zh": "CN", "fil": "PH", "ur": "PK", "bn": "BD", "fa": "IR AF",
		"th": "TH", "am": "ET", "ms": "MY BN",
		"sw": "KE TZ", "ar": "EG SA AE", "pt": "BR PT MZ", "nl": "NL SR", "ro": "MD", "is": "IS EE MK",
	} {
		for region := range strings.FieldsSeq(regions) {
			if got, err := s.Language("", region); got != want || err != nil {
				t.Errorf("a number of %s gets %s, %v; want %s", region, got, err, want)
			}
		}
	}
	own := newSet(t, wording.Config{Wordings: map[string]wording.Wording{"kk": esperanto, "et": esperanto}})
	for region, want := range map[string]string{"KZ": "kk", "EE": "et", "BY": "ru"} {
		if got, err := own.Language("", region); got != want || err != nil {
			t.Errorf("a number of %s gets %s, %v; want %s", region, got, err, want)
		}
	}
}

// A regional wording is chosen by number, and for no other country.
func TestRegionalWordings(t *testing.T) {
	t.Parallel()
	w, serbian := wording.Wording{Secret: "!."}, esperanto
	serbian.Minutes = wording.Plural{Other: "# min"}
	s := newSet(t, wording.Config{Wordings: map[string]wording.Wording{
		"en-IN": w, "en-US": w, "pt-BR": w, "zh-Hant-HK": w, "es-419": w, "sr-Latn": serbian,
	}})
	for _, c := range []struct{ explicit, region, want string }{
		{"", "IN", "en-IN"},
		{"", "US", "en-US"},
		{"", "GB", "en"},
		{"", "NG", "en"},
		{"", "BR", "pt-BR"},
		{"", "PT", "pt"},
		{"", "AO", "pt"},
		{"", "HK", "zh-Hant-HK"},
		{"", "TW", "zh-Hant"},
		{"", "CN", "zh"},
		{"", "MX", "es-419"},
		{"", "ES", "es"},
		{"", "RS", "sr-Latn"},
		{"en", "IN", "en-IN"},
		{"en-GB", "IN", "en-IN"}, // English, for an Indian number
		{"en-US", "IN", "en-US"}, // as asked for
		{"en, hi;q=0.5", "IN", "en-IN"},
		{"hi", "IN", "hi"},
		{"pt", "BR", "pt-BR"},
		{"pt-PT", "", "pt"},
		{"zh", "HK", "zh"}, // simplified, as asked for
		{"zh-Hant", "HK", "zh-Hant-HK"},
		{"zh-HK", "TW", "zh-Hant-HK"},
		{"es-AR", "", "es-419"},
		{"sr", "", "sr-Latn"},
	} {
		if got, err := s.Language(c.explicit, c.region); got != c.want || err != nil {
			t.Errorf("Language(%q, %q) = %q, %v; want %q", c.explicit, c.region, got, err, c.want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"en", "US"}, {"zh-Hant-TW", "HK"}, {"fr-CH, fr;q=0.9, *;q=0.5", "CH"}, {"i-klingon", "001"},
		{"en-u-rg-zz-t-de-x-a", "IN"}, {"a-a-a-a", "ZZ"}, {"en;q=1e309", "\x00\x00"}, {"no-u-co", "NO"},
	} {
		f.Add(seed[0], seed[1])
	}
	s := newSet(f, wording.Config{})
	f.Fuzz(func(t *testing.T, explicit, region string) {
		got, err := s.Language(explicit, region)
		if err != nil {
			if !errors.Is(err, wording.ErrLanguage) || got != "" {
				t.Fatalf("%q, %v", got, err)
			}
			return
		}
		if !slices.Contains(wording.Languages(), got) {
			t.Fatalf("no wording for %q", got)
		}
	})
}

func BenchmarkLanguage(b *testing.B) {
	s := newSet(b, wording.Config{})
	for name, explicit := range map[string]string{"tag": "fr", "header": "fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5",
		"region": ""} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Language(explicit, "FR"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
