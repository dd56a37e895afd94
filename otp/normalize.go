package otp

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTyped bounds a typed code, in octets: 32 characters of up to three octets each, with separators between them.
const maxTyped = 128

// maxPasted bounds a pasted message, in octets: an SMS of several parts.
const maxPasted = 2048

// normalize returns typed as length characters of alphabet. It is the code and what people leave around it, a label
// and the code ("Code: 482910"), or a whole message with one code.
func normalize(typed, alphabet string, length int) (string, bool) {
	if len(typed) == length && strings.Trim(typed, alphabet) == "" { // nearly always
		return typed, true
	}
	text, ok := plain(typed)
	if !ok {
		return "", false
	}
	f := form{alphabet, length}
	if len(typed) <= maxTyped {
		parts := []string{text}
		if label, rest, ok := strings.Cut(text, ":"); ok && !strings.ContainsAny(label, digits) {
			parts = append(parts, rest)
		}
		for _, part := range parts {
			if stripped, ok := strip(part); ok {
				if code, ok := f.read(stripped); ok {
					return code, true
				}
			}
		}
	}
	if !strings.ContainsFunc(text, unicode.IsLetter) && (len(typed) > maxTyped || strings.ContainsFunc(text, amount)) {
		return "", false // no message either
	}
	return f.find(text)
}

// clean returns the letters and digits of a typed code in ASCII. It drops white space, punctuation, symbols other than
// of currency, and invisible characters, and reports false for anything else, for nothing at all, and for more than
// maxTyped.
func clean(typed string) (string, bool) {
	text, ok := plain(typed)
	if !ok || len(typed) > maxTyped {
		return "", false
	}
	return strip(text)
}

// plain returns typed without marks and invisible characters, with digits of any script and full-width characters in
// ASCII. It reports false for control characters, for invalid UTF-8, and for more than maxPasted.
func plain(typed string) (string, bool) {
	if len(typed) > maxPasted || !utf8.ValidString(typed) {
		return "", false
	}
	out := make([]byte, 0, 32)
	for _, r := range typed {
		switch {
		case ' ' <= r && r <= '~': // nearly always
			out = append(out, byte(r))
		case unicode.IsSpace(r):
			out = append(out, ' ')
		case unicode.IsControl(r):
			return "", false
		case unicode.In(r, unicode.Cf, unicode.Mn, unicode.Me): // also the frames of keycaps
		case unicode.IsDigit(r):
			out = append(out, '0'+digitValue(r))
		case '！' <= r && r <= '～':
			out = append(out, byte(r-'！'+'!'))
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out), true
}

// strip returns the letters and digits of a plain text. It reports false if there are others than ASCII's.
func strip(text string) (string, bool) {
	out := make([]byte, 0, 16)
	for _, r := range text {
		switch {
		case alphanumeric(r):
			out = append(out, byte(r))
		case r == 'ー': // written for a dash
		case amount(r), !unicode.In(r, unicode.P, unicode.S, unicode.Z):
			return "", false
		}
	}
	return string(out), len(out) > 0
}

// amount reports whether r makes the number beside it a sum of money or a telephone number.
func amount(r rune) bool { return r == '+' || unicode.Is(unicode.Sc, r) }

func alphanumeric(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// A form is the look of a generator's codes.
type form struct {
	alphabet string
	length   int
}

// read returns letters and digits as a code: in the alphabet's case if it has only one, and with 0 for O or 1 for I and
// l, or the reverse, if the alphabet leaves no doubt.
func (f form) read(typed string) (string, bool) {
	if len(typed) != f.length {
		return "", false
	}
	code, real := []byte(typed), false
	for i, c := range code {
		code[i] = f.character(c)
		if code[i] == 0 {
			return "", false
		}
		real = real || code[i] == c || code[i] == c^0x20
	}
	return string(code), real // not "Oil" for 011
}

// character returns the character of the alphabet that c was typed for, 0 if there is none.
func (f form) character(c byte) byte {
	folded := c
	switch {
	case f.alphabet == strings.ToUpper(f.alphabet):
		folded = strings.ToUpper(string(c))[0]
	case f.alphabet == strings.ToLower(f.alphabet):
		folded = strings.ToLower(string(c))[0]
	}
	if strings.IndexByte(f.alphabet, folded) >= 0 {
		return folded
	}
	for _, alike := range []struct{ typed, meant string }{{"0Oo", "0Oo"}, {"1IilL", "1Il"}} {
		if strings.IndexByte(alike.typed, c) < 0 {
			continue
		}
		meant := byte(0)
		for _, m := range []byte(alike.meant) {
			switch {
			case strings.IndexByte(f.alphabet, m) < 0:
			case meant != 0:
				return 0
			default:
				meant = m
			}
		}
		return meant
	}
	return 0
}

// find returns the only code in a message. It reports false for two different codes.
func (f form) find(text string) (code string, ok bool) {
	var runs, groups, pairs []string
	for chain := range f.chains(text) {
		for _, run := range chain {
			if f.has(run) {
				runs = append(runs, run)
			}
		}
		if joined := strings.Join(chain, ""); len(chain) > 1 && f.has(joined) {
			if len(chain[0]) > 2 {
				groups = append(groups, joined)
			} else { // or a date: only for want of others
				pairs = append(pairs, joined)
			}
		}
	}
	found := append(runs, groups...)
	if len(found) == 0 {
		found = pairs
	}
	for _, c := range found {
		if c != found[0] {
			return "", false
		}
	}
	if len(found) == 0 {
		return "", false
	}
	return found[0], true
}

// has reports whether a run is a code. Words are not: if the alphabet has digits, so has a code.
func (f form) has(run string) bool {
	return len(run) == f.length && (!strings.ContainsAny(f.alphabet, digits) || strings.ContainsAny(run, digits))
}

// chains yields the runs of letters and digits in a text whose characters are of the alphabet. Runs with one dash
// between them are yielded together; if the alphabet has only digits, runs with one space or dot between them, too.
func (f form) chains(text string) iter.Seq[[]string] {
	separators := "-‐‑‒–—−"
	if strings.Trim(f.alphabet, digits) == "" {
		separators += " .·ー"
	}
	return func(yield func([]string) bool) {
		var chain []string
		for at := strings.IndexFunc(text, alphanumeric); at >= 0; at = strings.IndexFunc(text, alphanumeric) {
			between, rest := text[:at], strings.TrimLeftFunc(text[at:], alphanumeric)
			run := text[at : len(text)-len(rest)]
			text = rest
			own := strings.Trim(run, f.alphabet) == ""
			joined := own && utf8.RuneCountInString(between) == 1 && strings.Contains(separators, between)
			if len(chain) > 0 && !joined {
				if !yield(chain) {
					return
				}
				chain = nil
			}
			if own {
				chain = append(chain, run)
			}
		}
		if len(chain) > 0 {
			yield(chain)
		}
	}
}

// digitValue relies on Unicode's promise that the digits of a script (general
// category Nd) stand together, in order, from a zero.
func digitValue(r rune) byte {
	for _, rg := range unicode.Nd.R16 {
		if rune(rg.Lo) <= r && r <= rune(rg.Hi) {
			return byte((r - rune(rg.Lo)) % 10)
		}
	}
	for _, rg := range unicode.Nd.R32 {
		if rune(rg.Lo) <= r && r <= rune(rg.Hi) {
			return byte((r - rune(rg.Lo)) % 10)
		}
	}
	return 0
}
