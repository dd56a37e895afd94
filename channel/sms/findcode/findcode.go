// Package findcode finds the one-time code in the text of a message.
package findcode

import "slices"

// MaxText is the longest text that In reads, in octets.
const MaxText = 64 << 10

// In returns the code in a text.
func In(text string) (code string, ok bool) {
	if len(text) > MaxText {
		return "", false
	}
	m := normalize(text)
	if code, ok := m.bound(); ok {
		return code, true
	}
	numbers := m.numbers()
	if len(numbers) == 0 {
		return "", false
	}
	if code, ok := m.bare(numbers); ok {
		return code, true
	}
	words().mark(m)
	return m.best(numbers)
}

// bare returns the code of a text that is nothing else. A code may be there twice, and have a prefix as in "G-482910".
func (m *message) bare(numbers []number) (code string, ok bool) {
	at := 0
	for _, n := range numbers {
		start := n.start
		if m.at(start-1) == '-' {
			for start--; cased(m.at(start - 1)); start-- {
			}
		}
		if n.code != numbers[0].code || !m.standsAlone(n) || m.speaks(at, start) {
			return "", false
		}
		at = n.end
	}
	return numbers[0].code, !m.speaks(at, len(m.runes))
}

// speaks reports whether there are words or numbers from a to b.
func (m *message) speaks(a, b int) bool {
	return slices.ContainsFunc(m.runes[min(a, b):b], func(r rune) bool { return isLetter(r) || isDigit(r) })
}

// A found is a number that words near it call a code.
type found struct {
	number
	distance int
}

// best returns the number that is nearest to a word for a code. Two that are equally near are none.
func (m *message) best(numbers []number) (code string, ok bool) {
	var first, second found
	for i, n := range numbers {
		if !m.standsAlone(n) || m.means(n) {
			continue
		}
		d, ok := m.distance(n, numbers, i)
		if !ok {
			continue
		}
		f := found{n, d}
		switch {
		case f.code == first.code:
			first.distance = min(first.distance, d)
		case first.code == "" || d < first.distance:
			first, second = f, first
		case second.code == "" || d < second.distance:
			second = f
		}
	}
	if first.code == "" || second.code != "" && m.alike(first, second) {
		return "", false
	}
	return first.code, true
}

// alike reports whether two numbers are codes by the same right.
func (m *message) alike(a, b found) bool {
	if a.start > b.start {
		a, b = b, a
	}
	if d := a.distance - b.distance; -3 <= d && d <= 3 {
		return true
	}
	g := m.between(a.end, b.start)
	return g.length <= 6 && g.words <= 1 && !g.stop // "4829 or 9821"
}

// Penalties, in characters of distance.
const (
	farthest = 85  // with penalties
	behind   = 8   // the word is behind the number
	apart    = 20  // another sentence
	other    = 30  // another number is nearer to the word
	weakly   = 12  // a weak word
	onceOnly = -10 // a word for a one-time code
)

// distance returns how far a number is from a word that calls it a code, with penalties.
func (m *message) distance(n number, all []number, i int) (d int, ok bool) {
	best := 1 << 20
	if d, ok := m.before(n, all, i); ok {
		best = min(best, d)
	}
	if d, ok := m.after(n, all, i); ok {
		best = min(best, d)
	}
	if d, ok := m.entered(n); ok {
		best = min(best, d)
	}
	if best > onceOnly+behind && m.onSale(n) {
		return 0, false
	}
	return best, best <= farthest
}

// before looks for the name of a code before the number.
func (m *message) before(n number, all []number, i int) (d int, ok bool) {
	for k := m.wordsBefore(n.start); k > 0; k-- {
		w := m.words[k-1]
		g := m.between(w.end, n.start)
		if g.length > reach {
			return 0, false
		}
		d := g.length
		if i > 0 && all[i-1].start >= w.end {
			d += other
		}
		if n.isTime() && g.comma {
			d += other
		}
		if g.stop || g.line && !m.beginsLine(n) {
			if !m.alone(n) {
				return 0, false
			}
			d += apart
		}
		switch {
		case w.is(otpWord, keyWord) && !m.says(w.end, n, g):
			return 0, false
		case w.is(otpWord):
			return d + onceOnly, true
		case w.is(keyWord):
			return d, true
		case w.is(weakWord) && g.words <= 1 && !m.has(sendWord, w.end, n.start) && g.length <= 8 && !g.stop && !g.comma:
			return d + weakly, true
		}
	}
	return 0, false
}

