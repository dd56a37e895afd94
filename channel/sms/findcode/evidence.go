package findcode

import "slices"

// Evidence is a sign that a number is a code.
type evidence struct {
	distance int  // to the word, in characters, with penalties
	otp      bool // the word names a one-time code
}

// Penalties, in characters of distance.
const (
	farthest = 85  // too far to be evidence
	behind   = 8   // the word is behind the number
	weakly   = 12  // a weak word
	apart    = 20  // in another sentence, or not joined
	other    = 30  // another number is nearer to the word
	entered  = 40  // a request to enter the number stands in place of the word
	oneTime  = -10 // a word for a one-time code
)

// weigh returns the best evidence for the number all[i].
func (m *message) weigh(all []number, i int) (best evidence, ok bool) {
	best.distance = farthest + 1
	for _, look := range []func([]number, int) (evidence, bool){m.nameBefore, m.nameBehind, m.toEnter} {
		if e, ok := look(all, i); ok && e.distance < best.distance {
			best = e
		}
	}
	return best, best.distance <= farthest && (best.otp || !m.onSale(all[i]))
}

// nameBefore looks for the name of a code before the number.
func (m *message) nameBefore(all []number, i int) (e evidence, ok bool) {
	n := all[i]
	for _, w := range slices.Backward(m.before(n.start)) {
		g := m.between(w.end, max(w.end, m.prefix(n)))
		parted := g.stop || g.line && !m.beginsLine(n)
		if g.length > reach || parted && !m.alone(n) {
			return e, false
		}
		e.distance = g.length
		if i > 0 && all[i-1].start >= w.end {
			e.distance += other
		}
		if parted {
			e.distance += apart
		}
		switch {
		case w.is(otpWord):
			return evidence{e.distance + oneTime, true}, m.says(w.end, n, g)
		case w.is(keyWord):
			return e, m.says(w.end, n, g)
		case w.is(weakWord) && g.words <= 1 && g.length <= 8 && !g.stop && !g.comma && !m.has(sendWord, w.end, n.start):
			e.distance += weakly
			return e, true
		}
	}
	return e, false
}

// says reports whether the words from the name of a code, at i, to the number join the two. The
// shorter a number is, and the more it looks like something else, the closer it must be to the
// name.
func (m *message) says(i int, n number, g gap) bool {
	last := m.wordBefore(n.start)
	switch joined := g.words == 0 || last.is(isWord) && n.start-last.end <= 2; {
	case g.colon:
		return true
	case m.has(sendWord, i, n.start), g.words > 0 && last.is(timeWord) && m.toSend(i):
		return false
	case joined:
		return g.words <= 2 || !n.doubtful() || !last.is(timeWord, yearWord) && !m.has(taleWord, i, n.start)
	case n.doubtful(), m.has(taleWord, i, n.start):
		return false
	}
	return len(n.code) >= 6 || !g.comma && m.unknown(i, m.prefix(n)) <= 1
}

// unknown counts the words between a and b that are not listed and are no names.
func (m *message) unknown(a, b int) (n int) {
	for i := a; i < b; i++ {
		if m.is(i, letter) && (i == a || !m.is(i-1, letter)) && (!m.is(i, capital) || m.is(i+1, capital)) {
			n++
		}
	}
	for _, w := range m.inside(a, b) {
		if w.is(isWord, goalWord, weakWord, fillWord, keyWord, otpWord, yearWord) && !m.is(w.start, capital) {
			n -= m.between(w.start, w.end).words
		}
	}
	return n
}

// toSend reports whether the sentence asks to send the word before i: "text CODE to 44100".
func (m *message) toSend(i int) bool {
	for _, w := range slices.Backward(m.before(i)) {
		if g := m.between(w.end, i); g.length > reach || g.stop || g.line {
			return false
		}
		if w.is(sendWord) {
			return true
		}
	}
	return false
}

// nameBehind looks for the name of a code behind the number, in its sentence.
func (m *message) nameBehind(all []number, i int) (e evidence, ok bool) {
	n := all[i]
	alone := m.alone(n)
	for _, w := range m.after(n.end) {
		g := m.between(n.end, w.start)
		parted := g.stop || g.line
		if g.length > reach || parted && !alone {
			return e, false
		}
		if !w.is(keyWord, otpWord) {
			continue
		}
		if m.aside(n, w) || n.doubtful() && !m.isKey(n) && !m.heads(n) {
			return e, false
		}
		e = evidence{g.length + behind, w.is(otpWord)}
		if i+1 < len(all) && (all[i+1].start < w.start || g.comma) {
			e.distance += other
		}
		if parted {
			e.distance += apart
		}
		if !alone && !m.subject(n) {
			if !m.isKey(n) && (g.words > 1 || g.comma) {
				return e, false
			}
			e.distance += apart
		}
		if e.otp {
			e.distance += oneTime
		}
		return e, true
	}
	return e, false
}

