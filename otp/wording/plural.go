package wording

import (
	"strconv"
	"strings"
)

// Plural counts minutes in a language: it has a form for each CLDR plural
// category, in the grammatical case that the Life sentence needs. "#" stands
// for the number and may be omitted ("eine Minute").
//
// Other alone fits every number. Otherwise each category of the language for
// whole numbers from 1 is required (Polish: one, few, many; Latvian: zero,
// which includes 10, one). A language without a known rule has one, for 1, and
// other.
type Plural struct {
	Zero  string `json:"zero,omitempty"`
	One   string `json:"one,omitempty"`
	Two   string `json:"two,omitempty"`
	Few   string `json:"few,omitempty"`
	Many  string `json:"many,omitempty"`
	Other string `json:"other,omitempty"`
}

type category uint8

const (
	other category = iota
	one
	two
	few
	many
	zero
)

func (c category) String() string {
	return [...]string{"other", "one", "two", "few", "many", "zero"}[c]
}

func (p *Plural) form(c category) string {
	return [...]string{p.Other, p.One, p.Two, p.Few, p.Many, p.Zero}[c]
}

// complete fills the forms from Other if only that is given. Otherwise it
// returns the first missing form.
func (p Plural) complete(rule func(int) category) (Plural, string) {
	if p.Other == "" {
		return p, other.String()
	}
	if p == (Plural{Other: p.Other}) {
		all := p.Other
		return Plural{Zero: all, One: all, Two: all, Few: all, Many: all, Other: all}, ""
	}
	// From 20 on every rule repeats after 100.
	for n := 1; n <= 200; n++ {
		if c := rule(n); p.form(c) == "" {
			return p, c.String()
		}
	}
	return p, ""
}

func (p *Plural) count(rule func(int) category, n int) string {
	return strings.Replace(p.form(rule(n)), "#", strconv.Itoa(n), 1)
}
