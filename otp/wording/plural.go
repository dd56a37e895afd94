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
// has for whole numbers is needed (Polish: one, few, many). A language whose
// rule this package does not know has one, for 1, and other.
type Plural struct {
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
)

func (c category) String() string {
	return [...]string{"other", "one", "two", "few", "many"}[c]
}

func (p *Plural) form(c category) string {
	return [...]string{p.Other, p.One, p.Two, p.Few, p.Many}[c]
}

// complete fills the forms from Other where only that is given, and else says
// which form the rule lacks.
func (p Plural) complete(rule func(int) category) (Plural, string) {
	if p.Other == "" {
		return p, other.String()
	}
	if p == (Plural{Other: p.Other}) {
		return Plural{p.Other, p.Other, p.Other, p.Other, p.Other}, ""
	}
	// From 3 on every rule repeats after 100.
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

// pluralRule returns the CLDR cardinal rule of a language for whole numbers
// from 1 to a million.
func pluralRule(base string) func(int) category {
	switch base {
	case "ja", "ko", "zh", "id", "ms", "vi", "yo", "th", "lo", "my", "km", "jv":
		return invariable
	case "ru", "uk", "be":
		return eastSlavic
	case "hr", "sr", "bs":
		return southSlavic
	case "pl":
		return polish
	case "cs", "sk":
		return czech
	case "sl":
		return slovenian
	case "lt":
		return lithuanian
	case "ro":
		return romanian
	case "is":
		return icelandic
	case "ar":
		return arabic
	case "he":
		return hebrew
	}
	return germanic
}

func invariable(int) category { return other }

// germanic is also the rule of the Romance languages but Romanian (below a
// million), of Finnish, Bulgarian, Turkish, Hindi, Swahili and Hausa.
func germanic(n int) category {
	if n == 1 {
		return one
	}
	return other
}

func eastSlavic(n int) category {
	switch {
	case n%10 == 1 && n%100 != 11:
		return one
	case paucal(n):
		return few
	}
	return many
}

func southSlavic(n int) category {
	if c := eastSlavic(n); c != many {
		return c
	}
	return other
}

func polish(n int) category {
	switch {
	case n == 1:
		return one
	case paucal(n):
		return few
	}
	return many
}

// paucal tells the numbers that end in 2 to 4, but for 12 to 14.
func paucal(n int) bool {
	return n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14)
}

func czech(n int) category {
	switch {
	case n == 1:
		return one
	case n >= 2 && n <= 4:
		return few
	}
	return other
}

func slovenian(n int) category {
	switch n % 100 {
	case 1:
		return one
	case 2:
		return two
	case 3, 4:
		return few
	}
	return other
}

func lithuanian(n int) category {
	teens := n%100 >= 11 && n%100 <= 19
	switch {
	case n%10 == 1 && !teens:
		return one
	case n%10 >= 2 && !teens:
		return few
	}
	return other
}

func romanian(n int) category {
	switch {
	case n == 1:
		return one
	case n%100 >= 1 && n%100 <= 19:
		return few
	}
	return other
}

func icelandic(n int) category {
	if n%10 == 1 && n%100 != 11 {
		return one
	}
	return other
}

func arabic(n int) category {
	switch r := n % 100; {
	case n == 1:
		return one
	case n == 2:
		return two
	case r >= 3 && r <= 10:
		return few
	case r >= 11:
		return many
	}
	return other
}

func hebrew(n int) category {
	switch n {
	case 1:
		return one
	case 2:
		return two
	}
	return other
}
