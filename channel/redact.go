package channel

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxRedacted is the most that Redact returns of a text, in octets.
const maxRedacted = 1024

// Redact returns text, such as an error's that a provider has worded, with stars
// for the code and the addresses of m, and cut to 1 KiB. They are found in upper
// or lower case, with separators between their characters, escaped as in a URL,
// in JSON or in HTML, and a phone number in its local form, too. It takes time
// linear in the length of text.
func (m Message) Redact(text string) string {
	if len(text) > maxRedacted {
		text = strings.ToValidUTF8(text[:maxRedacted-len("…")], "") + "…"
	}
	k := skeletonOf(text)
	found := false
	for _, s := range [...]string{m.Code, m.To.Email, m.To.Push, m.To.Chat} {
		s = skeletonOf(s).text
		found = k.mark(s, s) || found
	}
	phone := skeletonOf(m.To.Phone).text
	found = k.mark(phone, phone[max(len(phone)-localDigits, 0):]) || found
	if !found {
		return text
	}
	return k.hide(text)
}

// localDigits is how many of a number's last digits mean that number. Each form
// of a number ends with them.
const localDigits = 7

// A skeleton is a text without separators, in lower case, with the place in the
// text of each of its octets, and which are to be hidden.
type skeleton struct {
	text     string
	from, to []int
	hidden   []bool
}

// mark hides each occurrence of end, and as much before it as is before it in
// whole, with the zeros of a prefix. It reports whether there was one.
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
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if strings.IndexByte(" -./()+_\t\n\r", c) < 0 {
			b, k.from, k.to = append(b, c), append(k.from, i), append(k.to, i+size)
		}
		i += size
	}
	k.text, k.hidden = string(b), make([]bool, len(b))
	return k
}

// unescape returns the first octet of a text that is not empty: that of %40,
// \u0040 or &#64;, or as it is.
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
		for done < len(text) && !utf8.RuneStart(text[done]) { // of a character that is longer
			done++
		}
	}
	b.WriteString(text[done:])
	return b.String()
}
