package smtp

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"

	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// A RecordKind is what a DNS record is for.
type RecordKind uint8

// The kinds.
const (
	SPFRecord   RecordKind = iota + 1 // which hosts send for the return path's domain (RFC 7208)
	KeyRecord                         // a public key of DKIM (RFC 6376 §3.6.1)
	DMARCRecord                       // what receivers do with mail that passes neither, aligned with From (RFC 7489)
)

// String returns the kind's name.
func (k RecordKind) String() string {
	switch k {
	case SPFRecord:
		return "SPF"
	case KeyRecord:
		return "DKIM"
	case DMARCRecord:
		return "DMARC"
	}
	return "unknown"
}

// A DNSRecord is a TXT record.
type DNSRecord struct {
	Kind RecordKind
	Name string // without the final dot
	Text string
}

// String returns the record as a zone file's line, its text in strings of at
// most 255 octets (RFC 1035 §3.3), which readers join again.
func (r DNSRecord) String() string {
	const most = 255
	var b strings.Builder
	b.WriteString(r.Name + ". IN TXT")
	for text := r.Text; ; {
		n := min(len(text), most)
		b.WriteString(` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text[:n]) + `"`)
		if text = text[n:]; text == "" {
			return b.String()
		}
	}
}

// A DNSSetup says what the DNS should hold for the mail of a Config to be trusted.
type DNSSetup struct {
	// From is the domain of Config.From. Required.
	From string

	// ReturnPath is the domain of Config.EnvelopeFrom or Config.VERP. Let it be
	// From or of the same organization, or SPF does not count for DMARC. Default:
	// From.
	ReturnPath string

	// Senders are the hosts from which receivers get the mail, as SPF has it:
	// "include:_spf.relay.example", "ip4:192.0.2.0/24", "a:mail.mybank.example".
	// The relay's operator knows. Required.
	Senders []string

	// DKIM is that of Config.DKIM. nil leaves out its keys: a relay that signs
	// has records of its own, of which Check knows nothing.
	DKIM *DKIM

	// Reports is the mailbox that receivers send their daily DMARC reports to.
	// Default: none are asked for.
	Reports string
}

// Records returns the records to publish: SPF, the keys of DKIM, and DMARC. SPF
// and DMARC are suggestions, for a domain that sends nothing else: other mail
// has its own hosts, to be named in the one SPF record, and until all of it is
// signed "p=none" is the policy to begin with. Once the reports are clean, end
// with "p=reject".
//
// The error names the field of d that is wrong.
func (d DNSSetup) Records() ([]DNSRecord, error) {
	d, err := d.settle()
	if err != nil {
		return nil, err
	}
	return d.records()
}

// records is Records of a DNSSetup that has been settled.
func (d DNSSetup) records() ([]DNSRecord, error) {
	records := []DNSRecord{{Kind: SPFRecord, Name: d.ReturnPath, Text: "v=spf1 " + strings.Join(d.Senders, " ") + " ~all"}}
	if d.DKIM != nil {
		for _, key := range *d.DKIM.keys.Load() {
			r, err := d.DKIM.record(key)
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		}
	}
	dmarc := "v=DMARC1; p=quarantine"
	if d.Reports != "" {
		dmarc += "; rua=mailto:" + d.Reports
	}
	return append(records, DNSRecord{Kind: DMARCRecord, Name: "_dmarc." + d.From, Text: dmarc}), nil
}

// record returns the record of one key.
func (d *DKIM) record(k DKIMKey) (DNSRecord, error) {
	public, err := publicKey(k)
	if err != nil {
		return DNSRecord{}, err
	}
	return DNSRecord{
		Kind: KeyRecord,
		Name: strings.ToLower(k.Selector) + "._domainkey." + d.domain,
		Text: "v=DKIM1; k=" + k.algorithm() + "; p=" + public,
	}, nil
}

// publicKey returns the p tag: for RSA a SubjectPublicKeyInfo, as everybody
// publishes it, whatever RFC 6376 says (erratum 3017); for Ed25519 the bare key
// (RFC 8463 §4).
func publicKey(k DKIMKey) (string, error) {
	switch public := k.Private.Public().(type) {
	case ed25519.PublicKey:
		return base64.StdEncoding.EncodeToString(public), nil
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("smtp: DKIM key %q: %w", k.Selector, err)
		}
		return base64.StdEncoding.EncodeToString(der), nil
	}
	return "", fmt.Errorf("smtp: DKIM key %q is of no known kind", k.Selector)
}

func (d DNSSetup) settle() (DNSSetup, error) {
	var err error
	if d.From, err = addrspec.Domain(d.From); err != nil {
		return DNSSetup{}, errors.New("smtp: DNSSetup.From is no domain name")
	}
	if d.ReturnPath == "" {
		d.ReturnPath = d.From
	}
	if d.ReturnPath, err = addrspec.Domain(d.ReturnPath); err != nil {
		return DNSSetup{}, errors.New("smtp: DNSSetup.ReturnPath is no domain name")
	}
	if d.DKIM != nil && !d.DKIM.made() {
		return DNSSetup{}, errors.New("smtp: DNSSetup.DKIM was not made by NewDKIM")
	}
	if d.DKIM != nil && !addrspec.Aligned(d.DKIM.domain, d.From) {
		return DNSSetup{}, errors.New("smtp: DNSSetup.DKIM signs for another domain than DNSSetup.From")
	}
	if len(d.Senders) == 0 {
		return DNSSetup{}, errors.New("smtp: DNSSetup.Senders is empty")
	}
	for _, sender := range d.Senders {
		if !isSender(sender) {
			return DNSSetup{}, fmt.Errorf("smtp: DNSSetup.Senders: %q is no include, ip4, ip6, a, mx or exists of SPF", sender)
		}
	}
	if d.Reports != "" {
		address, err := mail.ParseAddress(d.Reports)
		if err != nil {
			return DNSSetup{}, errors.New("smtp: DNSSetup.Reports is no mailbox")
		}
		// A "!" or "," would end the address in the record (RFC 7489 §6.2).
		if d.Reports, err = addrspec.ASCII(address.Address); err != nil || strings.ContainsAny(d.Reports, "!%") {
			return DNSSetup{}, errors.New("smtp: DNSSetup.Reports is no mailbox that fits a DMARC record")
		}
	}
	return d, nil
}

// isSender reports whether term is an SPF mechanism that lets somebody send.
func isSender(term string) bool {
	name, value, valued := strings.Cut(term, ":")
	switch name {
	case "ip4", "ip6":
		prefix, err := spfPrefix(value)
		return err == nil && prefix.Addr().Is4() == (name == "ip4")
	case "include", "exists", "a", "mx":
		return valued && value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) ||
			!valued && (name == "a" || name == "mx")
	}
	return false
}

// spfPrefix reads "192.0.2.1" or "192.0.2.0/24".
func spfPrefix(value string) (netip.Prefix, error) {
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