// heads reports whether a number begins its line, and a dash or bracket is behind it.
func (m *message) heads(n number) bool {
	next := n.end
	if m.at(next) == ' ' {
		next++
	}
	return m.beginsLine(n) && (m.at(next) == '-' || m.at(next) == '(' || m.at(next) == '\n')
}

// aside reports whether the word is in another clause than the number, after other words and a
// comma.
func (m *message) aside(n number, w span) bool {
	words := false
	for i := n.end; i < w.start; i++ {
		words = words || m.is(i, letter)
		if words && (m.runes[i] == ',' || m.runes[i] == ';') {
			return true
		}
	}
	return false
}

// toEnter looks for a request to enter the number, or for a colon before it, and for the purpose of
// the number.
func (m *message) toEnter(all []number, i int) (e evidence, ok bool) {
	n := all[i]
	asked := m.at(n.start-2) == ':' && m.at(n.start-1) == ' ' && len(n.code) > minCode && !n.doubtful()
	for _, w := range slices.Backward(m.before(n.start)) {
		g := m.between(w.end, n.start)
		if g.words > 4 || g.length > reach/2 || g.digits || !g.clause() {
			break
		}
		asked = asked || w.is(verbWord)
	}
	if w := m.wordAfter(n.end); w != nil && w.is(verbWord) {
		g := m.between(n.end, w.start)
		asked = asked || g.words <= 1 && g.length <= 12 && g.clause()
	}
	return evidence{distance: entered}, asked && m.goal(n)
}

// goal reports whether the sentence names the purpose of a code.
func (m *message) goal(n number) bool {
	for _, w := range m.after(n.end) {
		if g := m.between(n.end, w.start); g.length > 2*reach || g.stop {
			break
		}
		if w.is(goalWord) {
			return true
		}
	}
	for _, w := range slices.Backward(m.before(n.start)) {
		if g := m.between(w.end, n.start); g.length > 2*reach || g.stop {
			break
		}
		if w.is(goalWord) {
			return true
		}
	}
	return false
}

// subject reports whether a number begins its clause, or follows a verb.
func (m *message) subject(n number) bool {
	i := n.start - 1
	for m.at(i) == ' ' || m.at(i) == '"' || m.at(i) == '\'' || m.at(i) == '(' || m.at(i) == '#' {
		i--
	}
	if !m.is(i, letter) && !m.is(i, digit) || m.is(i, spaceless) {
		return m.at(i) != '.' || !m.is(i-1, digit) // "14.12. 1430"
	}
	w := m.wordBefore(n.start)
	return w != nil && w.end >= i && w.is(verbWord, isWord)
}

// beginsLine reports whether a number is the first word of its line.
func (m *message) beginsLine(n number) bool {
	i := m.prefix(n) - 1
	for i >= 0 && m.runes[i] != '\n' && !m.is(i, letter) && !m.is(i, digit) {
		i--
	}
	return m.at(i) == '\n'
}

// prefix returns the start of a number with its prefix, such as "G-".
func (m *message) prefix(n number) int {
	i := n.start
	if m.at(i-1) == '-' {
		for i--; i >= n.start-5 && m.is(i-1, cased); i-- {
		}
	}
	return i
}

// alone reports whether a number is its sentence or line. Two words may follow it, or a name may
// precede it.
func (m *message) alone(n number) bool {
	words := 0
	for i := n.end; i < len(m.runes) && i < n.end+reach && m.runes[i] != '\n' && !m.stops(i); i++ {
		if m.is(i, letter) && !m.is(i-1, letter) {
			words++
		}
	}
	if words > 2 {
		return false
	}
	for i := m.prefix(n) - 1; n.start-i < reach; i-- {
		switch {
		case m.at(i) == '\n' || m.stops(i):
			return true
		case m.is(i, letter):
			return m.sender(i + 1)
		case m.is(i, digit):
			return false
		}
	}
	return false
}

// sender reports whether the words before i are a name at the start of the text, as in "MyBank:
// 482910".
func (m *message) sender(i int) bool {
	switch m.at(i) {
	case ':', ']', '】', ')', '>':
	default:
		return false
	}
	words := 0
	for from := i; i > 0; {
		i--
		if m.is(i, letter) && !m.is(i-1, letter) {
			words++
		}
		if words > 3 || from-i > reach || m.runes[i] == '\n' || m.is(i, digit) {
			return false
		}
	}
	return true
}
