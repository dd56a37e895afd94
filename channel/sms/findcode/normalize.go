package findcode

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A message is a text in the form that the rules are written for.
type message struct {
	runes []rune // see normalize
	upper []bool // which of them were capitals
	words []span // marks of the word list, in order; see lexicon.mark
}

// normalize returns the text without case, without invisible characters and without the marks on Latin, Greek,
// Cyrillic, Hebrew and Arabic letters. Digits of any script are ASCII digits, white space is one space, line breaks are
// one line feed, and dashes are "-".
func normalize(text string) *message {
	m := &message{runes: make([]rune, 0, len(text)), upper: make([]bool, 0, len(text))}
	for _, r := range text {
		if r < 0x80 {
			m.add(r, 'A' <= r && r <= 'Z')
			continue
		}
		for _, f := range fold(r) {
			m.add(f, unicode.IsUpper(r))
		}
	}
	return m
}

// add appends a folded character.
func (m *message) add(r rune, upper bool) {
	last := rune('\n')
	if n := len(m.runes); n > 0 {
		last = m.runes[n-1]
	}
	switch {
	case 'A' <= r && r <= 'Z':
		r += 'a' - 'A'
	case r == '\n', r == '\r':
		if last == ' ' { // a line ends without a space
			m.runes[len(m.runes)-1] = '\n'
			return
		}
		if last == '\n' {
			return
		}
		r = '\n'
	case r < ' ', r == ' ':
		if last == ' ' || last == '\n' {
			return
		}
		r = ' '
	}
	m.runes, m.upper = append(m.runes, r), append(m.upper, upper)
}

// fold returns what a character beyond ASCII stands for. It may be nothing.
func fold(r rune) []rune {
	if f, ok := folds[r]; ok {
		return f
	}
	switch {
	case unicode.Is(unicode.Cf, r), marks(r):
		return nil
	case unicode.Is(unicode.Nd, r):
		return []rune{'0' + digitValue(r)}
	case 0xFF01 <= r && r <= 0xFF5E: // full-width forms of ASCII
		return []rune{unicode.ToLower(r - 0xFEE0)}
	case unicode.Is(unicode.Pd, r):
		return []rune{'-'}
	case r == 0x85, r == 0x2028, r == 0x2029:
		return []rune{'\n'}
	case unicode.IsSpace(r):
		return []rune{' '}
	}
	r = unicode.ToLower(r)
	if r < 0x0900 || 0x1E00 <= r && r < 0x2000 {
		r = base(r)
		if f, ok := folds[r]; ok {
			return f
		}
	}
	return []rune{r}
}

// base returns a letter without its marks.
func base(r rune) rune {
	if d := norm.NFD.PropertiesString(string(r)).Decomposition(); d != nil {
		for _, first := range string(d) {
			return first
		}
	}
	return r
}

// marks reports whether r is a mark that is dropped: an accent, the points of Hebrew and Arabic, a variation selector,
// the frame of a keycap. The vowels of Indic scripts are not.
func marks(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me) &&
		(r < 0x0900 || 0x1AB0 <= r && r <= 0x20FF || 0xFE00 <= r && r <= 0xFE2F || r > 0xFFFF)
}

// folds are characters that have no decomposition, and the ways to write one sound that people mix.
var folds = map[rune][]rune{
	'ø': {'o'}, 'Ø': {'o'}, 'ł': {'l'}, 'Ł': {'l'}, 'đ': {'d'}, 'Đ': {'d'}, 'ð': {'d'}, 'Ð': {'d'}, 'ı': {'i'},
	'ß': {'s', 's'}, 'æ': {'a', 'e'}, 'Æ': {'a', 'e'}, 'œ': {'o', 'e'}, 'þ': {'t', 'h'}, 'Þ': {'t', 'h'}, 'ə': {'e'},
	'Ə': {'e'}, 'ħ': {'h'}, 'Ħ': {'h'}, 'ɗ': {'d'}, 'Ɗ': {'d'}, 'ɓ': {'b'}, 'Ɓ': {'b'}, 'ƙ': {'k'}, 'Ƙ': {'k'},
	'ƴ': {'y'}, 'ŋ': {'n'}, 'ς': {'σ'}, '’': {'\''}, '‘': {'\''}, 'ʻ': {'\''}, 'ʼ': {'\''}, '`': {'\''}, '\u2212': {'-'},
	'ي': {'ی'}, 'ى': {'ی'}, 'ك': {'ک'}, 'ة': {'ه'}, 'ہ': {'ه'}, 'ھ': {'ه'}, 'ـ': nil, '،': {','}, '؛': {';'}, '؟': {'?'},
	'，': {';'}, '、': {';'}, '…': {'.', '.', '.'}, '״': {'"'}, '׳': {'\''}, '।': {'。'}, '։': {'。'}, '።': {'。'}, '・': {' '},
}

// digitValue relies on Unicode's promise that the digits of a script (general category Nd) stand together, in order,
// from a zero.
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

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// isLetter reports whether r is of a word. A mark or vowel sign belongs to its letter.
func isLetter(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z'
	}
	return unicode.In(r, unicode.L, unicode.M)
}

// spaceless reports whether r is a letter of a script that writes no spaces between words.
func spaceless(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai,
		unicode.Lao, unicode.Khmer, unicode.Myanmar) || r == 'ー'
}

// cased reports whether r is a letter of a script with capitals. Such a letter beside a digit is of the same word.
func cased(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z'
	}
	return unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian)
}

// at returns the character at i, or a line feed outside the text.
func (m *message) at(i int) rune {
	if i < 0 || i >= len(m.runes) {
		return '\n'
	}
	return m.runes[i]
}
