package main

import (
	"regexp"
	"strings"
)

// findCode returns the code in a text: 4 to 10 digits, or equal groups of 2 to 4
// digits joined by one dash or space. It is a placeholder: it reads Latin digits only,
// knows neither words nor dates, and finds nothing in a text with two candidates.
func findCode(text string) (code string, ok bool) {
	for _, run := range runs.FindAllString(text, -1) {
		for _, candidate := range candidates(run) {
			if code != "" {
				return "", false
			}
			code = candidate
		}
	}
	return code, code != ""
}

var runs = regexp.MustCompile(`[0-9]+(?:[- ][0-9]+)*`)

// candidates returns the codes that a run of groups may be.
func candidates(run string) (codes []string) {
	groups := strings.FieldsFunc(run, func(r rune) bool { return r == '-' || r == ' ' })
	equal := len(groups[0]) >= 2 && len(groups[0]) <= 4
	for _, g := range groups {
		equal = equal && len(g) == len(groups[0])
	}
	if equal {
		groups = []string{strings.Join(groups, "")}
	}
	for _, g := range groups {
		if len(g) >= 4 && len(g) <= 10 {
			codes = append(codes, g)
		}
	}
	return codes
}
