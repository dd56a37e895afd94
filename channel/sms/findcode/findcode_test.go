package findcode_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel/sms/findcode"
)

func ExampleIn() {
	for _, text := range []string{
		"Your MyBank code is 482-910. It expires in 5 minutes.",
		"Bestellung 88120: Ihr Code lautet 4829",
		"رمز التحقق: ٤٨٢٩١٠",
		"Your card ending in 4417 was charged 2500 EUR",
	} {
		fmt.Println(findcode.In(text))
	}
	// Output:
	// 482910 true
	// 4829 true
	// 482910 true
	//  false
}

// A sample is a text, and its code; empty: it has none.
type sample struct{ text, code string }

// samples reads a file of texts, each with its code or "-", divided by a tab. "!" is before a code that is there and
// not found.
func samples(t testing.TB, file string) (all []sample) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) < 2 || strings.HasPrefix(line, "# ") {
			continue
		}
		code := f[1]
		if code == "-" || strings.HasPrefix(code, "!") {
			code = ""
		}
		all = append(all, sample{strings.ReplaceAll(f[0], `\n`, "\n"), code})
	}
	return all
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for _, s := range samples(t, "testdata/texts.tsv") {
		if code, ok := findcode.In(s.text); code != s.code || ok != (code != "") {
			t.Errorf("%q: %q, %v, want %q", s.text, code, ok, s.code)
		}
	}
}

// TestOtherDigits: with other digits in the place of the code a text means the same, and none has a wrong code. Fewer
// are found if the digits may be a year, a date or a telephone number.
func TestOtherDigits(t *testing.T) {
	t.Parallel()
	for code, percent := range map[string]int{
		"7304": 98, "0049": 98, "1405": 98, "73041": 98, "730416": 99, "301126": 99, "7304160": 99, "73041604": 99,
		"2026": 92, "20261130": 92, "071234567": 92, "7304160455": 92,
	} {
		right, all := 0, 0
		for _, s := range samples(t, "testdata/texts.tsv") {
			if s.code == "" || strings.Count(s.text, s.code) != 1 {
				continue
			}
			all++
			text := strings.Replace(s.text, s.code, code, 1)
			switch got, ok := findcode.In(text); {
			case got == code:
				right++
			case ok:
				t.Errorf("%q: %q, want %q", text, got, code)
			}
		}
		t.Logf("%s: %d of %d", code, right, all)
		if right*100 < percent*all {
			t.Errorf("%s is found in %d of %d texts", code, right, all)
		}
	}
}

// TestLabelled measures another file of the same form, which OTPCOURIER_LABELLED_TEXTS names.
func TestLabelled(t *testing.T) {
	t.Parallel()
	file := os.Getenv("OTPCOURIER_LABELLED_TEXTS")
	if file == "" {
		t.Skip("OTPCOURIER_LABELLED_TEXTS names no file")
	}
	all := samples(t, file)
	right, wrong := 0, 0
	for _, s := range all {
		code, _ := findcode.In(s.text)
		switch {
		case code == s.code:
			right++
			continue
		case code != "":
			wrong++
		}
		t.Logf("%q: %q, want %q", s.text, code, s.code)
	}
	t.Logf("%d of %d are right, %d have a wrong code", right, len(all), wrong)
	if right*100 < len(all)*96 {
		t.Error("fewer than 96 % are right")
	}
}
