package smtp

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/otpcourier/otpcourier/channel"
)

var (
	errNoEmail    = errors.New("the recipient has no e-mail address")
	errMalformed  = errors.New("e-mail address is malformed")
	errDomainName = errors.New("the e-mail address's domain is no domain name")
	errNeedsUTF8  = errors.New("the e-mail address needs SMTPUTF8, which the relay lacks")
	errLocalASCII = errors.New("e-mail address is not ASCII before the @")
)

// wireMailbox returns address as MAIL and RCPT may carry it: checked by
// [channel.Recipient.Validate], its domain in ASCII (RFC 5891). What it
// returns holds no character that ends an address in a command or a header;
// utf8 says that the local part needs SMTPUTF8 (RFC 6531).
func wireMailbox(address string) (wire string, needsUTF8 bool, err error) {
	if address == "" {
		return "", false, errNoEmail
	}
	if (channel.Recipient{Email: address}).Validate() != nil {
		return "", false, errMalformed
	}
	local, domain, _ := strings.Cut(address, "@")
	if !isASCII(domain) {
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return "", false, errDomainName
		}
		address = local + "@" + domain
		if !isASCII(domain) || (channel.Recipient{Email: address}).Validate() != nil {
			return "", false, errDomainName
		}
	}
	return address, !isASCII(local), nil
}

// asciiMailbox is wireMailbox for addresses that must do without SMTPUTF8.
func asciiMailbox(address string) (string, error) {
	wire, needsUTF8, err := wireMailbox(address)
	if err == nil && needsUTF8 {
		err = errLocalASCII
	}
	return wire, err
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
