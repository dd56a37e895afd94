package smtp

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/transport"
)

// A composed mail is ready for DATA, except for the parts that differ by relay:
// a signature, further headers, dot-stuffing.
type composed struct {
	id     string // Message-ID, without its brackets
	data   []byte
	signed *[]signed // the signatures made so far; nil: none are kept
}

// signed are signatures of a mail.
type signed struct {
	by         *DKIM
	covers     coverage
	signatures []byte
}

// forRelay returns the mail for r. Signing takes longer than everything else,
// so each kind of signature is made once.
func (c composed) forRelay(r *relay) ([]byte, error) {
	var signatures []byte
	if r.DKIM != nil {
		var err error
		if signatures, err = c.sign(r.DKIM, coverage{r.AllDKIMKeys, r.SignMessageID}); err != nil {
			return nil, err
		}
	}
	if len(signatures)+len(r.headers) == 0 {
		return c.data, nil
	}
	whole := make([]byte, 0, len(r.headers)+len(signatures)+len(c.data)+len(".\r\n"))
	whole = append(append(whole, r.headers...), signatures...)
	return append(whole, c.data...), nil
}

func (c composed) sign(d *DKIM, covers coverage) ([]byte, error) {
	if c.signed == nil {
		return d.sign(c.data, covers)
	}
	for _, s := range *c.signed {
		if s.by == d && s.covers == covers {
			return s.signatures, nil
		}
	}
	signatures, err := d.sign(c.data, covers)
	if err == nil {
		*c.signed = append(*c.signed, signed{d, covers, signatures})
	}
	return signatures, err
}

// composeError gives the error of a mail's writing a class: a signer elsewhere
// may work again soon, the rest stays wrong.
func composeError(err error) error {
	if errors.Is(err, errUnsigned) {
		return refuse(channel.Temporary, err)
	}
	return refuse(channel.Misconfigured, err)
}

// ourHeaders are headers of our mail, and headers that control its way to the
// reader, in lower case; and beginnings of such names.
var (
	ourHeaders = []string{
		"auto-submitted", "bcc", "cc", "date", "dkim-signature", "feedback-id", "from", "in-reply-to", "message-id",
		"mime-version", "precedence", "received", "references", "reply-to", "return-path", "sender", "subject", "to",
		"x-auto-response-suppress", "authentication-results", "delivered-to",
	}
	ourPrefixes = []string{"content-", "resent-", "arc-", "received-", "list-"}
)

// validateHeaders makes the lines of Relay.Headers, in the order of their names.
func (r *Relay) validateHeaders(v *transport.Validator) {
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		lower, value := strings.ToLower(name), r.Headers[name]
		v.Check(isHeaderName(name), "Headers", "%q is not the name of a header", name)
		v.Check(!isOurHeader(lower), "Headers", "%q is a header of the mail itself", name)
		v.Check(!seen[lower], "Headers", "%q occurs twice", name)
		v.Check(isHeaderValue(name, value), "Headers",
			"the value of %q is empty, not printable ASCII, or too long for a line", name)
		seen[lower] = true
		r.headers = append(r.headers, name+": "+value+"\r\n"...)
	}
}

func isOurHeader(lower string) bool {
	return slices.Contains(ourHeaders, lower) ||
		slices.ContainsFunc(ourPrefixes, func(p string) bool { return strings.HasPrefix(lower, p) })
}

// isHeaderName reports whether name is a field-name (RFC 5322 §3.6.8) of letters,
// digits and "-".
func isHeaderName(name string) bool {
	return name != "" && len(name) <= maxHeaderName && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '.' || r == '_' || !isIDChar(r)
	})
}

// isHeaderValue reports whether value fits on a line after name, and needs no
// encoding there.
func isHeaderValue(name, value string) bool {
	return strings.TrimSpace(value) != "" && strings.TrimSpace(value) == value && isPlain(value) &&
		len(name)+len(": ")+len(value) <= maxHeader
}

const maxHeaderName = 76
