package findcode

import "slices"

// MaxText is the longest text that [In] reads, in octets.
const MaxText = 64 << 10

// In returns the code in a text: 4 to 10 digits, without separators. It reports false if the text
// has no code, several candidates or a doubtful one, or more than [MaxText] octets. For example,
// "Your code is 482-910" gives "482910".
func In(text string) (code string, ok bool) {
	if len(text) > MaxText {
		return "", false
	}
	m := normalize(text)
	if code, ok := m.bound(); ok {
		return code, true
	}
	words().mark(m)
	numbers := m.numbers()
	if len(numbers) == 0 {
		return "", false
	}
	if code, ok := m.bare(numbers); ok {
		return code, true
	}
	return m.best(numbers)
}

// bare returns the code of a text that is only the code. The code may stand there twice, and have a
// prefix, as in "G-482910".
func (m *message) bare(numbers []number) (code string, ok bool) {
	at := 0
	for _, n := range numbers {
		if n.code != numbers[0].code || !m.standsAlone(n) || m.speaks(at, m.prefix(n)) {
			return "", false
		}
		at = n.end
	}
	return numbers[0].code, !m.speaks(at, len(m.runes))
}

// speaks reports whether there are words or numbers from a to b.
func (m *message) speaks(a, b int) bool {
	return slices.ContainsFunc(m.kinds[min(a, b):b], func(k kind) bool { return k&(letter|digit) != 0 })
}

// best returns the number with the best evidence. If two have equal evidence, it returns none.
func (m *message) best(numbers []number) (code string, ok bool) {
	var first, second evidence
	var nearest number
	numbers = slices.DeleteFunc(numbers, func(n number) bool { return !m.standsAlone(n) || m.isOther(n) })
	second.distance = farthest + 1
	first.distance = second.distance
	for i, n := range numbers {
		e, ok := m.weigh(numbers, i)
		switch {
		case !ok:
		case n.code == nearest.code:
			first.distance = min(first.distance, e.distance)
		case e.distance < first.distance:
			first, second, nearest = e, first, n
		case e.distance < second.distance:
			second = e
		}
	}
	if nearest.code == "" || second.distance-first.distance <= 3 && second.distance <= farthest {
		return "", false
	}
	for _, n := range numbers {
		if n.code != nearest.code && m.listed(nearest, n) {
			return "", false
		}
	}
	return nearest.code, true
}

// listed reports whether two numbers are a list: between them is a comma or a word such as "or",
// and hardly more.
func (m *message) listed(a, b number) bool {
	if a.start > b.start {
		a, b = b, a
	}
	if b.start-a.end > 10 {
		return false
	}
	g := m.between(a.end, b.start)
	return !g.line && !g.stop && (g.words == 0 || g.words == 1 && (g.length <= 4 || m.has(orWord, a.end, b.start)))
}
