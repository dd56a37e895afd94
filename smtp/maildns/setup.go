package maildns

import (
	"crypto"
	"errors"
	"iter"
	"net/mail"
	"net/netip"
	"strings"

	"github.com/otpcourier/otpcourier/channel/transport"
	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// A Setup describes the mail of a domain, for which the DNS must vouch.
type Setup struct {
	// From is the domain of smtp.Config.From. Required.
	From string

	// ReturnPath is the domain of smtp.Config.EnvelopeFrom or smtp.Config.VERP.
	// It should be From or belong to the same organization, because SPF
	// otherwise does not count for DMARC. Default: From.
	ReturnPath string

	// Senders are the hosts that hand the mail to receivers, in the terms of
	// SPF: "include:_spf.relay.example", "ip4:192.0.2.0/24",
	// "a:mail.mybank.example". Ask the relay's operator. Required.
	Senders []string

	// DKIM is the signer of the mail, smtp.Config.DKIM. nil leaves out its keys.
	DKIM Signer

	// Selectors are the selectors of a relay that signs for From, as its
	// operator names them: "s1" for s1._domainkey.mybank.example. Check looks
	// for usable keys there. Default: none.
	Selectors []string

	// Reports is the mailbox for receivers' daily DMARC reports. Default: none
	// are requested.
	Reports string
}

// A Signer knows the keys that sign mail. *smtp.DKIM is a Signer.
type Signer interface {
	// Domain returns the domain of the signatures.
	Domain() string

	// PublicKeys yields the selector and the public half of each key that signs
	// or may sign: an *rsa.PublicKey or an ed25519.PublicKey.
	PublicKeys() iter.Seq2[string, crypto.PublicKey]
}

// settings is a valid Setup with its defaults.
type settings struct {
	Setup
	signing string   // the domain of DKIM, in ASCII; empty: none
	records []Record // to publish
}

func (s Setup) validate() (*settings, error) {
	set := &settings{Setup: s}
	v := transport.Validate("maildns: Setup.")
	if err := v.Steps(set.validateDomains, set.validateSenders, set.validateReports, set.validateDKIM); err != nil {
		return nil, err
	}
	return set, nil
}

func (s *settings) validateDomains(v *transport.Validator) {
	if s.ReturnPath == "" {
		s.ReturnPath = s.From
	}
	var err error
	s.From, err = addrspec.Domain(s.From)
	v.Check(err == nil, "From", "is not a domain name")
	s.ReturnPath, err = addrspec.Domain(s.ReturnPath)
	v.Check(err == nil, "ReturnPath", "is not a domain name")
}

func (s *settings) validateSenders(v *transport.Validator) {
	v.Check(len(s.Senders) > 0, "Senders", "is required")
	for _, sender := range s.Senders {
		v.Check(isSender(sender), "Senders", "%q is not an include, ip4, ip6, a, mx or exists of SPF", sender)
	}
}

func (s *settings) validateReports(v *transport.Validator) {
	if s.Reports == "" {
		return
	}
	mailbox, err := mail.ParseAddress(s.Reports)
	if err != nil {
		v.Error("Reports", errors.New("is not a mailbox"))
		return
	}
	// A "!" or "," would end the address in the record (RFC 9989 §6.2).
	s.Reports, err = addrspec.ASCII(mailbox.Address)
	v.Check(err == nil && !strings.ContainsAny(s.Reports, "!%"), "Reports", "is not a mailbox that fits a DMARC record")
}

func (s *settings) validateDKIM(v *transport.Validator) {
	if s.DKIM != nil {
		var err error
		s.signing, err = addrspec.Domain(s.DKIM.Domain())
		v.Check(err == nil, "DKIM", "was not made by smtp.NewDKIM: it signs for no domain")
		v.Check(addrspec.Aligned(s.signing, s.From), "DKIM", "signs for another domain than From")
	}
	for _, selector := range s.Selectors {
		_, err := addrspec.Domain(selector)
		v.Check(err == nil && addrspec.IsASCII(selector), "Selectors", "%q is not a part of a domain name", selector)
	}
	if !v.Failed() {
		var err error
		s.records, err = s.suggest()
		v.Error("DKIM", err)
	}
}

// isSender reports whether term is an SPF mechanism for hosts that may send.
func isSender(term string) bool {
	if term == "" {
		return false
	}
	d, ok := parseDirective(strings.ToLower(term))
	return ok && d.text[0] >= 'a' && d.name != "all" && d.name != "ptr"
}

// spfPrefix reads "192.0.2.1" or "192.0.2.0/24".
func spfPrefix(value string) (netip.Prefix, error) {
	if strings.Contains(value, "%") { // a zone of IPv6
		return netip.Prefix{}, errZone
	}
	if strings.Contains(value, "/") {
		prefix, err := netip.ParsePrefix(value)
		return prefix.Masked(), err
	}
	address, err := netip.ParseAddr(value)
	if err != nil {
		return netip.Prefix{}, err
	}
	return address.Prefix(address.BitLen())
}

var errZone = errors.New("an address with a zone")
