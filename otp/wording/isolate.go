package wording

import (
	"strings"
	"unicode"
)

// The isolates of UAX #9: what stands between one of the first two and the
// last is ordered by itself, and does not change the order around it.
const (
	isolateLTR   = "\u2066"
	isolateFirst = "\u2068" // in the direction of its first letter
	endIsolate   = "\u2069"
)

// isolated returns a value so that a mail shows it in its own order. An amount,
// an account number or a payee would else be torn apart beside Arabic or
// Hebrew: "12-3456-789" would be read as "789-3456-12". A value that needs no
// isolates is returned as it is.
func isolated(dir, value string) string {
	rtl := strings.ContainsFunc(value, isRTL)
	switch {
	case value == "" || dir == "ltr" && !rtl:
		return value
	case !rtl:
		return isolateLTR + value + endIsolate
	}
	var b strings.Builder
	b.WriteString(isolateFirst)
	for rest := value; rest != ""; {
		begin, end := leftToRight(rest)
		b.WriteString(rest[:begin])
		if begin < end {
			b.WriteString(isolateLTR + rest[begin:end] + endIsolate)
		}
		rest = rest[end:]
	}
	b.WriteString(endIsolate)
	return b.String()
}

// leftToRight returns where the first words of s that go from left to right
// stand: digits, Latin letters and the signs between them.
func leftToRight(s string) (begin, end int) {
	begin = strings.IndexFunc(s, startsLTR)
	if begin < 0 {
		return len(s), len(s)
	}
	if sign := strings.TrimRight(s[:begin], "+-−#*(€$£₪"); sign == "" || strings.HasSuffix(sign, " ") {
		begin = len(sign) // a sign before a number belongs to it
	}
	end = len(s)
	if n := strings.IndexFunc(s[begin:], isRTL); n >= 0 {
		end = begin + n
	}
	last := strings.TrimRightFunc(s[begin:end], func(r rune) bool {
		return !startsLTR(r) && !strings.ContainsRune("%)*#€$£₪", r)
	})
	return begin, begin + len(last)
}

func startsLTR(r rune) bool { return unicode.IsDigit(r) || unicode.IsLetter(r) && !isRTL(r) }

// isRTL reports whether a letter is written from right to left.
func isRTL(r rune) bool {
	return r >= 0x0590 && unicode.IsLetter(r) &&
		unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam,
			unicode.Hanifi_Rohingya)
}

var dropIsolates = strings.NewReplacer(isolateLTR, "", isolateFirst, "", endIsolate, "")

// plain returns s without isolates, for what shows or counts each character.
func plain(s string) string {
	if !strings.Contains(s, endIsolate) {
		return s
	}
	return dropIsolates.Replace(s)
}
