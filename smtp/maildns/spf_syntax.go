package maildns

import (
	"net/netip"
	"strconv"
	"strings"
)

// An spfSyntax is the terms of an SPF record (RFC 7208 §4.6.1). Receivers check
// them as a whole before they evaluate them.
type spfSyntax struct {
	directives []spfDirective
	redirect   string // empty: none
}

// An spfDirective is a mechanism with its qualifier, in lower case.
type spfDirective struct {
	text      string // "-ip4:192.0.2.0/24"
	qualifier byte   // '+' if it has none
	name      string // "ip4"
	domain    string // after the colon, of a, mx, ptr, include and exists; empty: none
	cidr      string // "/24//64", of a and mx
	network   netip.Prefix
}

// isSPF reports whether receivers treat text as a record of SPF (RFC 7208 §4.5).
func isSPF(text string) bool {
	const version = "v=spf1"
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// parseSPF reads a record of SPF. If a term is malformed, wrong is that
// term.
func parseSPF(record string) (s spfSyntax, wrong string) {
	modifiers := map[string]bool{}
	for i, term := range strings.FieldsFunc(record, func(r rune) bool { return r == ' ' }) {
		if i == 0 {
			continue // the version
		}
		if strings.ContainsFunc(term, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return s, strconv.Quote(term)
		}
		lower := strings.ToLower(term)
		if name, value, found := cutModifier(lower); found {
			known := name == "redirect" || name == "exp"
			if known && (modifiers[name] || !isDomainSpec(value)) || !known && !isMacroString(value, false) {
				return s, lower
			}
			modifiers[name] = true
			if name == "redirect" {
				s.redirect = value
			}
			continue
		}
		d, ok := parseDirective(lower)
		if !ok {
			return s, lower
		}
		s.directives = append(s.directives, d)
	}
	return s, ""
}

// cutModifier splits "name=value" if the name can be a modifier's.
func cutModifier(term string) (name, value string, found bool) {
	name, value, found = strings.Cut(term, "=")
	if !found || name == "" || name[0] < 'a' || name[0] > 'z' {
		return "", "", false
	}
	isPart := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	return name, value, !strings.ContainsFunc(name, func(r rune) bool { return !isPart(r) })
}

func parseDirective(term string) (d spfDirective, ok bool) {
	d = spfDirective{text: term, qualifier: '+'}
	if strings.ContainsRune("+-~?", rune(term[0])) {
		d.qualifier, term = term[0], term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	var value string
	d.name, value = term[:end], term[end:]
	switch d.name {
	case "all":
		return d, value == ""
	case "ip4", "ip6":
		network, found := strings.CutPrefix(value, ":")
		prefix, err := spfPrefix(network)
		d.network = prefix
		return d, found && err == nil && prefix.Addr().Is4() == (d.name == "ip4")
	case "a", "mx":
		value, d.cidr, ok = cutCIDR(value)
		if !ok {
			return d, false
		}
	case "include", "exists":
		if value == "" {
			return d, false
		}
	case "ptr":
	default:
		return d, false
	}
	if value == "" {
		return d, true
	}
	d.domain, ok = strings.CutPrefix(value, ":")
	return d, ok && isDomainSpec(d.domain)
}

// cutCIDR cuts "/24", "//64" or "/24//64" off the end of value.
func cutCIDR(value string) (rest, cidr string, ok bool) {
	rest = value
	if at := strings.LastIndex(rest, "//"); at >= 0 && isDigits(rest[at+2:]) {
		if !isLength(rest[at+2:], 128) {
			return "", "", false
		}
		rest = rest[:at]
	}
	if at := strings.LastIndexByte(rest, '/'); at >= 0 && isDigits(rest[at+1:]) {
		if !isLength(rest[at+1:], 32) {
			return "", "", false
		}
		rest = rest[:at]
	}
	return rest, value[len(rest):], true
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// isLength reports whether s is a number up to most, without leading zeros.
func isLength(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= most && strconv.Itoa(n) == s
}

// isDomainSpec reports whether value is a domain-spec (RFC 7208 §7.1): literals
// and macros, and at the end a dot and a label, or a macro. A link has the right
// characters, but is not one.
func isDomainSpec(value string) bool {
	if !isMacroString(value, true) || strings.ContainsAny(value, `"\`) || strings.Contains(value, "://") ||
		strings.Contains(value, "..") || value[0] == '.' {
		return false
	}
	if strings.HasSuffix(value, "}") {
		return true
	}
	labels := strings.Split(strings.TrimSuffix(value, "."), ".")
	if len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if len(label) > 63 && !strings.Contains(label, "%") {
			return false
		}
	}
	return isTopLabel(labels[len(labels)-1])
}

func isTopLabel(label string) bool {
	isAlnum := func(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' }
	if label == "" || isDigits(label) || !isAlnum(label[0]) || !isAlnum(label[len(label)-1]) {
		return false
	}
	for i := range len(label) {
		if !isAlnum(label[i]) && label[i] != '-' {
			return false
		}
	}
	return true
}

// isMacroString reports whether value is a macro-string of printable ASCII. The
// letters c, r and t stand only in the text that "exp" refers to.
func isMacroString(value string, inDomain bool) bool {
	if value == "" {
		return !inDomain
	}
	for len(value) > 0 {
		switch b := value[0]; {
		case b <= ' ' || b > '~':
			return false
		case b != '%':
			value = value[1:]
			continue
		}
		if len(value) < 2 {
			return false
		}
		if strings.IndexByte("%_-", value[1]) >= 0 {
			value = value[2:]
			continue
		}
		body, rest, closed := strings.Cut(value, "}")
		if !closed || !isMacro(body) {
			return false
		}
		value = rest
	}
	return true
}

// isMacro reports whether text is "%{", a letter, transformers and delimiters.
func isMacro(text string) bool {
	body, found := strings.CutPrefix(text, "%{")
	if !found || body == "" || !strings.ContainsRune("slodiphv", rune(body[0]|0x20)) {
		return false
	}
	body = body[1:]
	digits := body[:len(body)-len(strings.TrimLeft(body, "0123456789"))]
	if digits != "" && strings.Trim(digits, "0") == "" || len(digits) > 3 {
		return false
	}
	body = strings.TrimLeft(body, "0123456789")
	if body != "" && body[0]|0x20 == 'r' {
		body = body[1:]
	}
	return strings.Trim(body, ".-+,/_=") == ""
}
