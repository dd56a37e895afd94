// Package addrspec checks e-mail addresses (addr-spec, RFC 5322 §3.4.1) and
// domain names. It returns them in the form for commands, headers and DNS
// records.
package addrspec

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/otpcourier/otpcourier/channel"
)

// The errors never repeat the address.
var (
	ErrMissing    = errors.New("the recipient has no e-mail address")
	ErrMalformed  = errors.New("e-mail address is malformed")
	ErrDomainName = errors.New("the e-mail address's domain is not a domain name")
	ErrLocalPart  = errors.New("e-mail address is not ASCII before the @")
)

// Wire returns address for MAIL and RCPT: checked by
// [channel.Recipient.Validate], with its domain in ASCII (RFC 5891). The result
// has no character that ends an address in a command or a header. If needsUTF8
// is set, the local part needs SMTPUTF8 (RFC 6531).
func Wire(address string) (wire string, needsUTF8 bool, err error) {
	if address == "" {
		return "", false, ErrMissing
	}
	if (channel.Recipient{Email: address}).Validate() != nil {
		return "", false, ErrMalformed
	}
	local, domain, _ := strings.Cut(address, "@")
	if !IsASCII(domain) {
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", false, ErrDomainName
		}
		address = local + "@" + domain
		if !IsASCII(domain) || (channel.Recipient{Email: address}).Validate() != nil {
			return "", false, ErrDomainName
		}
	}
	return address, !IsASCII(local), nil
}

// ASCII is Wire for addresses without SMTPUTF8.
func ASCII(address string) (string, error) {
	wire, needsUTF8, err := Wire(address)
	if err == nil && needsUTF8 {
		err = ErrLocalPart
	}
	return wire, err
}

// Domain returns a domain name in lower-case ASCII.
func Domain(name string) (string, error) {
	wire, err := ASCII("x@" + name)
	if err != nil {
		return "", err
	}
	return strings.ToLower(strings.TrimPrefix(wire, "x@")), nil
}

// Aligned reports whether the domains are equal, or one is beneath the other.
// This is a narrower test than DMARC's, which needs a list of public suffixes.
func Aligned(a, b string) bool {
	a, b = "."+strings.ToLower(a), "."+strings.ToLower(b)
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}

// IsASCII reports whether s is all ASCII.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
