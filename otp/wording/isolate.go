package wording

import (
	"strings"
	"unicode"
)

// The isolates of UAX #9: text between one of the first three and the last is
// ordered by itself, and does not change the order around it.
const (
	isolateLTR   = '\u2066'
	isolateRTL   = '\u2067'
	isolateFirst = '\u2068' // in the direction of its first letter
	endIsolate   = '\u2069'

	rightToLeftMark = "\u200f"
)

// isolated returns a value in a form that keeps its order. Otherwise an amount,
// an account number or a payee would be torn apart next to Arabic or Hebrew:
// "12-3456-789" would be read as "789-3456-12". A value that needs no isolates
// is returned without any.
func isolated(dir, value string) string {
	if dir == "ltr" && isASCII(value) { // the usual case
		return value
	}
	rtl := strings.ContainsFunc(value, isRTL)
	switch {
	case value == "":
		return value
	case dir == "ltr" && !rtl && !strings.ContainsRune(value, isolateRTL):
		return plain(value)
	case !rtl:
		return string(isolateLTR) + value + string(endIsolate)
	}
	var b strings.Builder
	b.WriteRune(isolateFirst)
	isolateMixed(&b, value)
	b.WriteRune(endIsolate)
	return b.String()
}

// isolateMixed writes s, which has right-to-left letters, with isolates around
// the other words; also within its own isolates.
func isolateMixed(b *strings.Builder, s string) {
	for s != "" {
		begin := strings.IndexFunc(s, beginsIsolate)
		if begin < 0 {
			isolateWords(b, s)
			return
		}
		isolateWords(b, s[:begin])
		end := begin + isolateLen(s[begin:])
		inner := s[begin+len(string(isolateLTR)) : end-len(string(endIsolate))]
		b.WriteString(s[begin : end-len(inner)-len(string(endIsolate))])
		if strings.ContainsFunc(inner, isRTL) {
			isolateMixed(b, inner)
		} else {
			b.WriteString(inner)
		}
		b.WriteRune(endIsolate)
		s = s[end:]
	}
}

// isolatedBrand returns the brand as isolated does. But in an SMS it saves the
// isolates if the brand keeps its order without them, for example because it
// begins and ends with a Latin letter.
func isolatedBrand(dir, brand string) string {
	if dir == "rtl" && isLatin(brand[0]) && isAlphanumeric(brand[len(brand)-1]) && isASCII(brand) {
		return brand
	}
	return isolated(dir, brand)
}

// isolateWords writes s with isolates around the left-to-right words.
func isolateWords(b *strings.Builder, s string) {
	for s != "" {
		begin, end := leftToRight(s)
		b.WriteString(s[:begin])
		if begin < end {
			b.WriteRune(isolateLTR)
			b.WriteString(s[begin:end])
			b.WriteRune(endIsolate)
		}
		s = s[end:]
	}
}

// leftToRight returns the place of the first left-to-right words of s: digits,
// Latin letters and the signs between them.
func leftToRight(s string) (begin, end int) {
	begin = strings.IndexFunc(s, startsLTR)
	if begin < 0 {
		return len(s), len(s)
	}
	signs := func(r rune) bool { return strings.ContainsRune("+-−#*(", r) || unicode.Is(unicode.Sc, r) }
	if before := strings.TrimRightFunc(s[:begin], signs); before == "" || strings.HasSuffix(before, " ") {
		begin = len(before) // a sign before a number belongs to it
	}
	end = len(s)
	if n := strings.IndexFunc(s[begin:], isRTL); n >= 0 {
		end = begin + n
	}
	last := strings.TrimRightFunc(s[begin:end], func(r rune) bool {
		return !startsLTR(r) && !strings.ContainsRune("%)*#", r) && !unicode.Is(unicode.Sc, r)
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

func beginsIsolate(r rune) bool { return r >= isolateLTR && r <= isolateFirst }

// isolateLen returns the length in bytes of the isolate at the start of s. The
// isolates of s are balanced.
func isolateLen(s string) int {
	depth := 0
	for i, r := range s {
		switch {
		case beginsIsolate(r):
			depth++
		case r == endIsolate:
			if depth--; depth == 0 {
				return i + len(string(endIsolate))
			}
		}
	}
	return len(s)
}

// balanced reports whether each isolate of s ends within it, so that s cannot
// end an outer isolate.
func balanced(s string) bool {
	depth := 0
	for _, r := range s {
		switch {
		case beginsIsolate(r):
			depth++
		case r == endIsolate:
			if depth--; depth < 0 {
				return false
			}
		}
	}
	return depth == 0
}

// directed returns a text of a right-to-left language in a form that a phone
// shows in that direction. Phones use the first letter (UAX #9, rule P2), which
// may belong to a code or a brand; old ones also look within isolates.
func directed(dir, text string) string {
	if dir == "ltr" {
		return text
	}
	for _, r := range text {
		switch {
		case isRTL(r):
			return text
		case unicode.IsLetter(r):
			return rightToLeftMark + text
		}
	}
	return text
}

var dropIsolates = strings.NewReplacer(string(isolateLTR), "", string(isolateRTL), "", string(isolateFirst), "",
	string(endIsolate), "")

var dropTags = strings.NewReplacer("<bdi>", "", `<bdi dir="ltr">`, "", `<bdi dir="rtl">`, "", "</bdi>", "")

// plain returns s without isolates, for programs that show or count each
// character.
func plain(s string) string {
	if !strings.ContainsRune(s, endIsolate) {
		return s
	}
	return dropIsolates.Replace(s)
}

// tagged returns escaped HTML with elements in place of isolates: an account
// number copied from a mail must have no other characters.
func tagged(page string) string {
	if !strings.ContainsRune(page, endIsolate) {
		return page
	}
	var b strings.Builder
	for i, r := range page {
		switch {
		case r == endIsolate:
			b.WriteString("</bdi>")
		case r == isolateRTL:
			b.WriteString(`<bdi dir="rtl">`)
		case r == isolateLTR && firstLetterIsRTL(page[i:]):
			b.WriteString(`<bdi dir="ltr">`)
		case beginsIsolate(r):
			b.WriteString("<bdi>") // in the direction of its first letter, or else from left to right
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func firstLetterIsRTL(s string) bool {
	for _, r := range s {
		if r == endIsolate || unicode.IsLetter(r) {
			return isRTL(r)
		}
	}
	return false
}
