package smtp

import "strings"

// idMarks are the words before the provider's id in the reply to a mail: of
// Postfix, SendGrid, Mailgun, Brevo and go-smtp; of Haraka; of Exim.
var idMarks = [...]string{"queued as ", "queued as: ", "message queued (", " id="}

// providerID finds the relay's id for a mail in the text of its last reply, or
// returns "". Exchange repeats our own Message-ID.
func providerID(text string) string {
	for line := range strings.Lines(text) {
		if id := idIn(strings.TrimSpace(line)); id != "" {
			return id
		}
	}
	return ""
}

func idIn(line string) string {
	if _, rest, found := strings.Cut(line, idMarks[0]); found { // the most frequent, without a copy
		if id := firstID(rest); id != "" {
			return id
		}
	}
	lower := asciiLower(line)
	for _, mark := range idMarks {
		if at := strings.Index(lower, mark); at >= 0 {
			if id := firstID(line[at+len(mark):]); id != "" {
				return id
			}
		}
	}
	words := strings.Fields(line)
	if len(words) > 0 && isStatus(strings.TrimSuffix(words[0], ":")) {
		words = words[1:]
	}
	switch {
	case len(words) > 4 && strings.HasSuffix(lower, " message accepted for delivery"): // sendmail, OpenSMTPD
		return firstID(words[0])
	case strings.HasSuffix(lower, " - gsmtp") && len(words) > 3: // Gmail: "OK 1700000000 id - gsmtp"
		return firstID(words[len(words)-3])
	case len(words) == 2 && strings.EqualFold(words[0], "ok") && isSESID(words[1]):
		return words[1]
	}
	return ""
}

// isSESID reports whether word is one of Amazon's ids, such as
// "0100018c0ffee123-0a1b2c3d-…-000000".
func isSESID(word string) bool {
	head, rest, cut := strings.Cut(word, "-")
	return cut && len(head) >= 16 && len(word) <= maxProviderID && firstID(rest) == rest &&
		!strings.ContainsFunc(head, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

const maxProviderID = 64

// firstID returns the id at the start of text.
func firstID(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return !isIDChar(r) })
	if end < 0 {
		end = len(text)
	}
	id := strings.TrimRight(text[:end], ".")
	if len(id) > maxProviderID {
		return ""
	}
	return id
}

// asciiLower is strings.ToLower for ASCII. It never changes the length of s.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
