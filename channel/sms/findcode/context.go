package findcode

import "sort"

// reach is how far from a number its name may be, in characters.
const reach = 60

// A gap is what is between two places of a message.
type gap struct {
	length int
	words  int  // words, or runs of a script without spaces
	comma  bool // a comma, or a semicolon
	colon  bool
	line   bool // a line break
	stop   bool // the end of a sentence
	digits bool // a number of three digits or more
}

// between describes the text from a to b.
func (m *message) between(a, b int) gap {
	g := gap{length: b - a}
	for i := a; i < b; i++ {
		switch r := m.runes[i]; {
		case isDigit(r):
			g.digits = g.digits || isDigit(m.at(i-1)) && isDigit(m.at(i-2))
		case isLetter(r):
			if i == a || !isLetter(m.runes[i-1]) {
				g.words++
			}
		case r == ',', r == ';':
			g.comma = true
		case r == ':':
			g.colon = true
		case r == '\n':
			g.line = true
		case m.stops(i):
			g.stop = true
		}
	}
	return g
}

// stops reports whether a sentence ends at i.
func (m *message) stops(i int) bool {
	switch m.runes[i] {
	case '!', '?', '。', '|':
		return true
	case '.':
		next := m.at(i + 1)
		if isLetter(next) { // a domain, or a space is missing
			return isDigit(m.at(i-1)) || i+1 < len(m.upper) && m.upper[i+1]
		}
		return !isDigit(next) && !m.abbreviates(i)
	}
	return false
}

// abbreviates reports whether the full stop at i follows an abbreviation, such as "no." before a number.
func (m *message) abbreviates(i int) bool {
	if m.at(i+1) == '.' {
		return false
	}
	letters := 0
	for letters <= 3 && isLetter(m.at(i-1-letters)) {
		letters++
	}
	next := i + 1
	for m.at(next) == ' ' {
		next++
	}
	if next >= len(m.runes) || letters == 0 || letters > 3 {
		return false
	}
	return isDigit(m.runes[next]) || isLetter(m.runes[next]) && !m.upper[next]
}

// wordsBefore returns how many words of the list end at or before i.
func (m *message) wordsBefore(i int) int {
	return sort.Search(len(m.words), func(k int) bool { return m.words[k].end > i })
}

// wordBefore returns the last word of the list that ends at or before i, nil if there is none.
func (m *message) wordBefore(i int) *span {
	if k := m.wordsBefore(i); k > 0 {
		return &m.words[k-1]
	}
	return nil
}

// wordAfter returns the first word of the list that begins at or after i, nil if there is none.
func (m *message) wordAfter(i int) *span {
	k := sort.Search(len(m.words), func(k int) bool { return m.words[k].start >= i })
	if k < len(m.words) {
		return &m.words[k]
	}
	return nil
}

// quantity reports whether the word behind a number that ends at i makes it an amount, such as minutes or a currency.
func (m *message) quantity(i int) bool {
	w := m.wordAfter(i)
	if w == nil || w.start-i > 2 || !w.is(unitWord, coinWord) {
		return false
	}
	g := m.between(i, w.start)
	if g.words > 0 || g.comma || g.colon || g.line || g.stop {
		return false
	}
	next := w.end
	for r := m.at(next); r == ' ' || r == '.'; r = m.at(next) {
		next++
	}
	return w.is(unitWord) || !isDigit(m.at(next)) || next > w.end && !m.labelled(i)
}

// labelled reports whether the number that ends at i has the name of a code right before it.
func (m *message) labelled(i int) bool {
	for isDigit(m.at(i - 1)) {
		i--
	}
	w := m.wordBefore(i)
	return w != nil && w.is(keyWord, otpWord) && i-w.end <= 3
}

// means reports whether the words around a number say that it is something else than a code in force.
func (m *message) means(n number) bool {
	return m.quantity(n.end) || m.priced(n) || m.dial(n) || m.named(n) || m.old(n) || m.voided(n)
}

// priced reports whether a currency is right before a number.
func (m *message) priced(n number) bool {
	w := m.wordBefore(n.start)
	if w == nil || !w.is(coinWord) {
		return false
	}
	g := m.between(w.end, n.start)
	return g.length <= 2 && !g.comma && !g.colon && !g.line
}

