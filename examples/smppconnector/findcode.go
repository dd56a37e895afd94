package main

import "regexp"

// findCode returns the code in a text: 4 to 10 digits, which may stand in groups of 2
// to 4 joined by one dash or space. It is a placeholder for the examples of the guide,
// and reads neither other scripts nor texts with several numbers: such a text has none.
func findCode(text string) (code string, ok bool) {
	found := candidates.FindAllString(text, -1)
	if len(found) != 1 {
		return "", false
	}
	for _, r := range found[0] {
		if r >= '0' && r <= '9' {
			code += string(r)
		}
	}
	return code, len(code) >= 4 && len(code) <= 10
}

var candidates = regexp.MustCompile(`[0-9]+(?:[- ][0-9]+)*`)
