package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns the GSM-7 text nearest to text: typographic quotes, dashes and
// spaces become plain ones, and a letter that GSM-7 lacks becomes its base
// letter ("ç" becomes "c"; "é", which GSM-7 has, stays). What has no near
// character stays as it is, in Unicode normalization form C, so the result is
// GSM-7 only if Detect says so. A GSM-7 text is returned unchanged.
//
// Folding saves segments at the price of spelling: it is a choice per language,
// and never one for the code itself.
func Fold(text string) string {
	if Detect(text) == GSM7 {
		return text
	}
	text = norm.NFC.String(text)
	var b strings.Builder
	b.Grow(len(text))
	plain := true // the character before is GSM-7 now, so a mark on it must go
	for i, r := range text {
		if plain && isLatinMark(r) {
			continue
		}
		if septet(r) != notGSM7 {
			b.WriteRune(r)
			plain = true
			continue
		}
		var near string
		if near, plain = nearest(r); plain {
			b.WriteString(near)
			continue
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		b.WriteString(text[i : i+size])
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
	if !isLatinMark(mark) || size == len(decomposed) {
		return "", false
	}
	// Of several marks the last goes first: "ǘ" is nearer to "ü" than to "u".
	fewer, _ := utf8.DecodeRuneInString(norm.NFC.String(decomposed[:len(decomposed)-size]))
	return nearest(fewer)
}

// isLatinMark reports whether r is a combining mark of the kind that Latin
// letters carry; those of other scripts are letters of their own.
func isLatinMark(r rune) bool {
	return r >= 0x0300 && r <= 0x036F
}

// lookalike returns what stands for a character that is not a GSM-7 character
// with a mark on it.
func lookalike(r rune) (string, bool) {
	switch r {
	case '‘', '’', '‚', '‛', '′', 'ʹ', 'ʻ', 'ʼ', '‹', '›', '`', '´':
		return "'", true
	case '“', '”', '„', '‟', '″', '«', '»':
		return `"`, true
	case '‐', '‑', '‒', '–', '—', '―', '−':
		return "-", true
	case '…':
		return "...", true
	case '•':
		return "*", true
	case '·': // Catalan "col·lecció"
		return ".", true
	case '\t':
		return " ", true
	case '\u0085', '\u2028', '\u2029':
		return "\n", true
	case '\u00AD', '\u200B', '\u2060', '\uFEFF': // soft hyphen and other invisible break hints
		return "", true
	}
	if unicode.Is(unicode.Zs, r) {
		return " ", true
	}
	near, ok := letters[r]
	return near, ok
}

// letters are those whose stroke, hook or shape Unicode does not decompose.
var letters = map[rune]string{
	'Đ': "D", 'đ': "d", 'Ð': "D", 'ð': "d", 'Ɖ': "D", 'ɖ': "d",
	'Þ': "Th", 'þ': "th", 'Œ': "OE", 'œ': "oe", 'ẞ': "SS",
	'Ħ': "H", 'ħ': "h", 'ı': "i", 'Ł': "L", 'ł': "l", 'Ŧ': "T", 'ŧ': "t",
	'Ɓ': "B", 'ɓ': "b", 'Ɗ': "D", 'ɗ': "d", 'Ƙ': "K", 'ƙ': "k", 'Ƴ': "Y", 'ƴ': "y",
	'Ŋ': "N", 'ŋ': "n", 'ĸ': "q", 'ſ': "s", 'Ə': "E", 'ə': "e",
	'Ĳ': "IJ", 'ĳ': "ij", 'Ŀ': "L", 'ŀ': "l", 'ŉ': "'n",
}
