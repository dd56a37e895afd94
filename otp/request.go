package otp

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/phone"
	"github.com/otpcourier/otpcourier/store"
)

const (
	maxSubject   = 256
	maxBinding   = 64 << 10
	maxReference = 128
)

// A Request asks for a code to be sent.
type Request struct {
	// Tenant is the brand that the code is for, by Tenant.Name. Default: the
	// brand of the Config.
	Tenant string

	// Subject is the person to be verified: a user's id, or an address if
	// there is no user yet. A code is valid for its subject only, and failures
	// in a row are counted by subject. An e-mail address, or a number that
	// begins with "+", is one subject in all its spellings. Required, at most
	// 256 octets.
	Subject string

	// To holds the addresses of the person. A phone number may be written as
	// people write it; if it has no country code, Config.Region is its country.
	// At least one address is required.
	//
	// All spellings of an e-mail address count as one against the limits: in
	// lower case, in Unicode's form NFC, with the domain in ASCII. Dots and tags
	// after a plus sign make different addresses, since only some providers
	// ignore them.
	To channel.Recipient

	// Purpose is the use of the code, such as "login", at most 64 printable ASCII
	// characters. A code for one purpose does not pass for another. The message
	// is worded for the purposes of package wording, such as wording.Payment.
	Purpose string

	// Binding ties the code to other data, such as a payment's amount and payee
	// (PSD2 RTS 2018/389 Art. 5) or a browser session: Verify must be called
	// with the same octets. At most 64 KiB. Default: none.
	Binding []byte

	// Details are shown in the message, such as the amount and payee of a payment.
	// At most 200 characters on one line. Default: none.
	Details string

	// Language is a BCP 47 tag or an Accept-Language value. Default: the language
	// of the phone number's country, else Config.Wording.Default.
	Language string

	// Route is the name of the only route to use, such as a user's preference.
	// Default: any route.
	Route string

	// Priority decides which messages of the Queue go first: for example, a
	// payment's before a newsletter sign-up's. Default: store.Normal.
	Priority store.Priority

	// IP is the address of the person who asks, for Policy.PerIP and the Guard.
	// Default: the zero Addr, which is not limited.
	IP netip.Addr

	// Known: the request comes from a device or session on which the subject was
	// verified before. The caller must have proof of that, such as a signed
	// cookie. Known requests have allowances of their own in Policy.PerRecipient,
	// MaxFailures and MaxRun: strangers who use up the others do not lock the
	// person out.
	Known bool

	// Proven: the person has passed the step-up that the Guard required with
	// ReasonStepUp, such as a captcha. A proof must be accepted for one number
	// and one request only.
	Proven bool

	// Signals are for the Guard's checks, such as a device's score or an app's
	// attestation. At most 32, with names of 1 to 64 printable ASCII characters
	// and values of at most 1 KiB. They are not stored.
	Signals map[string]string

	// Decoy: the person has no account, and the answer must not show it. Send
	// takes the same limits, asks the Guard and returns the same answer, but
	// nothing is sent, and no code verifies the Challenge.
	//
	// With Config.Async the answer also takes the same time: Send, Status, Resend
	// and Verify call the store as often as for a real message. Without Async, a
	// decoy is faster by the provider's answer and one call of the Tracker. The
	// State of a decoy stays Sent: a page must not show whether a message was
	// Delivered.
	Decoy bool

	// IdempotencyKey makes a repeated Request return the challenge of the first,
	// with Challenge.Repeated, during the life of that challenge. Nothing is sent
	// again, unless no route took the first message, or its sender died. The
	// Outcome says if the challenge was verified or cancelled meanwhile. At most
	// 256 octets. Default: each Request is a new one.
	IdempotencyKey string

	// RequestID marks the events of this request, at most 64 printable ASCII
	// characters. Default: a random one.
	RequestID string

	// Reference is a value of the caller, such as an order number. Challenge and
	// Event return it. At most 128 printable ASCII characters. Default: none.
	Reference string
}

// String keeps the addresses, and a subject that may be one, out of logs.
func (q Request) String() string {
	return "otp.Request(" + loggable(q.RequestID) + " to " + q.To.String() + ")"
}

// GoString is String.
func (q Request) GoString() string { return q.String() }

// LogValue is String.
func (q Request) LogValue() slog.Value { return slog.StringValue(q.String()) }

// MarshalJSON is String.
func (q Request) MarshalJSON() ([]byte, error) { return json.Marshal(q.String()) }

// validate checks a request, and returns its stored form.
func (s *Service) validate(q Request, t *tenant) (*sealedRequest, error) {
	switch {
	case q.Subject == "" || len(q.Subject) > maxSubject:
		return nil, invalid("Subject", "it must have 1 to 256 octets")
	case q.To == (channel.Recipient{}):
		return nil, invalid("To", "there is no address")
	case !printable(q.Purpose):
		return nil, invalid("Purpose", "it must be at most 64 printable ASCII characters")
	case !printable(q.Route):
		return nil, invalid("Route", "it must be at most 64 printable ASCII characters")
	case !printable(q.RequestID):
		return nil, invalid("RequestID", "it must be at most 64 printable ASCII characters")
	case len(q.Reference) > maxReference || !ascii(q.Reference):
		return nil, invalid("Reference", "it must be at most 128 printable ASCII characters")
	case !q.Priority.Valid():
		return nil, invalid("Priority", "it must be store.Low, store.Normal or store.High")
	case len(q.IdempotencyKey) > 256:
		return nil, invalid("IdempotencyKey", "it is longer than 256 octets")
	case len(q.Binding) > maxBinding:
		return nil, invalid("Binding", "it is longer than 64 KiB")
	}
	if err := cmp.Or(validSignals(q.Signals), s.payment(q)); err != nil {
		return nil, err
	}
	r := &sealedRequest{known: q.Known, proven: q.Proven, decoy: q.Decoy,
		tenant: q.Tenant, to: q.To, purpose: q.Purpose, details: q.Details, route: q.Route,
		requestID: q.RequestID, reference: q.Reference, priority: q.Priority, binding: bind(q.Binding),
		region: t.region}
	if len(t.of(q.Purpose).PerIP) > 0 || s.c.Guard != nil {
		r.ip = q.IP.WithZone("")
	}
	if err := s.validateAddresses(r, t); err != nil {
		return nil, err
	}
	var err error
	if r.language, err = t.words.Language(q.Language, r.region); err != nil {
		return nil, &Error{Reason: ReasonInvalid, Field: "Language", Err: err}
	}
	if !q.Decoy {
		_, r.fixed = s.fixedCode(r)
	}
	return r, r.served(t)
}

