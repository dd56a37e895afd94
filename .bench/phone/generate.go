package main

import (
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// A source is a type of number of a region, from which numbers are drawn.
type source struct {
	code    int32
	lengths []int32
	pattern *syntax.Regexp
}

// sources returns the types of all regions of the library's metadata, as it is
// now.
func sources() ([]source, error) {
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		return nil, err
	}
	var all []source
	for _, m := range collection.GetMetadata() {
		for _, d := range []*phonenumbers.PhoneNumberDesc{m.FixedLine, m.Mobile, m.TollFree, m.PremiumRate, m.SharedCost,
			m.PersonalNumber, m.Voip, m.Pager, m.Uan, m.Voicemail} {
			if d.GetNationalNumberPattern() == "" {
				continue
			}
			re, err := syntax.Parse(d.GetNationalNumberPattern(), syntax.Perl)
			if err != nil {
				return nil, err
			}
			s := source{m.GetCountryCode(), d.GetPossibleLength(), re.Simplify()}
			if len(s.lengths) == 0 {
				s.lengths = m.GeneralDesc.GetPossibleLength()
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// draw returns n numbers in E.164 form, as many of each type of each region as
// of any other.
func draw(all []source, n int, r *rand.Rand) []string {
	numbers := make([]string, 0, n)
	for i := 0; len(numbers) < n; i++ {
		s := all[i%len(all)]
		for range 100 {
			var b strings.Builder
			write(&b, s.pattern, r)
			if slices.Contains(s.lengths, int32(b.Len())) {
				numbers = append(numbers, "+"+strconv.Itoa(int(s.code))+b.String())
				break
			}
		}
	}
	return numbers
}

// write writes a string that matches re, whose repetitions are simplified.
func write(b *strings.Builder, re *syntax.Regexp, r *rand.Rand) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		span := 2 * r.IntN(len(re.Rune)/2)
		lo, hi := re.Rune[span], re.Rune[span+1]
		b.WriteRune(lo + r.Int32N(hi-lo+1))
	case syntax.OpAlternate:
		write(b, re.Sub[r.IntN(len(re.Sub))], r)
	case syntax.OpQuest:
		if r.IntN(2) == 0 {
			write(b, re.Sub[0], r)
		}
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			write(b, sub, r)
		}
	}
}
