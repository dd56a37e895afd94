package findcode

import "unicode"

// standsAlone reports whether a number is no part of something else: a word, an amount, a
// time, an address, or a masked card.
func (m *message) standsAlone(n number) bool {
	return m.freeBefore(n.start) && m.freeAfter(n.end) && !m.linked(n)
}

// freeBefore reports whether the text before i is apart from a number at i.
func (m *message) freeBefore(i int) bool {
	switch r := m.at(i - 1); {
	case m.is(i-1, cased): // only the name of the code, as in "OTP482910"
		w := m.wordBefore(i)
		return w != nil && w.end == i && w.is(keyWord, otpWord)
	case r == '-':
		return m.prefixed(i - 1)
	case r == '.', r == ',', r == ':', r == '\'':
		return !m.is(i-2, digit) && m.at(i-2) != r
	case r == '*':
		return m.at(i-2) != '*' && !m.is(i-2, digit) && !m.is(i-2, letter)
	case r == '+', r == '/', r == '_', r == '@', r == '\\', r == '&', r == '~', r == '^', r == '•', r == '×':
		return false
	case r == ' ':
		return !unicode.Is(unicode.Sc, m.at(i-2))
	default:
		return !unicode.Is(unicode.Sc, r)
	}
}

// prefixed reports whether the dash at i follows a space or the short prefix of a code, as in
// "G-482910".
func (m *message) prefixed(i int) bool {
	if w := m.wordBefore(i); w != nil && w.end == i && w.is(keyWord, otpWord, notWord) {
		return !w.is(notWord)
	}
	start := i
	for m.is(start-1, cased) {
		start--
	}
	if start == i {
		r := m.at(i - 1)
		return r == ' ' || r == '\n' || r == ')' || r == ':' || m.is(i-1, spaceless)
	}
	return i-start <= 4 && !m.is(start-1, digit)
}

// freeAfter reports whether the text from i on is apart from a number that ends at i.
func (m *message) freeAfter(i int) bool {
	switch r := m.at(i); {
	case m.is(i, cased):
		return false
	case r == '.', r == ',', r == ':', r == '\'', r == '-':
		return !m.is(i+1, digit)
	case r == '*':
		return !m.is(i+1, digit) && m.at(i+1) != '*'
	case r == '+', r == '/', r == '_', r == '@', r == '%', r == '\\', r == '&', r == '=', r == '°', r == '×':
		return false
	case r == ' ':
		return !unicode.Is(unicode.Sc, m.at(i+1))
	default:
		return !unicode.Is(unicode.Sc, r)
	}
}

// maxLink is how far before the number to look for a link, in characters.
const maxLink = 200

// linked reports whether a number is part of a link.
func (m *message) linked(n number) bool {
	dot := false
	for i := n.start - 1; i >= 0 && n.start-i < maxLink; i-- {
		switch r := m.runes[i]; {
		case r == ' ', r == '\n', r >= 0x80:
			return false
		case r == '.' && m.is(i+1, letter):
			dot = true
		case r == '/' && (dot || m.at(i-1) == '/' && m.at(i-2) == ':'), r == '?' && dot:
			return true
		}
	}
	return false
}

// bound returns the code of a last line that binds it to a website: "@example.com #482910"
// (https://wicg.github.io/sms-one-time-codes/).
func (m *message) bound() (code string, ok bool) {
	end := len(m.runes)
	for end > 0 && (m.at(end-1) == ' ' || m.at(end-1) == '\n') {
		end--
	}
	start := end
	for start > 0 && m.runes[start-1] != '\n' && end-start < 2*maxLink {
		start--
	}
	i, dot := start, false
	for i < end && m.runes[i] != ' ' {
		dot = dot || m.runes[i] == '.'
		i++
	}
	if m.at(start) != '@' || !dot || m.at(i+1) != '#' {
		return "", false
	}
	digits := run{i + 2, i + 2}
	for m.is(digits.end, digit) {
		digits.end++
	}
	if digits.size() < minCode || digits.size() > maxCode || digits.end < end && m.runes[digits.end] != ' ' {
		return "", false
	}
	return m.digits(digits), true
}
