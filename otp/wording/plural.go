package wording

import (
	"strconv"
	"strings"
)

// Plural is how a language counts minutes: a form for each of its CLDR plural
// categories, in the grammatical case that its Life sentence wants. "#" stands
// for the number and may be left out ("eine Minute").
//
// Other alone serves every number. Otherwise each category that the language
// has for whole numbers from 1 is needed (Polish: one, few, many; Latvian: zero,
// which it uses for 10, one). A language whose rule this package does not know
// has one, for 1, and other.
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

// complete fills the forms from Other where only that is given, and else says
// which form the rule lacks.
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
