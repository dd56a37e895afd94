package channel

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mask shortens an address so that its owner recognises it and nobody else can use
// it. A phone number keeps its last four digits ("+44******5678"), a mailbox its
// first letter and its domain ("a***@example.com"), and a token its last four
// characters. An address becomes stars if it is too short to be shortened, or not
// printable.
func Mask(address string) string {
	if address == "" {
		return ""
	}
	if isMailbox(address) {
		at := strings.IndexByte(address, '@')
		_, size := utf8.DecodeRuneInString(address)
		if size >= at { // a single letter would show the whole mailbox
			size = 0
		}
		return address[:size] + "***" + address[at:]
	}
	head, tail := 0, 4
	if address[0] == '+' {
		head = 3
	}
	if len(address) < head+tail+3 || !isToken(strings.ReplaceAll(address, " ", "")) {
		return "***"
	}
	stars := min(len(address)-head-tail, 6)
	return address[:head] + strings.Repeat("*", stars) + address[len(address)-tail:]
}

// Validate reports the first address with a wrong form, or that there is no address
// at all. A phone number must be E.164 (ITU-T E.164): "+" and 7 to 15 digits. An
// e-mail address must be dot-atom "@" domain of at most 254 octets (RFC 5321
// §4.1.2); quoted local parts and address literals are refused. A push token may
// have 4096 octets, a chat id 256, without white space and control characters. The
// error is an *[Error] of class [InvalidRecipient] and does not repeat the address.
// Validate cannot know whether a number or a mailbox exists.
func (r Recipient) Validate() error {
	invalid := func(what string) error {
		return &Error{Class: InvalidRecipient, Op: "channel: recipient", Err: errors.New(what)}
	}
	switch {
	case r == Recipient{}:
		return invalid("no address")
	case r.Phone != "" && !isE164(r.Phone):
		return invalid("phone number is not E.164")
	case r.Email != "" && !isMailbox(r.Email):
		return invalid("e-mail address is malformed")
	case r.Push != "" && !isToken(r.Push):
		return invalid("push token is malformed")
	case r.Chat != "" && (len(r.Chat) > 256 || !isToken(r.Chat)):
		return invalid("chat id is malformed")
	}
	return nil
}

func isE164(s string) bool {
	if len(s) < 8 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isMailbox is strict on purpose: a mailbox that it accepts may stand between "<"
// and ">" in an SMTP command and in a header.
func isMailbox(s string) bool {
	if len(s) > 254 || !utf8.ValidString(s) {
		return false
	}
	local, domain, found := strings.Cut(s, "@")
	if !found || len(local) > 64 || !isDotted(local, isAtomChar) || !isDotted(domain, isDomainChar) {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' || len(label) > 63 {
			return false
		}
	}
	return true
}

func isDotted(s string, ok func(rune) bool) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return !ok(r) }) {
			return false
		}
	}
	return true
}

// isAtomChar is RFC 5322 atext, with the letters and digits of RFC 6531.
func isAtomChar(r rune) bool {
	return isDomainChar(r) || strings.ContainsRune("!#$%&'*+/=?^_`{|}~", r)
}

func isDomainChar(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '-' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)
}

func isToken(s string) bool {
	return len(s) <= 4096 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}
