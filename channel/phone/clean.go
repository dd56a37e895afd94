package phone

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

const (
	maxInput = 256 // bytes: 32 characters, the widest digits, and what copying adds
	minClean = 4
	maxClean = 32
)

// clean returns input in the characters that a number is written with, or why
// it is none. The library behind this package would choke on invisible
// characters, read letters as the digits of a keypad, and take an extension
// from the characters that are refused here.
func clean(input string) (string, Reason) {
	if len(input) > maxInput {
		return "", Malformed
	}
	text := strings.TrimSpace(strings.Map(plain, input))
	if !wellFormed(text) {
		if _, ext := phonenumbers.MaybeSeparateExtensionFromPhone(text); ext != "" {
			return "", Extension
		}
		return "", Malformed
	}
	return text, 0
}

// plain maps a character to its ASCII form, if it has one in a number.
func plain(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case unicode.Is(unicode.Cf, r): // bidi marks, zero-width joiners
		return -1
	case unicode.Is(unicode.Nd, r):
		return '0' + digit(r)
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Pd, r):
		return '-'
	case r == '＋':
		return '+'
	case r == '（':
		return '('
	case r == '）':
		return ')'
	}
	return r
}

// digit is the value of a decimal digit. Unicode assigns the digits of a script
// in order and side by side, and scripts that touch touch at a zero.
func digit(r rune) rune {
	for _, span := range unicode.Nd.R16 {
		if lo, hi := rune(span.Lo), rune(span.Hi); lo <= r && r <= hi {
			return (r - lo) % 10
		}
	}
	for _, span := range unicode.Nd.R32 {
		if lo, hi := rune(span.Lo), rune(span.Hi); lo <= r && r <= hi {
			return (r - lo) % 10
		}
	}
	return 0
}

// wellFormed reports whether text is 4 to 32 digits and separators, with at most
// one plus, before the first digit: "(+44) 7912 345678" is how some write it.
func wellFormed(text string) bool {
	if len(text) < minClean || len(text) > maxClean {
		return false
	}
	begun := false
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			begun = true
		case strings.ContainsRune(" ().-/", r):
		case r == '+' && !begun:
			begun = true
		default:
			return false
		}
	}
	return true
}
