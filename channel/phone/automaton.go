package phone

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// An automaton matches digits against a pattern of the metadata as a regexp does, in a
// fiftieth of the time: it looks at each digit once. State 0 matches nothing more, and
// state 1 is the first.
type automaton struct {
	next    [][10]uint16
	accepts []bool
}

// maxStates bounds an automaton; the largest of the metadata has under 300 states.
const maxStates = 1 << 12

// newAutomaton returns the automaton of a pattern, and nil if the pattern needs more than
// an automaton of digits has: a look at the text around it, or too many states.
func newAutomaton(pattern string) *automaton {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	p, err := syntax.Compile(parsed.Simplify())
	if err != nil || slices.ContainsFunc(p.Inst, func(i syntax.Inst) bool { return i.Op == syntax.InstEmptyWidth }) {
		return nil
	}
	a, states := &automaton{}, map[string]uint16{}
	var sets [][]uint32 // of each state, the places in the program
	state := func(places []uint32) uint16 {
		slices.Sort(places)
		places = slices.Compact(places)
		name := make([]rune, len(places))
		for i, pc := range places {
			name[i] = rune(pc)
		}
		n, ok := states[string(name)]
		if !ok {
			n = uint16(len(sets))
			states[string(name)], sets = n, append(sets, places)
			a.next = append(a.next, [10]uint16{})
			a.accepts = append(a.accepts, slices.ContainsFunc(places,
				func(pc uint32) bool { return p.Inst[pc].Op == syntax.InstMatch }))
		}
		return n
	}
	state(nil)
	state(reach(p, uint32(p.Start), nil))
	for n := 1; n < len(sets); n++ {
		if len(sets) > maxStates {
			return nil
		}
		for d := range 10 {
			var places []uint32
			for _, pc := range sets[n] {
				if p.Inst[pc].Op != syntax.InstMatch && p.Inst[pc].MatchRune('0'+rune(d)) {
					places = reach(p, p.Inst[pc].Out, places)
				}
			}
			a.next[n][d] = state(places)
		}
	}
	return a
}

// reach adds the places that read a digit or match, and follow pc without a digit.
func reach(p *syntax.Prog, pc uint32, places []uint32) []uint32 {
	var walk func(pc uint32)
	seen := map[uint32]bool{}
	walk = func(pc uint32) {
		if seen[pc] {
			return
		}
		seen[pc] = true
		switch i := &p.Inst[pc]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			walk(i.Out)
			walk(i.Arg)
		case syntax.InstCapture, syntax.InstNop:
			walk(i.Out)
		case syntax.InstFail:
		default:
			places = append(places, pc)
		}
	}
	walk(pc)
	return places
}

// whole reports whether the pattern matches all of the digits.
func (a *automaton) whole(digits string) bool {
	n := uint16(1)
	for _, d := range []byte(digits) {
		n = a.next[n][d-'0']
	}
	return a.accepts[n]
}

// begins reports whether the pattern matches the beginning of the digits, one of them at
// least.
func (a *automaton) begins(digits string) bool {
	n := uint16(1)
	for _, d := range []byte(digits) {
		if n = a.next[n][d-'0']; a.accepts[n] {
			return true
		}
	}
	return false
}

// A matcher matches digits against a pattern of the metadata.
type matcher struct {
	quick *automaton
	slow  *regexp.Regexp // if there is no automaton
}

func newMatcher(pattern string) *matcher {
	if a := newAutomaton(pattern); a != nil {
		return &matcher{quick: a}
	}
	return &matcher{slow: regexp.MustCompile("^(?:" + pattern + ")$")}
}

// whole reports whether the pattern matches all of the digits.
func (m *matcher) whole(digits string) bool {
	if m.quick != nil {
		return m.quick.whole(digits)
	}
	return m.slow.MatchString(digits)
}

// A prefix is a pattern of the metadata for the beginning of a number.
type prefix struct {
	quick *automaton // nil: there is none
	slow  *regexp.Regexp
}

func newPrefix(pattern string) *prefix {
	return &prefix{newAutomaton(pattern), regexp.MustCompile("^(?:" + pattern + ")")}
}

// matches reports whether the pattern matches the beginning of the digits.
func (p *prefix) matches(digits string) bool {
	if p.quick != nil {
		return p.quick.accepts[1] || p.quick.begins(digits)
	}
	return p.slow.MatchString(digits)
}

// cuts reports whether the pattern takes digits from the beginning. A pattern that could
// also take none, and prefers to, takes none: only the regexp knows.
func (p *prefix) cuts(digits string) bool {
	if p.quick != nil && !p.quick.begins(digits) {
		return false
	}
	at := p.slow.FindStringIndex(digits)
	return at != nil && at[1] > 0
}
