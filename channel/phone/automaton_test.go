package phone

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
)

// patterns returns the patterns of the metadata: those of whole numbers, and those of
// beginnings.
func patterns(t *testing.T) (whole, begin map[string]bool) {
	t.Helper()
	c, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	whole, begin = map[string]bool{}, map[string]bool{}
	for _, m := range c.GetMetadata() {
		for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetGeneralDesc(), m.GetFixedLine(), m.GetMobile(),
			m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(), m.GetPersonalNumber(), m.GetPager(),
			m.GetUan(), m.GetVoicemail()} {
			if p := d.GetNationalNumberPattern(); p != "" {
				whole[p] = true
			}
		}
		for _, p := range []string{m.GetLeadingDigits(), m.GetNationalPrefixForParsing()} {
			if p != "" {
				begin[p] = true
			}
		}
	}
	return whole, begin
}

// walk returns digits that a may accept: each step mostly goes where something follows.
func (a *automaton) walk(rnd *rand.Rand) string {
	var digits []byte
	for n := uint16(1); len(digits) < 17; {
		if a.accepts[n] && rnd.IntN(3) > 0 {
			break
		}
		d := rnd.IntN(10)
		for try := 0; a.next[n][d] == 0 && try < 20 && rnd.IntN(50) > 0; try++ {
			d = rnd.IntN(10)
		}
		digits, n = append(digits, '0'+byte(d)), a.next[n][d]
	}
	if len(digits) > 0 && rnd.IntN(4) == 0 { // one digit of it is another
		digits[rnd.IntN(len(digits))] = '0' + byte(rnd.IntN(10))
	}
	return string(digits)
}

// TestAutomatonIsRegexp compares the automaton of each pattern of the metadata with the
// regexp, by numbers that the pattern matches, numbers that are nearly so, and any.
func TestAutomatonIsRegexp(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	whole, begin := patterns(t)
	tried, matched, without := 0, 0, 0
	try := func(pattern string, same func(digits string) (got, want bool)) {
		a := newAutomaton(pattern)
		if a == nil {
			if without++; !strings.Contains(pattern, "$") { // as of the islands whose trunk prefix is an area code
				t.Errorf("%q has no automaton", pattern)
			}
			return
		}
		for i := range 60 {
			digits := a.walk(rnd)
			if i%5 == 0 {
				digits = fmt.Sprintf("%0*d", 1+rnd.IntN(15), rnd.Int64N(1e9))
			}
			got, want := same(digits)
			if got != want {
				t.Errorf("%q: %s: %v, by regexp %v", pattern, digits, got, want)
			}
			if tried++; want {
				matched++
			}
		}
	}
	for p := range whole {
		m, re := newMatcher(p), regexp.MustCompile("^(?:"+p+")$")
		try(p, func(digits string) (got, want bool) { return m.whole(digits), re.MatchString(digits) })
	}
	for p := range begin {
		m, re := newPrefix(p), regexp.MustCompile("^(?:"+p+")")
		try(p, func(digits string) (got, want bool) { return m.matches(digits), re.MatchString(digits) })
		try(p, func(digits string) (got, want bool) {
			at := re.FindStringIndex(digits)
			return m.cuts(digits), at != nil && at[1] > 0
		})
	}
	t.Logf("%d patterns, %d numbers, %d match", len(whole)+len(begin), tried, matched)
	if matched < tried/4 || matched > tried*9/10 || without > 50 {
		t.Errorf("%d of %d numbers match, %d patterns have no automaton: the test says little", matched, tried, without)
	}
}

// A pattern that an automaton of digits cannot have is left to the regexp.
func TestNoAutomaton(t *testing.T) {
	t.Parallel()
	for _, p := range []string{`12\b`, `(?:12$|3)`, `[0-9`, `(?:.*1[0-9]{12})`} {
		if a := newAutomaton(p); a != nil {
			t.Errorf("%q has an automaton of %d states", p, len(a.next))
		}
	}
	m := newMatcher(`(?:12$|3)`)
	if !m.whole("12") || m.whole("123") {
		t.Error("the pattern is not matched as by a regexp")
	}
}

// TestAutomataAreSmall bounds what the automata of all patterns cost together.
func TestAutomataAreSmall(t *testing.T) {
	t.Parallel()
	whole, begin := patterns(t)
	states, largest, began := 0, 0, time.Now()
	for _, set := range []map[string]bool{whole, begin} {
		for p := range set {
			a := newAutomaton(p)
			if a == nil {
				continue // see the test above
			}
			states, largest = states+len(a.next), max(largest, len(a.next))
		}
	}
	t.Logf("%d states of 21 bytes, at most %d for a pattern; %v", states, largest, time.Since(began))
	if states > 40_000 || largest > 1000 {
		t.Errorf("%d states, at most %d for a pattern", states, largest)
	}
}
