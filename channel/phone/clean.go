package phone

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

const (
	maxInput     = 256 // bytes: 32 of the widest digits, and extra characters from copying
	minClean     = 4   // characters
	maxClean     = 32
	maxExtension = 6 // digits: a longer tail is another number
)

// A written number is the digits of an input, with its leading plus. It may
// have an extension.
type written struct {
	number    string
	extension bool
}

// clean reads the characters of a number. It reports false if the input has
// other characters. The library behind this package would fail on invisible
// characters, and read letters as the digits of a keypad.
func clean(input string) (written, bool) {
	if isE164(input) {
		return written{number: input}, true
	}
	if len(input) > maxInput {
		return written{}, false
	}
	text := visible(input)
	if uri, ok := cutScheme(text); ok {
		return cleanURI(uri)
	}
	if number, ok := digits(text); ok {
		return written{number: number}, true
	}
	if rest, ext := phonenumbers.MaybeSeparateExtensionFromPhone(text); ext != "" && len(ext) <= maxExtension {
		number, ok := digits(rest)
		return written{number: number, extension: true}, ok
	}
	return written{}, false
}

// isE164 reports whether s is a plus and 7 to 15 digits.
func isE164(s string) bool {
	if len(s) < 8 || len(s) > 16 || s[0] != '+' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// digits removes the separators from text, which must be 4 to 32 digits and
// separators. One plus may stand before the first digit, as in "(+44) 7912
// 345678".
func digits(text string) (string, bool) {
	if len(text) < minClean || len(text) > maxClean {
		return "", false
	}
	number := make([]byte, 0, maxClean)
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9', r == '+' && len(number) == 0:
			number = append(number, byte(r))
		case !strings.ContainsRune(" ().-/", r):
			return "", false
		}
	}
	return string(number), true
}

// visible returns text in the ASCII form of its characters, without the
// invisible ones, and without the white space, quotes and list separators around
// it.
func visible(text string) string {
	return strings.TrimFunc(strings.Map(plain, text), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.In(r, unicode.Pi, unicode.Pf) || strings.ContainsRune("\"'`<>,;", r)
	})
}

// plain maps a character to its ASCII form, if it has one in a number.
func plain(r rune) rune {
	switch {
	case r < 0x80:
		return symbol(r)
	case ignorable(r):
		return -1
	case unicode.Is(unicode.Nd, r):
		return '0' + digit(r)
	case unicode.Is(unicode.Zs, r), r == '\u2800': // Braille blank
		return ' '
	case unicode.Is(unicode.Pd, r):
		return '-'
	case unicode.Is(unicode.Ps, r):
		return '('
	case unicode.Is(unicode.Pe, r):
		return ')'
	}
	return symbol(r)
}

// ignorable reports whether r is not seen: format characters such as bidi marks
// and joiners, the rest of Unicode's Default_Ignorable_Code_Point (variation
// selectors, fillers), and the frame that makes a keycap of a digit.
func ignorable(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) ||
		r == '\u20e3'
}

// symbol maps the signs that people put in the place of a plus and of separators,
// or that word processors and fonts do.
func symbol(r rune) rune {
	switch r {
	case '\t':
		return ' '
	case '[', '{':
		return '('
	case ']', '}':
		return ')'
	case '＋', '﹢', '➕', '﬩':
		return '+'
	case '−', '➖', '˗', '⁃', '─', '━', // minus signs, hyphen bullet, box drawing
		'ー', 'ｰ', // prolonged sound marks
		'~', '∼', '～', '⁓', // tildes
		'\x1e', '\u0096', '\u0097': // Word's hyphen; dashes of Windows-1252 in disguise
		return '-'
	case '．', '․', '·', '•', '‧', '∙', '⋅', '・', '･', '。', '｡': // full stops and middle dots
		return '.'
	case '／', '⁄', '∕', '⧸':
		return '/'
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