// validateAddresses brings the addresses into the form that messages go to.
func (s *Service) validateAddresses(r *sealedRequest, t *tenant) error {
	if r.to.Phone != "" {
		n, err := phone.Parse(r.to.Phone, t.region)
		if err != nil {
			return &Error{Reason: ReasonInvalid, Field: "To.Phone", Err: err}
		}
		if n.UnknownRange && s.c.KnownRangesOnly {
			return &Error{Reason: ReasonInvalid, Field: "To.Phone", Err: &phone.Error{Reason: phone.UnknownRange}}
		}
		if !slices.Contains(s.c.PhoneTypes, n.Type) {
			return invalid("To.Phone", "numbers of type "+n.Type.String()+" are not sent to")
		}
		r.to.Phone, r.region, r.number = n.E164, n.Region, n
	}
	if r.to.Email != "" {
		email, err := normalizeEmail(r.to.Email)
		if err != nil {
			return &Error{Reason: ReasonInvalid, Field: "To.Email", Err: err}
		}
		r.to.Email = email
	}
	if err := r.to.Validate(); err != nil {
		return &Error{Reason: ReasonInvalid, Field: "To", Err: err}
	}
	return nil
}

// served refuses a request that no route serves, if the routes are known.
func (q *sealedRequest) served(t *tenant) error {
	routes := t.routes()
	if routes == nil || q.fixed {
		return nil
	}
	named := false
	for _, r := range routes {
		if q.route == "" || q.route == r.Name {
			named = true
			if q.to.Has(r.Address) {
				return nil
			}
		}
	}
	if !named {
		return invalid("Route", "there is none of that name")
	}
	return invalid("To", "it has no address that a route serves")
}

// normalizeEmail returns the form of a mailbox that messages go to: without white space
// around it and in Unicode's form NFC. The error does not repeat the mailbox.
func normalizeEmail(address string) (string, error) {
	address = norm.NFC.String(strings.TrimSpace(address))
	return address, channel.Recipient{Email: address}.Validate()
}

// canonicalEmail returns the form that goes over the wire, in lower case: two
// spellings of one mailbox have one.
func canonicalEmail(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return strings.ToLower(address)
	}
	domain := address[at+1:]
	if !ascii(domain) || strings.Contains(strings.ToLower(domain), "xn--") { // idna lowers only the case of others
		if encoded, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = encoded
		}
	}
	return foldCase(address[:at]) + "@" + strings.ToLower(domain)
}

// foldCase returns one form of all that differ in case only (Unicode's simple
// case folding), in form NFC: the two forms of a small sigma are one.
func foldCase(s string) string {
	if ascii(s) {
		return strings.ToLower(s)
	}
	folded := strings.Map(func(r rune) rune {
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return unicode.ToLower(least)
	}, norm.NFC.String(s))
	return norm.NFC.String(folded) // there is a form of one character for some in one case only
}

// wireForm returns the forms of the addresses by which limits and idempotency
// keys know them.
func wireForm(to channel.Recipient) channel.Recipient {
	if to.Email != "" {
		to.Email = canonicalEmail(to.Email)
	}
	return to
}

// subjectForm returns a subject in the form by which it is known, if it is an
// address.
func subjectForm(subject string) string {
	trimmed := strings.TrimSpace(subject)
	switch {
	case strings.ContainsRune(trimmed, '@'):
		if email, err := normalizeEmail(trimmed); err == nil {
			return canonicalEmail(email)
		}
	case beginsWithPlus(trimmed):
		if n, err := phone.Parse(trimmed, ""); err == nil {
			return n.E164
		}
	}
	return subject
}

// beginsWithPlus reports whether s begins as an international number does: some
// have a parenthesis or invisible characters first.
func beginsWithPlus(s string) bool {
	s = strings.TrimLeftFunc(s, func(r rune) bool {
		return r == '(' || r == '（' || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
	})
	return strings.HasPrefix(s, "+") || strings.HasPrefix(s, "＋")
}

// printable reports whether s has at most 64 printable ASCII characters.
func printable(s string) bool { return len(s) <= 64 && ascii(s) }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// loggable returns the text that a caller passed, or "?" if it was refused for its form.
func loggable(s string) string {
	if !printable(s) {
		return "?"
	}
	return s
}

// fixedCode returns an app reviewer's code. A recipient with a second address has none.
func (s *Service) fixedCode(q *sealedRequest) (string, bool) {
	if len(s.fixed) == 0 || q.to != (channel.Recipient{Phone: q.to.Phone, Email: q.to.Email}) ||
		(q.to.Phone == "") == (q.to.Email == "") {
		return "", false
	}
	code, ok := s.fixed[q.to.Phone+q.to.Email]
	return code, ok
}
