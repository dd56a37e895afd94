package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns the GSM-7 text nearest to text. If a character of text has no
// near GSM-7 character, such as a Cyrillic letter or an emoji, Fold returns
// text unchanged, because the text would stay UCS-2. A GSM-7 text is unchanged,
// too.
//
// Typographic quotes, dashes and spaces become plain ones. A letter that GSM-7
// lacks becomes its base letter ("ç" becomes "c"; "é", which GSM-7 has, stays).
// Greek capitals become the Latin ones of the same shape. Full-width forms,
// fractions and ligatures become the characters that they stand for (Unicode's
// compatibility decomposition). A currency sign becomes its ISO 4217 code.
// Invisible characters are removed. A number keeps its value: "1½" becomes "1
// 1/2", not "11/2".
//
// Folding saves segments at the price of spelling. Choose it by language. It
// must not change the code itself.
func Fold(text string) string {
	if Detect(text) == GSM7 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	last := ' '    // the last character of b
	apart := false // the next character must not touch a letter or digit
	raised := false
	for _, r := range norm.NFC.String(text) {
		if isMark(r) {
			continue // on a letter in GSM-7, or near one in GSM-7
		}
		if septet(r) != notGSM7 && !apart { // the usual case
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

// nearest returns the GSM-7 text nearest to r, if there is one.
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
		// The last of several marks goes first: "ǘ" is nearer to "ü" than to
		// "u".
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
// carry. The marks of other scripts are letters of their own.
func isMark(r rune) bool {
	return r >= 0x0300 && r <= 0x036F
}

// isInvisible reports whether r itself shows nothing: a format character, a
// variation selector, or the keycap around a digit.
func isInvisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) ||
		unicode.Is(unicode.Variation_Selector, r) || r == '\u20E3'
}

// standsApart reports whether the replacement of r is a word or a number of its
// own. Next to a digit it would be read as one number with it.
func standsApart(r rune) bool {
	return unicode.Is(unicode.No, r) || unicode.Is(unicode.Sc, r) && septet(r) == notGSM7 && !isFullWidth(r)
}

func isSuperscript(r rune) bool {
	return r == '²' || r == '³' || r == '¹' || r >= '⁰' && r <= '⁹'
}

// isFullWidth reports whether r is a wide form of a character of ISO 8859-1.
func isFullWidth(r rune) bool { return r >= '！' && r <= '～' || r >= '￠' && r <= '￥' }

func isAlphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// lookalike returns the replacement of a character that is no marked GSM-7
// character and does not decompose to GSM-7 characters.
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
