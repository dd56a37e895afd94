package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns the GSM-7 text nearest to text. If a character of text has no
// near one in GSM-7, such as a Cyrillic letter or an emoji, the text would stay
// UCS-2: Fold then returns it unchanged, and so a GSM-7 text.
//
// Typographic quotes, dashes and spaces become plain ones. A letter that GSM-7
// lacks becomes its base letter ("ç" becomes "c"; "é", which GSM-7 has, stays).
// Greek capitals become the Latin ones of the same shape. Full-width forms,
// fractions, ligatures and the like become what they stand for (Unicode's
// compatibility decomposition). A currency sign becomes its ISO 4217 code.
// Invisible characters go. A number keeps its value: "1½" becomes "1 1/2", not
// "11/2".
//
// Folding saves segments at the price of spelling: it is a choice per language,
// and never one for the code itself.
func Fold(text string) string {
	if Detect(text) == GSM7 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	last := ' '    // what b ends with
	apart := false // it must not touch a letter or digit
	raised := false
	for _, r := range norm.NFC.String(text) {
		if isMark(r) {
			continue // on a letter that GSM-7 has, or has a near one of
		}
		if septet(r) != notGSM7 && !apart { // nearly always
			b.WriteRune(r)
			last, raised = r, false
			continue
		}
		near, ok := nearest(r)
		if !ok {
			return text
		}
		if near == "" {
			continue
		}
		first, _ := utf8.DecodeRuneInString(near)
		word := standsApart(r)
		switch {
		case !isAlphanumeric(first) || !isAlphanumeric(last):
		case isSuperscript(r) && (raised || !unicode.IsDigit(last)): // "m²" is one word
		case isSuperscript(r):
			b.WriteByte('^')
		case word || apart:
			b.WriteByte(' ')
		}
		b.WriteString(near)
		last, _ = utf8.DecodeLastRuneInString(near)
		apart, raised = word, isSuperscript(r)
	}
	return b.String()
}

// nearest returns what stands for r in GSM-7, if anything does.
func nearest(r rune) (string, bool) {
	if septet(r) != notGSM7 {
		return string(r), true
	}
	if near, ok := lookalike(r); ok {
		return near, true
	}
	decomposed := norm.NFD.String(string(r))
	mark, size := utf8.DecodeLastRuneInString(decomposed)
	if isMark(mark) && size < len(decomposed) {
		// Of several marks the last goes first: "ǘ" is nearer to "ü" than to "u".
		fewer, _ := utf8.DecodeRuneInString(norm.NFC.String(decomposed[:len(decomposed)-size]))
		return nearest(fewer)
	}
	decomposed = norm.NFKD.String(string(r))
	if decomposed == string(r) {
		return "", false
	}
	var b strings.Builder
	for _, part := range decomposed {
		near, ok := nearest(part)
		if !ok && !isMark(part) {
			return "", false
		}
		b.WriteString(near)
	}
	return b.String(), true
}

// isMark reports whether r is a combining mark of the kind that Latin letters
// carry; those of other scripts are letters of their own.
func isMark(r rune) bool {
	return r >= 0x0300 && r <= 0x036F
}

// isInvisible reports whether nothing is seen of r itself: a format character, a
// variation selector, the keycap that stands around a digit.
func isInvisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) ||
		unicode.Is(unicode.Variation_Selector, r) || r == '\u20E3'
}

// standsApart reports whether what stands for r is a word or a number of its
// own: beside a digit it would be read as one with it.
func standsApart(r rune) bool {
	return unicode.Is(unicode.No, r) || unicode.Is(unicode.Sc, r) && septet(r) == notGSM7 && !isFullWidth(r)
}

func isSuperscript(r rune) bool {
	return r == '²' || r == '³' || r == '¹' || r >= '⁰' && r <= '⁹'
}

// isFullWidth reports whether r is a wide form of a character of ISO 8859-1.
func isFullWidth(r rune) bool { return r >= '！' && r <= '～' || r >= '￠' && r <= '￥' }

func isAlphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// lookalike returns what stands for a character that neither is a GSM-7
// character with a mark on it nor decomposes to some.
func lookalike(r rune) (string, bool) {
	if near, ok := lookalikes[r]; ok {
		return near, true
	}
	switch {
	case isInvisible(r):
		return "", true
	case unicode.Is(unicode.Zs, r):
		return " ", true
	}
	return "", false
}
