package findcode

// A number is a run of digits, or several runs with one space or dash between them: a candidate for
// the code.
type number struct {
	start, end int // in message.runes
	code       string
	unsure     bool // its groups may be a date or a large amount
}

// The digits of a code.
const (
	minCode = 4
	maxCode = 10
)

// A run is a run of digits: the characters from start up to end.
type run struct{ start, end int }

func (r run) size() int { return r.end - r.start }

// numbers returns the candidates among the runs of digits, in order.
func (m *message) numbers() []number {
	var found []number
	for runs := m.runs(); len(runs) > 0; {
		n := 1 // runs joined to one
		for n < len(runs) && m.joined(runs[n-1], runs[n]) {
			n++
		}
		found = append(found, m.split(runs[:n])...)
		runs = runs[n:]
	}
	return found
}

func (m *message) runs() []run {
	var runs []run
	for i := 0; i < len(m.runes); i++ {
		start := i
		for m.is(i, digit) {
			i++
		}
		if i > start {
			runs = append(runs, run{start, i})
		}
	}
	return runs
}

// joined reports whether one separator of groups of digits stands between two runs.
func (m *message) joined(a, b run) bool {
	if b.start-a.end != 1 {
		return false
	}
	switch m.runes[a.end] {
	case ' ', '-', '·', 'ー':
		return true
	case '.':
		return a.size() == 3 && b.size() == 3
	}
	return false
}

// split returns the candidates in a chain of runs: one number if the groups are equal, or each run
// if they are separate numbers. Unequal groups are a telephone number or a date.
func (m *message) split(chain []run) []number {
	if n := len(chain); n > 1 && chain[n-1].size() < minCode && m.quantity(chain[n-1].end) {
		return m.split(chain[:n-1]) // the last run is a number of minutes
	}
	size, total, long := chain[0].size(), 0, 0
	equal, same, spaces := true, true, true
	for i, r := range chain {
		equal = equal && r.size() == size
		same = same && m.digits(r) == m.digits(chain[0])
		spaces = spaces && (i == 0 || m.runes[r.start-1] == ' ')
		total += r.size()
		if r.size() > 2 {
			long++
		}
	}
	var found []number
	switch n := len(chain); {
	case n == 1, same && total > maxCode: // alone, or repeated
	case equal && (size >= 2 && size <= 4 || size == 1 && n >= minCode) && total <= maxCode:
		if size == 2 && n == 5 && m.runes[chain[0].start] == '0' {
			return nil // as French telephone numbers are written
		}
		return []number{m.grouped(chain)}
	case equal, !spaces, long > 1:
		return nil
	}
	for _, r := range chain {
		if r.size() >= minCode && r.size() <= maxCode {
			found = append(found, number{r.start, r.end, m.digits(r), false})
		}
	}
	return found
}

// grouped returns the number made of all runs of a chain.
func (m *message) grouped(chain []run) number {
	n := number{start: chain[0].start, end: chain[len(chain)-1].end}
	for _, r := range chain {
		n.code += m.digits(r)
	}
	n.unsure = m.runes[chain[0].end] == '.' || len(chain) == 3 && len(n.code) == 6 && n.dated()
	return n
}

func (m *message) digits(r run) string { return string(m.runes[r.start:r.end]) }

// dated reports whether three groups of two are a day, a month and a year, in one of the usual orders.
func (n number) dated() bool {
	day := func(i int) bool { return "01" <= n.code[i:i+2] && n.code[i:i+2] <= "31" }
	month := func(i int) bool { return "01" <= n.code[i:i+2] && n.code[i:i+2] <= "12" }
	return day(0) && month(2) || month(0) && day(2) || month(2) && day(4)
}

// isTime reports whether a number may be a time of day.
func (n number) isTime() bool { return len(n.code) == 4 && clock(n.code) }

func clock(hhmm string) bool { return hhmm < "2400" && hhmm[2] < '6' }

// isYear reports whether a number may be a year.
func (n number) isYear() bool { return len(n.code) == 4 && year(n.code) }

func year(yyyy string) bool { return "1900" <= yyyy && yyyy < "2100" }

// doubtful reports whether a number looks like a year, a date, a span of time or a telephone
// number.
func (n number) doubtful() bool {
	groups := n.end-n.start > len(n.code)
	switch c := n.code; len(c) {
	case 4:
		return year(c) || groups
	case 6:
		return n.unsure
	case 8:
		date := year(c[:4]) && c[4:6] <= "12" && c[6:] <= "31" || c[:2] <= "31" && c[2:4] <= "12" && year(c[4:])
		return date || groups && (clock(c[:4]) && clock(c[4:]) || c[:4] == "0800" || c[:4] == "1800")
	case 9, 10:
		return true
	}
	return false
}
