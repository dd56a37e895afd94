package findcode

import "unicode"

// A number is a run of digits, or several that one space or dash each joins: a candidate for the code.
type number struct {
	start, end int    // in message.runes
	code       string // its digits
	unsure     bool   // its groups may be a date or a large amount
}

const (
	minCode = 4
	maxCode = 10
)

// numbers returns the candidates among the runs of digits, in order.
func (m *message) numbers() []number {
	var found []number
	runs := m.runs()
	for len(runs) > 0 {
		n := 1 // runs joined to one
		for n < len(runs) && m.joined(runs[n-1], runs[n]) {
			n++
		}
		found = append(found, m.split(runs[:n])...)
		runs = runs[n:]
	}
	return found
}

// runs returns the runs of digits.
func (m *message) runs() []span {
	var runs []span
	for i := 0; i < len(m.runes); i++ {
		if !isDigit(m.runes[i]) {
			continue
		}
		start := i
		for isDigit(m.at(i)) {
			i++
		}
		runs = append(runs, span{start: start, end: i})
	}
	return runs
}

// joined reports whether one space or dash is between two runs.
func (m *message) joined(a, b span) bool {
	if b.start-a.end != 1 {
		return false
	}
	r := m.runes[a.end]
	return r == ' ' || r == '-' || r == 'ー' || r == '·' || r == '.' && a.size() == 3 && b.size() == 3
}

// split returns the candidates in a chain of runs: one number in equal groups, or, of numbers that only happen to be
// neighbours, each. Unequal groups are a telephone number or a date.
func (m *message) split(chain []span) []number {
	if n := len(chain); n > 1 && m.quantity(chain[n-1].end) && chain[n-1].size() < minCode {
		return m.split(chain[:n-1]) // the last is a number of minutes
	}
	size, total, long, dash := chain[0].size(), 0, 0, false
	equal, same := true, size >= minCode
	for i, run := range chain {
		same = same && m.digits(chain[i:i+1]) == m.digits(chain[:1])
		equal = equal && run.size() == size
		total += run.size()
		if run.size() > 2 {
			long++
		}
		dash = dash || i > 0 && m.runes[run.start-1] != ' '
	}
	switch n := len(chain); {
	case n == 1, same && total > maxCode: // perhaps the code again
	case equal && (size >= 2 && size <= 4 || size == 1 && n >= minCode) && total <= maxCode:
		if size == 2 && n == 5 && m.runes[chain[0].start] == '0' {
			return nil // as French telephone numbers are written
		}
		unsure := n == 3 && size == 2 && m.dated(chain) || m.runes[chain[0].end] == '.'
		return []number{{chain[0].start, chain[n-1].end, m.digits(chain), unsure}}
	case dash, equal, long > 1:
		return nil
	}
	var found []number
	for _, run := range chain {
		found = append(found, m.single(run)...)
	}
	return found
}

func (m *message) single(run span) []number {
	if n := run.size(); n < minCode || n > maxCode {
		return nil
	}
	return []number{{run.start, run.end, m.digits([]span{run}), false}}
}

func (s span) size() int { return s.end - s.start }

func (m *message) digits(runs []span) string {
	var code []byte
	for _, run := range runs {
		for _, r := range m.runes[run.start:run.end] {
			code = append(code, byte(r))
		}
	}
	return string(code)
}

// dated reports whether groups of two are a day, a month and a year, in one of the usual orders.
func (m *message) dated(g []span) bool {
	v := func(i int) int { return int(m.runes[g[i].start]-'0')*10 + int(m.runes[g[i].start+1]-'0') }
	day := func(i int) bool { return v(i) >= 1 && v(i) <= 31 }
	month := func(i int) bool { return v(i) >= 1 && v(i) <= 12 }
	return day(0) && month(1) || month(0) && day(1) || month(1) && day(2)
}

// standsAlone reports whether nothing touches a number that makes it part of something else: a word, an amount, a time,
// an address, a masked card.
func (m *message) standsAlone(n number) bool {
	return m.freeBefore(n.start) && m.freeAfter(n.end) && !m.linked(n)
}

func (m *message) freeBefore(i int) bool {
	r, before := m.at(i-1), m.at(i-2)
	switch {
	case cased(r):
		w := m.wordBefore(i)
		return w != nil && w.end == i && w.is(keyWord, otpWord)
	case r == '-':
		return m.prefixed(i - 1)
	case r == '.', r == ',', r == ':', r == '\'':
		return !isDigit(before) && before != r
	case r == '*':
		return m.at(i-2) != '*' && !isDigit(before) && !isLetter(before)
	case r == '+', r == '/', r == '_', r == '@', r == '\\', r == '&', r == '~', r == '^', r == '•', r == '×':
		return false
	case unicode.Is(unicode.Sc, r), r == ' ' && unicode.Is(unicode.Sc, before):
		return false
	}
	return true
}

// prefixed reports whether the dash at i follows the short prefix of a code, as in "G-482910", or a space.
func (m *message) prefixed(i int) bool {
	start := i
	for start > 0 && cased(m.runes[start-1]) {
		start--
	}
	if w := m.wordBefore(i); w != nil && w.end == i && w.is(keyWord, otpWord, notWord) {
		return !w.is(notWord)
	}
	if start == i {
		r := m.at(i - 1)
		return r == ' ' || r == '\n' || spaceless(r) || r == ')' || r == ':'
	}
	return i-start <= 4 && !isDigit(m.at(start-1))
}

func (m *message) freeAfter(i int) bool {
	r, after := m.at(i), m.at(i+1)
	switch {
	case cased(r):
		return false
	case r == '.', r == ',', r == ':', r == '\'', r == '-':
		return !isDigit(after)
	case r == '*':
		return !isDigit(after) && after != '*'
	case r == '+', r == '/', r == '_', r == '@', r == '%', r == '\\', r == '&', r == '=', r == '°', r == '×':
		return false
	case unicode.Is(unicode.Sc, r), r == ' ' && unicode.Is(unicode.Sc, after):
		return false
	}
	return true
}

// linked reports whether a number is part of a link.
func (m *message) linked(n number) bool {
	dot := false
	for i := n.start - 1; i >= 0 && n.start-i < 200; i-- {
		switch r := m.runes[i]; {
		case r == ' ', r == '\n', r >= 0x80:
			return false
		case r == '.' && isLetter(m.at(i+1)):
			dot = true
		case r == '/' && (dot || m.at(i-1) == '/' && m.at(i-2) == ':'), r == '?' && dot:
			return true
		}
	}
	return false
}

// bound returns the code of a last line that binds it to a website: "@example.com #482910".
func (m *message) bound() (code string, ok bool) {
	end := len(m.runes)
	for end > 0 && (m.runes[end-1] == ' ' || m.runes[end-1] == '\n') {
		end--
	}
	start := end
	for start > 0 && m.runes[start-1] != '\n' && end-start < 300 {
		start--
	}
	line := m.runes[start:end]
	if len(line) < 4 || line[0] != '@' {
		return "", false
	}
	i, dot := 1, false
	for i < len(line) && line[i] != ' ' {
		dot = dot || line[i] == '.'
		i++
	}
	if !dot || i+2 >= len(line) || line[i+1] != '#' {
		return "", false
	}
	from := i + 2
	for i = from; i < len(line) && isDigit(line[i]); i++ {
	}
	if i < len(line) && line[i] != ' ' || i-from < minCode || i-from > maxCode {
		return "", false
	}
	return string(line[from:i]), true
}
