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