// dial reports whether a number is a time of day or a year, by the word before it.
func (m *message) dial(n number) bool {
	if len(n.code) != 4 || n.end-n.start != 4 {
		return false
	}
	w := m.wordBefore(n.start)
	if w == nil || n.start-w.end > 1 {
		return false
	}
	if w.is(timeWord) && isDigit(m.at(w.start-2)) { // from one number to another
		return true
	}
	return n.isTime() && w.is(timeWord) && !w.is(isWord) || n.isYear() && w.is(yearWord) && !w.is(isWord)
}

func (n number) isTime() bool { return len(n.code) == 4 && n.code < "2400" && n.code[2] < '6' }

func (n number) isYear() bool { return len(n.code) == 4 && "1900" <= n.code && n.code < "2100" }

// named reports whether a word before a number says that it is something else: an order, an account, a telephone.
func (m *message) named(n number) bool {
	for k := m.wordsBefore(n.start); k > 0; k-- {
		w := m.words[k-1]
		g := m.between(w.end, n.start)
		switch {
		case g.length > 40 || g.digits || g.comma || g.line || g.stop:
			return false
		case w.is(keyWord, otpWord, verbWord):
			return false
		case !w.is(notWord):
			continue
		}
		words := g.words - m.fillers(w.end, n.start)
		switch {
		case words <= 0 && !g.colon:
			return true
		case words <= 1:
			return !m.keyBefore(w.start) && !m.isKey(n)
		}
		return false
	}
	return false
}

// isKey reports whether the word right behind a number joins it to the name of a code.
func (m *message) isKey(n number) bool {
	w := m.wordAfter(n.end)
	if w == nil || !w.is(isWord) || w.start-n.end > 3 {
		return false
	}
	for ; w != nil; w = m.wordAfter(w.end) {
		g := m.between(n.end, w.start)
		if g.length > reach || g.comma || g.digits || g.line || g.stop {
			return false
		}
		if w.is(keyWord, otpWord) {
			return true
		}
	}
	return false
}

// onSale reports whether the text around a number is of offers.
func (m *message) onSale(n number) bool {
	for k := m.wordsBefore(n.start); k > 0 && n.start-m.words[k-1].end <= 2*reach; k-- {
		if m.words[k-1].is(saleWord) {
			return true
		}
	}
	for w := m.wordAfter(n.end); w != nil && w.start-n.end <= 2*reach; w = m.wordAfter(w.end) {
		if w.is(saleWord) {
			return true
		}
	}
	return false
}

// fillers counts the words that mean "number" between a and b.
func (m *message) fillers(a, b int) (n int) {
	for k := m.wordsBefore(b); k > 0 && m.words[k-1].start >= a; k-- {
		if w := m.words[k-1]; w.is(fillWord) && isLetter(m.runes[w.start]) && !w.is(isWord) {
			n++
		}
	}
	return n
}

// keyBefore reports whether the sentence names a code before i, and no number since.
func (m *message) keyBefore(i int) bool {
	for k := m.wordsBefore(i); k > 0; k-- {
		w := m.words[k-1]
		g := m.between(w.end, i)
		if g.length > reach || g.digits || g.line || g.stop {
			return false
		}
		if w.is(keyWord, otpWord) {
			return true
		}
	}
	return false
}

// old reports whether a word before a number says that it is void, such as "previous".
func (m *message) old(n number) bool {
	for k := m.wordsBefore(n.start); k > 0; k-- {
		w := m.words[k-1]
		g := m.between(w.end, n.start)
		switch {
		case g.length > 30 || g.digits || g.comma || g.stop || g.line && !w.is(oldWord):
			return false
		case w.is(newWord) && !w.is(oldWord):
			return false
		case w.is(oldWord) && g.words <= 3:
			return true
		}
	}
	return false
}

// voided reports whether the words behind a number say that it is void, such as "has expired".
func (m *message) voided(n number) bool {
	for w := m.wordAfter(n.end); w != nil; w = m.wordAfter(w.end) {
		g := m.between(n.end, w.start)
		if g.length > 30 || g.words > 5 || g.digits || g.comma || g.line || g.stop {
			return false
		}
		if w.is(voidWord) {
			return true
		}
	}
	return false
}
