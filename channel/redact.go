package channel

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRedacted is the longest result of Redact, in octets.
const maxRedacted = 1024

// Redact returns text with stars for the code and the addresses of m, cut to 1
// KiB. It makes a provider's error text safe to log. Redact finds the code and
// the addresses in upper or lower case, in digits of any script, with
// separators between their characters, and escaped as in a URL, in JSON or in
// HTML. It also finds the local form of a phone number, and a mailbox with its
// domain in any spelling. The time is linear in the length of text.
func (m Message) Redact(text string) string {
	rest := ""
	if len(text) > maxRedacted {
		text, rest = strings.ToValidUTF8(text[:maxRedacted-len("…")], ""), "…"
	}
	k := skeletonOf(text)
	found := false
	for _, s := range [...]string{m.Code, m.To.Email, m.To.Push, m.To.Chat} {
		s = skeletonOf(s).text
		found = k.mark(s, s) || found
		found = rest != "" && k.markEnd(s) || found
	}
	phone := skeletonOf(m.To.Phone).text
	found = k.mark(phone, phone[max(len(phone)-localDigits, 0):]) || found
	found = rest != "" && k.markEnd(phone) || found
	if local, _, ok := strings.Cut(m.To.Email, "@"); ok {
		found = k.markMailbox(text, skeletonOf(local).text+"@") || found
	}
	if !found {
		return text + rest
	}
	return k.hide(text) + rest
}

// markEnd hides the end of a text that was cut, if the cut may be within s.
func (k *skeleton) markEnd(s string) (found bool) {
	const least, most = 3, 254
	for n := min(len(s), len(k.text), most); n >= least; n-- {
		if at := len(k.text) - n; strings.Contains(s, k.text[at:]) {
			for i := at; i < len(k.text); i++ {
				k.hidden[i] = true
			}
			return true
		}
	}
	return false
}

// markMailbox hides each mailbox of text with that local part, which ends in @,
// and its domain.
func (k *skeleton) markMailbox(text, local string) (found bool) {
	for at := 0; ; {
		i := strings.Index(k.text[at:], local)
		if i < 0 {
			return found
		}
		i, at, found = at+i, at+i+len(local), true
		for ; i < at; i++ {
			k.hidden[i] = true
		}
		for ; at < len(k.text) && strings.Trim(text[k.to[at-1]:max(k.from[at], k.to[at-1])], ".-") == "" &&
			strings.IndexByte("<>()[]\"',:;@&=?#|!", k.text[at]) < 0; at++ {
			k.hidden[at] = true
		}
	}
}

// localDigits is the number of last digits that identify a phone number. Each
// form of a number ends with them.
const localDigits = 7

// A skeleton is a text in lower case without separators. It keeps the place in
// the text of each octet, and whether the octet must be hidden.
type skeleton struct {
	text     string
	from, to []int
	hidden   []bool
}

// mark hides each occurrence of end, with the part of whole before it and the
// zeros of a prefix. It reports whether there was one.
func (k *skeleton) mark(whole, end string) (found bool) {
	if end == "" {
		return false
	}
	head := whole[:len(whole)-len(end)]
	for at := 0; ; at += len(end) {
		i := strings.Index(k.text[at:], end)
		if i < 0 {
			return found
		}
		at, found = at+i, true
		first := at
		for n := len(head); n > 0 && first > 0 && k.text[first-1] == head[n-1]; n-- {
			first--
		}
		for zeros := 0; head != "" && zeros < 2 && k.zeroBefore(first); zeros++ {
			first--
		}
		for j := first; j < at+len(end); j++ {
			k.hidden[j] = true
		}
	}
}

// zeroBefore reports whether a zero is just before i.
func (k *skeleton) zeroBefore(i int) bool {
	return i > 0 && k.text[i-1] == '0' && k.to[i-1] == k.from[i]
}

func skeletonOf(text string) (k skeleton) {
	b := make([]byte, 0, len(text))
	k.from, k.to = make([]int, 0, len(text)), make([]int, 0, len(text))
	for i := 0; i < len(text); {
		c, size := unescape(text[i:])
		switch {
		case text[i] >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(text[i:])
			before := len(b)
			if b = appendPlain(b, r); r == utf8.RuneError {
				b = append(b[:before], text[i:i+size]...)
			}
			for range len(b) - before {
				k.from, k.to = append(k.from, i), append(k.to, i+size)
			}
		case strings.IndexByte(" -./()+_\t\n\r", c) < 0:
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			b, k.from, k.to = append(b, c), append(k.from, i), append(k.to, i+size)
		}
		i += size
	}
	k.text, k.hidden = string(b), make([]bool, len(b))
	return k
}

// appendPlain appends a character beyond ASCII: a digit as its ASCII digit, a
// letter in lower case. It drops separators.
func appendPlain(b []byte, r rune) []byte {
	switch {
	case unicode.Is(unicode.Nd, r):
		return append(b, '0'+digitOf(r))
	case unicode.In(r, unicode.Z, unicode.Pd, unicode.Cf):
		return b
	}
	return utf8.AppendRune(b, unicode.ToLower(r))
}

// digitOf returns the value of a digit: the digits of a script are in order
// from zero.
func digitOf(r rune) byte {
	for _, s := range unicode.Nd.R16 {
		if lo := rune(s.Lo); lo <= r && r <= rune(s.Hi) {
			return byte((r - lo) % 10)
		}
	}
	for _, s := range unicode.Nd.R32 {
		if lo := rune(s.Lo); lo <= r && r <= rune(s.Hi) {
			return byte((r - lo) % 10)
		}
	}
	return 0
}

// unescape returns the first octet of a text, which must not be empty. It
// decodes %40, \u0040 and &#64;.
func unescape(s string) (c byte, size int) {
	digits, base := "", 16
	switch {
	case s[0] == '%' && len(s) >= 3:
		digits, size = s[1:3], 3
	case strings.HasPrefix(s, `\u00`) && len(s) >= 6:
		digits, size = s[4:6], 6
	case strings.HasPrefix(s, "&#"):
		if end := strings.IndexByte(s[:min(len(s), 7)], ';'); end > 0 {
			digits, size, base = s[2:end], end+1, 10
		}
	}
	if n, err := strconv.ParseUint(digits, base, 8); err == nil {
		return byte(n), size
	}
	return s[0], 1
}

// hide returns text with stars in the place of secrets.
func (k *skeleton) hide(text string) string {
	var b strings.Builder
	done := 0
	for i := range k.hidden {
		if !k.hidden[i] {
			continue
		}
		if i == 0 || !k.hidden[i-1] {
			before := text[done:k.from[i]]
			for _, plus := range []string{"+", "%2b", "%2B"} { // of a number
				before = strings.TrimSuffix(before, plus)
			}
			b.WriteString(before + "***")
		}
		done = k.to[i]
		for done < len(text) && !utf8.RuneStart(text[done]) { // of a longer character
			done++
		}
	}
	b.WriteString(text[done:])
	return b.String()
}