// says reports whether the words from the name of a code, at i, to the number may say what the code is. The shorter a
// number is, and the more it looks like something else, the closer it has to be joined to the name.
func (m *message) says(i int, n number, g gap) bool {
	last := m.wordBefore(n.start)
	joined := g.words == 0 || g.colon || last.is(isWord) && n.start-last.end <= 2
	switch {
	case g.colon:
		return true
	case m.has(sendWord, i, n.start), g.words > 0 && last.is(timeWord) && m.sent(i):
		return false
	case joined:
		return g.words <= 2 || !n.doubtful()
	case n.doubtful(), m.has(taleWord, i, n.start):
		return false
	}
	return len(n.code) >= 6 || !g.comma && m.unknown(i, n.start) <= 1
}

// has reports whether a word of the class is between a and b.
func (m *message) has(c class, a, b int) bool {
	for k := m.wordsBefore(b); k > 0 && m.words[k-1].start >= a; k-- {
		if m.words[k-1].is(c) {
			return true
		}
	}
	return false
}

// unknown counts the words between a and b that do not go with the name of a code.
func (m *message) unknown(a, b int) int {
	n := m.between(a, b).words
	for k := m.wordsBefore(b); k > 0 && m.words[k-1].start >= a; k-- {
		if w := m.words[k-1]; w.is(isWord, goalWord, weakWord, fillWord, keyWord, otpWord) {
			n -= m.between(w.start, w.end).words
		}
	}
	return n
}

// sent reports whether the sentence asks to send what is named before i, as in "text CODE to 44100".
func (m *message) sent(i int) bool {
	for k := m.wordsBefore(i); k > 0; k-- {
		w := m.words[k-1]
		if g := m.between(w.end, i); g.length > reach || g.stop || g.line {
			return false
		}
		if w.is(sendWord) {
			return true
		}
	}
	return false
}

// doubtful reports whether a number looks like a year, a date, two times or a telephone number.
func (n number) doubtful() bool {
	switch len(n.code) {
	case 4:
		return n.isYear() || n.end-n.start > 4
	case 6:
		return n.unsure
	case 8:
		a, b := n.part(0, 4), n.part(4, 8)
		year := "1900" <= a && a < "2100" && n.part(4, 6) <= "12" && n.part(6, 8) <= "31" ||
			n.part(0, 2) <= "31" && n.part(2, 4) <= "12" && "1900" <= b && b < "2100"
		grouped := n.end-n.start == 9
		return year || grouped && (number{code: a}.isTime() && number{code: b}.isTime() || a == "0800" || a == "1800")
	}
	return len(n.code) > 8
}

func (n number) part(from, to int) string { return n.code[from:to] }

// after looks for the name of a code behind the number, in its sentence.
func (m *message) after(n number, all []number, i int) (d int, ok bool) {
	alone := m.alone(n)
	for w := m.wordAfter(n.end); w != nil; w = m.wordAfter(w.end) {
		g := m.between(n.end, w.start)
		if g.length > reach {
			return 0, false
		}
		if (g.stop || g.line) && !alone {
			return 0, false
		}
		if !w.is(keyWord, otpWord) {
			continue
		}
		d := g.length + behind
		if i+1 < len(all) && all[i+1].start < w.start {
			d += other
		}
		if g.stop || g.line {
			d += apart
		}
		if !alone && !m.subject(n) {
			if !m.linkedTo(n, *w) {
				return 0, false
			}
			d += apart
		}
		if m.interrupted(n, *w) || n.doubtful() && !m.isKey(n) {
			return 0, false
		}
		if w.is(otpWord) {
			d += onceOnly
		}
		return d, true
	}
	return 0, false
}

// interrupted reports whether a comma comes between a number and the word, after other words.
func (m *message) interrupted(n number, w span) bool {
	words := false
	for i := n.end; i < w.start; i++ {
		if isLetter(m.runes[i]) {
			words = true
		}
		if words && (m.runes[i] == ',' || m.runes[i] == ';') {
			return true
		}
	}
	return false
}

