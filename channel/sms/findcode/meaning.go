package findcode

import "slices"

// isOther reports whether the words around a number give it another meaning
// than a code in force.
func (m *message) isOther(n number) bool {
	return m.quantity(n.end) || m.priced(n) || m.scheduled(n) || m.named(n) || m.old(n) || m.void(n)
}

// quantity reports whether the word behind a number that ends at i makes it an
// amount, such as minutes or a currency.
func (m *message) quantity(i int) bool {
	w := m.wordAfter(i)
	if w == nil || w.start-i > 2 || !w.is(unitWord, coinWord) {
		return false
	}
	if g := m.between(i, w.start); g.words > 0 || g.colon || !g.clause() {
		return false
	}
	next := w.end
	for m.at(next) == ' ' || m.at(next) == '.' {
		next++
	}
	if w.is(unitWord) || !m.is(next, digit) {
		return true
	}
	return next > w.end && !m.labelled(i) // else the currency belongs to the next number
}

// labelled reports whether the name of a code stands directly before the number
// that ends at i.
func (m *message) labelled(i int) bool {
	for m.is(i-1, digit) {
		i--
	}
	w := m.wordBefore(i)
	return w != nil && w.is(keyWord, otpWord) && i-w.end <= 3
}

// priced reports whether a currency stands directly before a number.
func (m *message) priced(n number) bool {
	w := m.wordBefore(n.start)
	if w == nil || !w.is(coinWord) || n.start-w.end > 2 {
		return false
	}
	g := m.between(w.end, n.start)
	return g.clause() && !g.colon
}

// scheduled reports whether the word before a number makes it a time of day or
// a year.
func (m *message) scheduled(n number) bool {
	w := m.wordBefore(n.start)
	if w == nil || n.start-w.end > 1 || n.end-n.start != 4 {
		return false
	}
	if w.is(timeWord) && m.is(w.start-2, digit) { // from one number to another
		return true
	}
	return !w.is(isWord) && (n.isTime() && w.is(timeWord) || n.isYear() && w.is(yearWord))
}

// named reports whether a word before a number names something else, such as an
// order, an account or a telephone.
func (m *message) named(n number) bool {
	for _, w := range slices.Backward(m.before(n.start)) {
		g := m.between(w.end, n.start)
		switch {
		case g.length > reach || g.digits || !g.clause(), w.is(keyWord, otpWord, verbWord):
			return false
		case !w.is(notWord):
			continue
		}
		for _, v := range m.inside(w.end, n.start) {
			if v.is(fillWord) && !v.is(isWord) && m.is(v.start, letter) {
				g.words--
			}
		}
		if g.words <= 0 && !g.colon {
			return true
		}
		return g.words <= 1 && !m.about(w.start) && !m.isKey(n)
	}
	return false
}

// about reports whether the sentence names a code before i, with no number
// since: "your code for order: 482910".
func (m *message) about(i int) bool {
	for _, w := range slices.Backward(m.before(i)) {
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

// isKey reports whether the word directly after a number joins it to the name
// of a code: "482910 is your code".
func (m *message) isKey(n number) bool {
	for i, w := range m.after(n.end) {
		g := m.between(n.end, w.start)
		if i == 0 && (!w.is(isWord) || g.length > 3) || g.length > reach || g.digits || !g.clause() {
			return false
		}
		if w.is(keyWord, otpWord) {
			return true
		}
	}
	return false
}

// old reports whether a word before a number makes it void: "your previous code
// 482910".
func (m *message) old(n number) bool {
	for _, w := range slices.Backward(m.before(n.start)) {
		g := m.between(w.end, n.start)
		switch {
		case g.length > reach/2 || g.digits || !g.clause(), w.is(newWord) && !w.is(oldWord):
			return false
		case w.is(oldWord) && g.words <= 3:
			return true
		}
	}
	return false
}

// void reports whether the words after a number make it void: "482910 has
// expired".
func (m *message) void(n number) bool {
	for _, w := range m.after(n.end) {
		g := m.between(n.end, w.start)
		if g.length > reach/2 || g.words > 5 || g.digits || !g.clause() {
			return false
		}
		if w.is(voidWord) {
			return true
		}
	}
	return false
}

// onSale reports whether the text around a number makes an offer.
func (m *message) onSale(n number) bool {
	for _, w := range slices.Backward(m.before(n.start)) {
		if n.start-w.end > 2*reach {
			break
		}
		if w.is(saleWord) {
			return true
		}
	}
	for _, w := range m.after(n.end) {
		if w.start-n.end > 2*reach {
			break
		}
		if w.is(saleWord) {
			return true
		}
	}
	return false
}
