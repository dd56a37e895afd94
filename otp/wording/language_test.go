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
		{"zh-TW", "", "zh"},
		{"zh-Hant-HK", "", "zh"},
		{"en-u-rg-inzzzz", "", "en"},
		{"tr-x-private", "", "tr"},

		// A tag without wording is passed over, unless its readers know another.
		{"cs-CZ", "PL", "pl"},
		{"cs-CZ", "", "de"},
		{"und", "IT", "it"},
		{"af", "", "nl"},

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
		{"af, en;q=0.5", "", "en"}, // what they read, before what they may read
		{"af, cs", "", "nl"},
		{"af, gl", "", "nl"},
		{"nn, en", "", "nb"},
		{"zh-TW, zh;q=0.9, en;q=0.8", "", "zh"},
		{strings.Repeat("cs,", 20) + "fr", "IT", "it"}, // only 16 items are looked at

		// Regions.
		{"", "us", "en"},
		{"", "IN", "en"},
		{"", "in", "en"},
		{"", "NG", "en"},
		{"", "NE", "ha"},
		{"", "KE", "sw"},
		{"", "TW", "zh"},
		{"", "HK", "zh"},
		{"", "NO", "nb"},
		{"", "BR", "pt"},
		{"", "AE", "ar"},
		{"", "PH", "de"},
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