// entered looks for a request to enter the number, and what for.
func (m *message) entered(n number) (d int, ok bool) {
	verb := m.at(n.start-2) == ':' && m.at(n.start-1) == ' ' && len(n.code) > minCode && !n.doubtful()
	for k := m.wordsBefore(n.start); k > 0 && !verb; k-- {
		w := m.words[k-1]
		g := m.between(w.end, n.start)
		if g.words > 4 || g.length > 30 || g.digits || g.stop || g.line || g.comma {
			break
		}
		verb = w.is(verbWord)
	}
	if w := m.wordAfter(n.end); !verb && w != nil && w.is(verbWord) {
		g := m.between(n.end, w.start)
		verb = g.words <= 1 && g.length <= 12 && !g.stop && !g.line && !g.comma
	}
	if !verb {
		return 0, false
	}
	for w := m.wordAfter(n.end); w != nil; w = m.wordAfter(w.end) {
		g := m.between(n.end, w.start)
		if g.length > 2*reach || g.stop {
			break
		}
		if w.is(goalWord) {
			return 40, true
		}
	}
	for k := m.wordsBefore(n.start); k > 0; k-- {
		w := m.words[k-1]
		g := m.between(w.end, n.start)
		if g.length > 2*reach || g.stop {
			break
		}
		if w.is(goalWord) {
			return 40, true
		}
	}
	return 0, false
}

// subject reports whether a number begins its clause, or follows a verb that asks to enter it.
func (m *message) subject(n number) bool {
	i := n.start - 1
	for i >= 0 && (m.runes[i] == ' ' || m.runes[i] == '"' || m.runes[i] == '\'' || m.runes[i] == '(' || m.runes[i] == '#') {
		i--
	}
	if i < 0 || !isLetter(m.runes[i]) && !isDigit(m.runes[i]) || spaceless(m.runes[i]) {
		return true
	}
	w := m.wordBefore(n.start)
	return w != nil && w.end >= i && w.is(verbWord, isWord)
}

// linkedTo reports whether the word right behind a number joins it to the name of a code.
func (m *message) linkedTo(n number, w span) bool {
	if g := m.between(n.end, w.start); g.words <= 1 && !g.comma {
		return true
	}
	next := m.wordAfter(n.end)
	return next != nil && next.is(isWord) && next.start-n.end <= 3
}

// beginsLine reports whether a number is the first word of its line.
func (m *message) beginsLine(n number) bool {
	for i := n.start - 1; i >= 0 && m.runes[i] != '\n'; i-- {
		if isLetter(m.runes[i]) && (m.at(n.start-1) != '-' || n.start-i > 5) || isDigit(m.runes[i]) {
			return false
		}
	}
	return true
}

// alone reports whether a number is its sentence or line, but for two words behind it or a name before it.
func (m *message) alone(n number) bool {
	words := 0
	for i := n.end; i < len(m.runes) && i-n.end < reach; i++ {
		if m.runes[i] == '\n' || m.stops(i) {
			break
		}
		if isLetter(m.runes[i]) && !isLetter(m.at(i-1)) {
			words++
		}
	}
	if words > 2 {
		return false
	}
	i := n.start - 1
	for ; i >= 0 && n.start-i < reach; i-- {
		switch r := m.runes[i]; {
		case r == '\n' || m.stops(i):
			return true
		case isLetter(r):
			return m.at(n.start-1) == '-' && n.start-i <= 5 || m.brand(i+1)
		case isDigit(r):
			return false
		}
	}
	return i < 0
}

// brand reports whether the words before i are a name that ends in a colon or bracket, and begin the text.
func (m *message) brand(i int) bool {
	switch m.at(i) {
	case ':', ']', '】', ')', '>':
	default:
		return false
	}
	words := 0
	for i--; i >= 0; i-- {
		if isLetter(m.runes[i]) && !isLetter(m.at(i-1)) {
			words++
		}
		if words > 3 || m.runes[i] == '\n' || isDigit(m.runes[i]) {
			return false
		}
	}
	return true
}
