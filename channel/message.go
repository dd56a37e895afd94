package channel

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Address is a kind of address, or a set of kinds.
type Address uint8

// The kinds of address.
const (
	Phone Address = 1 << iota // E.164
	Email                     // RFC 5321 mailbox
	Push                      // a device token
)

// addressNames are in the order of their bits.
var addressNames = [...]string{"phone", "email", "push"}

// String returns the kinds' names joined by "+", "none" for the empty set.
func (a Address) String() string {
	var kinds []string
	for i, name := range addressNames {
		if a&(1<<i) != 0 {
			kinds = append(kinds, name)
		}
	}
	if len(kinds) == 0 {
		return "none"
	}
	return strings.Join(kinds, "+")
}

// MarshalText returns the names of the kinds, as String does.
func (a Address) MarshalText() ([]byte, error) {
	if a >= 1<<len(addressNames) {
		return nil, fmt.Errorf("channel: %#x is not a set of kinds of address", uint8(a))
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads names that MarshalText returns, in any order.
func (a *Address) UnmarshalText(text []byte) error {
	var kinds Address
	if string(text) != "none" {
		for name := range strings.SplitSeq(string(text), "+") {
			i := slices.Index(addressNames[:], name)
			if i < 0 {
				return fmt.Errorf("channel: %q is not a kind of address: %s", name, strings.Join(addressNames[:], ", "))
			}
			kinds |= 1 << i
		}
	}
	*a = kinds
	return nil
}

// A Recipient is where a person can be reached. Each field may be empty.
// Logged or printed with %v, its addresses are masked.
type Recipient struct {
	Phone string // E.164 with its "+", "+447912345678"
	Email string // addr-spec, "ann@example.com"
	Push  string // device token, opaque
}

// Has reports whether the recipient has an address of one of the kinds.
func (r Recipient) Has(a Address) bool { return r.Kinds()&a != 0 }

// Kinds returns the kinds of address the recipient has.
func (r Recipient) Kinds() Address {
	var a Address
	if r.Phone != "" {
		a |= Phone
	}
	if r.Email != "" {
		a |= Email
	}
	if r.Push != "" {
		a |= Push
	}
	return a
}

// Masked returns the recipient with its addresses shortened by [Mask].
func (r Recipient) Masked() Recipient {
	return Recipient{Phone: Mask(r.Phone), Email: Mask(r.Email), Push: Mask(r.Push)}
}

// String returns the masked addresses.
func (r Recipient) String() string {
	m := r.Masked()
	var parts []string
	for _, s := range []string{m.Phone, m.Email, m.Push} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// GoString keeps addresses out of %#v.
func (r Recipient) GoString() string { return "channel.Recipient{" + r.String() + "}" }

// LogValue keeps addresses out of logs.
func (r Recipient) LogValue() slog.Value { return slog.StringValue(r.String()) }

// A Message is one code on its way to one person, already rendered. Logged or
// printed with %v it shows neither the code nor an address; as JSON it is whole,
// for channels that forward it.
type Message struct {
	// ID is challenge "." step, at most 36 characters of [A-Za-z0-9.-]: the
	// provider's idempotency key. It is the same on every try of a step and
	// new for a resend or for the next route after a receipt.
	ID string

	To Recipient

	Code    string // for channels that carry nothing else
	Text    string // for SMS and push
	Subject string // for e-mail
	Body    string // for e-mail, text/plain
	HTML    string // for e-mail, text/html; may be empty

	Language string // BCP 47
	Sender   string // brand; a channel's own configuration goes before it
	Purpose  string // what the code is for, "login"

	Created time.Time
	Expires time.Time // end of the code's life: nothing is submitted after it; zero: none

	Route   string   // only the route of this name; empty: any
	Tried   []string // routes to skip
	Invalid Address  // kinds of address known to be wrong
}

// String identifies the message without its content.
func (m Message) String() string { return "message " + m.ID + " to " + m.To.String() }

// GoString keeps the code out of %#v.
func (m Message) GoString() string { return "channel.Message{" + m.String() + "}" }

// LogValue keeps the code, the texts and the addresses out of logs.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", m.ID), slog.Any("to", m.To),
		slog.String("purpose", m.Purpose), slog.Time("expires", m.Expires))
}

// Redact returns text, an error's say, with stars for the code and the
// addresses that a careless channel has put there: in upper or lower case, and
// as they are written in a URL.
func (m Message) Redact(text string) string {
	var secrets []string
	for _, s := range [...]string{m.Code, m.To.Phone, strings.TrimPrefix(m.To.Phone, "+"), m.To.Email, m.To.Push} {
		if s = strings.ToValidUTF8(s, ""); s != "" {
			secrets = append(secrets, regexp.QuoteMeta(url.QueryEscape(s)), regexp.QuoteMeta(s))
		}
	}
	if len(secrets) == 0 {
		return text
	}
	return regexp.MustCompile("(?i)"+strings.Join(secrets, "|")).ReplaceAllLiteralString(text, "***")
}
