package findcode

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A message is a text in the form that the rules need.
type message struct {
	runes []rune // see normalize
	kinds []kind // of each
	words []span // the listed words in it, in order; see lexicon.mark
}

// A kind is a set of properties of a character.
type kind uint8

const (
	digit     kind = 1 << iota
	letter         // of a word: a letter, or its mark or vowel sign
	spaceless      // a letter of a script without spaces between words
	cased          // a letter of a script with capitals: next to a digit it is in the same word
	capital        // was a capital
)

// normalize returns the text without case, without invisible characters and without the marks on
// Latin, Greek, Cyrillic, Hebrew and Arabic letters. Digits of any script are ASCII digits, white
// space is one space, line breaks are one line feed, and dashes are "-".
func normalize(text string) *message {
	m := &message{runes: make([]rune, 0, len(text)), kinds: make([]kind, 0, len(text))}
	for _, r := range text {
		if r < utf8.RuneSelf {
			m.addASCII(r)
		} else {
			m.addWide(r)
		}
	}
	return m
}

func (m *message) addASCII(r rune) {
	switch {
	case 'a' <= r && r <= 'z':
		m.add(r, letter|cased)
	case 'A' <= r && r <= 'Z':
		m.add(r+'a'-'A', letter|cased|capital)
	case '0' <= r && r <= '9':
		m.add(r, digit)
	case r == '\n', r == '\r':
		m.lineFeed()
	case r == '`':
		m.add('\'', 0)
	case r <= ' ':
		if last := m.at(len(m.runes) - 1); last != ' ' && last != '\n' {
			m.add(' ', 0)
		}
	default:
		m.add(r, 0)
	}
}

// lineFeed ends a line, without spaces at its end.
func (m *message) lineFeed() {
	switch last := len(m.runes) - 1; m.at(last) {
	case '\n':
	case ' ':
		m.runes[last] = '\n'
	default:
		m.add('\n', 0)
	}
}

func (m *message) add(r rune, k kind) { m.runes, m.kinds = append(m.runes, r), append(m.kinds, k) }

// addWide appends the normal form of a character beyond ASCII. It may be nothing.
func (m *message) addWide(r rune) {
	upper := kind(0)
	if lower := unicode.ToLower(r); lower != r {
		r, upper = lower, capital
	}
	if r < 0x0900 || 0x1E00 <= r && r < 0x2000 {
		r = base(r)
	}
	switch f, ok := folds[r]; {
	case ok:
		for _, r := range f {
			m.add(r, kindOf(r)|upper)
		}
	case unicode.Is(unicode.Cf, r), dropped(r):
	case unicode.Is(unicode.Nd, r):
		m.add('0'+digitValue(r), digit)
	case 0xFF01 <= r && r <= 0xFF5E: // full-width forms of ASCII
		m.addASCII(r - 0xFEE0)
	case r < utf8.RuneSelf: // a letter that had a mark
		m.add(r, kindOf(r)|upper)
	case unicode.Is(unicode.Pd, r):
		m.add('-', 0)
	case r == 0x85, r == 0x2028, r == 0x2029:
		m.lineFeed()
	case unicode.IsSpace(r):
		m.addASCII(' ')
	default:
		m.add(r, kindOf(r)|upper)
	}
}

// base returns a letter without its marks.
func base(r rune) rune {
	var buf [utf8.UTFMax]byte
	d := norm.NFD.Properties(buf[:utf8.EncodeRune(buf[:], r)]).Decomposition()
	if len(d) == 0 {
		return r
	}
	first, _ := utf8.DecodeRune(d)
	return first
}

// dropped reports whether r is a mark that is dropped: an accent, the points of Hebrew and Arabic,
// a variation selector, the frame of a keycap. The vowel signs of Indic scripts are not.
func dropped(r rune) bool {
	return (r < 0x0900 || 0x1AB0 <= r && r <= 0x20FF || 0xFE00 <= r && r <= 0xFE2F || r > 0xFFFF) &&
		unicode.In(r, unicode.Mn, unicode.Me)
}

// folds has the characters without a decomposition, and the ways to write one sound that people
// mix. The commas of Chinese and Japanese are semicolons, since they are in no number.
var folds = map[rune]string{
	'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'ı': "i", 'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th", 'ə': "e", 'ħ': "h",
	'ɗ': "d", 'ɓ': "b", 'ƙ': "k", 'ƴ': "y", 'ŋ': "n", 'ς': "σ",
	'ي': "ی", 'ى': "ی", 'ك': "ک", 'ة': "ه", 'ہ': "ه", 'ھ': "ه", 'ـ': "",
	'’': "'", '‘': "'", 'ʻ': "'", 'ʼ': "'", '״': "\"", '׳': "'", '\u2212': "-", '…': "...",
	'،': ",", '؛': ";", '，': ";", '、': ";", '؟': "?", '।': "。", '։': "。", '።': "。", '・': " ",
}

// digitValue relies on Unicode's promise that the digits of a script (general category Nd) stand
// together, in order, from a zero.
func digitValue(r rune) rune {
	for _, rg := range unicode.Nd.R16 {
		if rune(rg.Lo) <= r && r <= rune(rg.Hi) {
			return (r - rune(rg.Lo)) % 10
		}
	}
	for _, rg := range unicode.Nd.R32 {
		if rune(rg.Lo) <= r && r <= rune(rg.Hi) {
			return (r - rune(rg.Lo)) % 10
		}
	}
	return 0
}

// kindOf returns the kind of a lower-case character.
func kindOf(r rune) kind {
	switch {
	case 'a' <= r && r <= 'z':
		return letter | cased
	case r < utf8.RuneSelf:
		return 0
	case r == 'ー', r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) && unicode.In(r, unicode.L, unicode.M):
		return letter | spaceless
	case !unicode.In(r, unicode.L, unicode.M):
		return 0
	case unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian):
		return letter | cased
	}
	return letter
}

// at returns the character at i, or a line feed outside the text.
func (m *message) at(i int) rune {
	if i < 0 || i >= len(m.runes) {
		return '\n'
	}
	return m.runes[i]
}

// is reports whether the character at i has all the properties.
func (m *message) is(i int, k kind) bool {
	return i >= 0 && i < len(m.kinds) && m.kinds[i]&k == k
}
