package findcode_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/otpcourier/otpcourier/channel/sms/findcode"
)

// FuzzIn holds what is true of every text: a code has 4 to 10 digits, which the text has in this order, and is found
// again where it is all there is. Invisible characters do not hide it.
func FuzzIn(f *testing.F) {
	for _, s := range samples(f, "testdata/texts.tsv") {
		f.Add(s.text)
	}
	for _, text := range long(1000) {
		f.Add(text)
	}
	f.Add("\xff4829\xff")
	f.Fuzz(func(t *testing.T, text string) {
		code, ok := findcode.In(text)
		if !ok {
			if code != "" {
				t.Errorf("%q: no code, but %q", text, code)
			}
			return
		}
		if len(code) < 4 || len(code) > 10 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q: %q is no code", text, code)
		}
		if again, ok := findcode.In(code); !ok || again != code {
			t.Errorf("%q is read as %q", code, again)
		}
		digits := 0
		for _, r := range text {
			if unicode.Is(unicode.Nd, r) {
				digits++
			}
		}
		if digits < len(code) {
			t.Errorf("%q: %q has more digits than the text", text, code)
		}
		if again, _ := findcode.In("\u2068" + text + "\u2069"); len(text) < findcode.MaxText-10 && again != code {
			t.Errorf("%q: %q, but between isolates %q", text, code, again)
		}
	})
}

// TestLong: a text that is too long has no code, and the longest is read.
func TestLong(t *testing.T) {
	t.Parallel()
	const text = "Your code is 482910."
	longest := text + strings.Repeat(" ", findcode.MaxText-len(text))
	if code, _ := findcode.In(longest); code != "482910" {
		t.Errorf("the longest text has %q", code)
	}
	if code, ok := findcode.In(longest + " "); ok {
		t.Errorf("a longer text has %q", code)
	}
	for part, text := range long(findcode.MaxText / 8) {
		code, ok := findcode.In(text)
		if ok && !strings.Contains(code, "4829") {
			t.Errorf("%q again and again: %q", part, code)
		}
	}
}
