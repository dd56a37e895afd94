package sms_test

import (
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/otpcourier/otpcourier/channel/sms"
)

func FuzzRoundTrip(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range []sms.Encoding{sms.GSM7, sms.UCS2, sms.Latin1} {
			b, err := sms.Encode(text, e)
			if err != nil {
				if e == sms.Detect(text) && utf8.ValidString(text) {
					t.Fatalf("Encode(%q, %v): %v, yet Detect chose it", text, e, err)
				}
				continue
			}
			if back, err := sms.Decode(b, e); err != nil || back != text {
				t.Fatalf("%v: %q came back as %q, %v", e, text, back, err)
			}
		}
	})
}

// FuzzMeasure holds Measure, which counts, to Split, which cuts.
func FuzzMeasure(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		length := sms.Measure(text)
		parts, err := sms.Split(text, length.Encoding, sms.Ref8(1))
		if refused := !utf8.ValidString(text) || length.Segments > sms.MaxParts; (err != nil) != refused {
			t.Fatalf("Split(%q): %v, though Measure says %+v", text, err, length)
		}
		if err != nil {
			return
		}
		checkMeasure(t, text, units(parts, length.Encoding))
		if length.Left < 0 || length.Encoding == sms.UCS2 && length.Units != len(utf16.Encode([]rune(text))) {
			t.Fatalf("Measure(%q) = %+v", text, length)
		}
	})
}

func FuzzFold(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		folded := sms.Fold(text)
		if again := sms.Fold(folded); again != folded {
			t.Fatalf("Fold(%q) = %q, and again %q", text, folded, again)
		}
		if sms.Detect(text) == sms.GSM7 && folded != text {
			t.Fatalf("Fold(%q) = %q: it was GSM-7", text, folded)
		}
		if folded != text && sms.Detect(folded) != sms.GSM7 {
			t.Fatalf("Fold(%q) = %q, for nothing", text, folded)
		}
	})
}
