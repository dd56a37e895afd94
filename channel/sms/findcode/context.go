package findcode

import "sort"

// reach is the largest distance of a number from its name, in characters.
const reach = 60

// A gap describes the text between two places of a message.
type gap struct {
	length int  // in characters
	words  int  // words, or runs of a script without spaces
	comma  bool // a comma or a semicolon
	colon  bool // a colon, and at most one word after it
	line   bool // a line break
	stop   bool // the end of a sentence
	digits bool // a number of three digits or more
}

// between describes the text from a to b.
func (m *message) between(a, b int) gap {
	g := gap{length: b - a}
	atColon := 0
	for i := a; i < b; i++ {
		switch r := m.runes[i]; {
		case m.is(i, digit):
			g.digits = g.digits || m.is(i-1, digit) && m.is(i-2, digit)
		case m.is(i, letter):
			if i == a || !m.is(i-1, letter) {
				g.words++
			}
		case r == ',', r == ';':
			g.comma = true
		case r == ':':
			g.colon, atColon = true, g.words
		case r == '\n':
			g.line = true
		case m.stops(i):
			g.stop = true
		}
	}
	g.colon = g.colon && g.words-atColon <= 1
	return g
}

// clause reports whether nothing in the gap ends a clause.
func (g gap) clause() bool { return !g.comma && !g.line && !g.stop }

// stops reports whether a sentence ends at i.
func (m *message) stops(i int) bool {
	switch m.runes[i] {
	case '!', '?', '。', '|':
		return true
	case '.':
		switch next := i + 1; {
		case m.at(next) == '.', m.is(next, digit):
			return false
		case m.is(next, letter): // a domain, or a space is missing
			return m.is(i-1, digit) || m.is(next, capital)
		}
		return !m.abbreviates(i)
	}
	return false
}

// abbreviates reports whether the full stop at i follows an abbreviation, such
// as "no." before a number.
func (m *message) abbreviates(i int) bool {
	letters := 0
	for letters <= 3 && m.is(i-1-letters, letter) {
		letters++
	}
	next := i + 1
	if m.at(next) == ' ' {
		next++
	}
	return letters > 0 && letters <= 3 && (m.is(next, digit) || m.is(next, letter) && !m.is(next, capital))
}

// before returns the listed words that end at or before i, the nearest last.
func (m *message) before(i int) []span {
	return m.words[:sort.Search(len(m.words), func(k int) bool { return m.words[k].end > i })]
}

// after returns the listed words that begin at or after i, the nearest first.
func (m *message) after(i int) []span {
	return m.words[sort.Search(len(m.words), func(k int) bool { return m.words[k].start >= i }):]
}

// wordBefore returns the last listed word that ends at or before i, or nil.
func (m *message) wordBefore(i int) *span {
	if w := m.before(i); len(w) > 0 {
		return &w[len(w)-1]
	}
	return nil
}

// wordAfter returns the first listed word that begins at or after i, or nil.
func (m *message) wordAfter(i int) *span {
	if w := m.after(i); len(w) > 0 {
		return &w[0]
	}
	return nil
}

// inside returns the listed words from a to b.
func (m *message) inside(a, b int) []span {
	w := m.before(b)
	k := len(w)
	for k > 0 && w[k-1].start >= a {
		k--
	}
	return w[k:]
}

// has reports whether a word of the class is between a and b.
func (m *message) has(c class, a, b int) bool {
	for _, w := range m.inside(a, b) {
		if w.is(c) {
			return true
		}
	}
	return false
}
