package channel

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
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
	Chat                      // an id at a messenger
)

// addressNames are in the order of their bits.
var addressNames = [...]string{"phone", "email", "push", "chat"}

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

// A Recipient holds the addresses at which a person can be reached. Each field
// may be empty. Logs, prints and JSON show the addresses masked.
type Recipient struct {
	Phone string // E.164 with its "+", "+447912345678"
	Email string // addr-spec, "ann@example.com"
	Push  string // device token, opaque
	Chat  string // id at a messenger, opaque: "telegram:4711", as the route's channel reads it
}

// Of returns the address of one kind, "" if the recipient has none.
func (r Recipient) Of(kind Address) string {
	switch kind {
	case Phone:
		return r.Phone
	case Email:
		return r.Email
	case Push:
		return r.Push
	case Chat:
		return r.Chat
	}
	return ""
}

// Has reports whether the recipient has an address of one of the kinds.
func (r Recipient) Has(a Address) bool { return r.Kinds()&a != 0 }

// Kinds returns the kinds of address the recipient has.
func (r Recipient) Kinds() Address {
	var a Address
	for _, kind := range kinds {
		if r.Of(kind) != "" {
			a |= kind
		}
	}
	return a
}

var kinds = [...]Address{Phone, Email, Push, Chat}

// Masked returns the recipient with its addresses shortened by [Mask].
func (r Recipient) Masked() Recipient {
	return Recipient{Phone: Mask(r.Phone), Email: Mask(r.Email), Push: Mask(r.Push), Chat: Mask(r.Chat)}
}

// String returns the masked addresses.
func (r Recipient) String() string {
	var parts []string
	for _, kind := range kinds {
		if a := r.Of(kind); a != "" {
			parts = append(parts, Mask(a))
		}
	}
	return strings.Join(parts, " ")
}

// MarshalJSON returns the masked addresses, so that no log or answer shows an
// address by accident. A program that stores or forwards addresses must name
// the fields.
func (r Recipient) MarshalJSON() ([]byte, error) {
	type masked Recipient // without this method
	return json.Marshal(masked(r.Masked()))
}

// GoString keeps addresses out of %#v.
func (r Recipient) GoString() string { return "channel.Recipient{" + r.String() + "}" }

// LogValue keeps addresses out of logs.
func (r Recipient) LogValue() slog.Value { return slog.StringValue(r.String()) }

// A Message is one code on its way to one person, already rendered. Logs,
// prints and JSON show neither the code nor an address. A channel that forwards
// a Message must name the fields.
type Message struct {
	// ID is challenge "." step, at most 36 characters of [A-Za-z0-9.-]. It is
	// the provider's idempotency key. Every try of a step has the same ID. A
	// resend, and the next route after a failed receipt, has a new one.
	ID string

	To Recipient

	Code    string // for channels that carry only the code
	Text    string // for SMS and push
	Subject string // for e-mail
	Body    string // for e-mail, text/plain
	HTML    string // for e-mail, text/html; may be empty

	Language string // BCP 47
	Sender   string // brand; a channel's own configuration takes precedence
	Purpose  string // of the code: "login"
	Tenant   string // the brand of the Service that sends it; empty: the Service has one brand

	// RequestID is the RequestID of the Send or Resend, for logs and traces: at most 64
	// printable ASCII characters. It is not for the provider.
	RequestID string

	Created time.Time
	Expires time.Time // end of the code's life: the message must not be submitted later; zero: no end

	Route   string   // the only route to use, by name; empty: any
	Tried   []string // routes to skip
	Last    []string // routes to try after all others, for example because they lost an earlier message
	Invalid Address  // kinds of address known to be wrong

	// Allow is called before the message is handed to a route, unless it is
	// nil. If it returns an error, the route is skipped, and the error is the
	// hop's. The Service counts the message there against the limits of the
	// address that the route uses. A failover must call Allow; a channel must
	// not.
	Allow func(ctx context.Context, r Route) error
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

// MarshalJSON returns the id, the masked addresses, the purpose, the tenant and
// the times.
func (m Message) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID               string
		To               Recipient
		Purpose, Tenant  string
		Created, Expires time.Time
	}{m.ID, m.To, m.Purpose, m.Tenant, m.Created, m.Expires})
}
