package maildns

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// A Kind is the purpose of a DNS record.
type Kind uint8

// The kinds.
const (
	SPF   Kind = iota + 1 // the hosts that send for the return path's domain (RFC 7208)
	DKIM                  // a public key of DKIM (RFC 6376 §3.6.1)
	DMARC                 // the policy for mail that passes neither, aligned with From (RFC 9989)
	MX                    // the mail exchangers for bounces of the return path's domain; not a TXT record
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case SPF:
		return "SPF"
	case DKIM:
		return "DKIM"
	case DMARC:
		return "DMARC"
	case MX:
		return "MX"
	}
	return "unknown"
}

// A Record is a TXT record. In a [Problem] of the kind MX it is the mail
// exchangers of a domain.
type Record struct {
	Kind Kind
	Name string // without the final dot
	Text string // of any length; String splits it
}

// String returns the record as a zone file's line. The text is in strings of at
// most 255 octets (RFC 1035 §3.3), which readers join again.
func (r Record) String() string {
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

// Records returns the records to publish: SPF, the keys of DKIM, and DMARC. SPF
// and DMARC are suggestions for a domain that sends nothing else. If other mail
// is sent for the domain, name its hosts in the one SPF record, too, and begin
// with the policy "p=none" until all of it is signed. Once the reports are clean,
// end with "p=reject".
//
// If a field of s is wrong, the error names it.
func (s Setup) Records() ([]Record, error) {
	v, err := s.validate()
	if err != nil {
		return nil, err
	}
	return v.records, nil
}

// suggest returns the records for a valid Setup.
func (s *settings) suggest() ([]Record, error) {
	spf := "v=spf1 " + strings.Join(s.Senders, " ") + " ~all"
	records := []Record{{Kind: SPF, Name: s.ReturnPath, Text: spf}}
	if s.DKIM != nil {
		for selector, public := range s.DKIM.PublicKeys() {
			key, err := keyText(public)
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", selector, err)
			}
			name := strings.ToLower(selector) + "._domainkey." + s.signing
			records = append(records, Record{Kind: DKIM, Name: name, Text: key})
		}
	}
	dmarc := "v=DMARC1; p=quarantine"
	if s.Reports != "" {
		dmarc += "; rua=mailto:" + s.Reports
	}
	return append(records, Record{Kind: DMARC, Name: "_dmarc." + s.From, Text: dmarc}), nil
}

// wanted returns the records that Check looks for: the suggested records, and
// those of other systems.
func (s *settings) wanted() []Record {
	wanted := slices.Clone(s.records)
	for _, selector := range s.Selectors {
		wanted = append(wanted, Record{Kind: DKIM, Name: strings.ToLower(selector) + "._domainkey." + s.From})
	}
	return append(wanted, Record{Kind: MX, Name: s.ReturnPath})
}

// keyText returns the text of a key record. Its p tag is a SubjectPublicKeyInfo
// for RSA, as everybody publishes it in spite of RFC 6376 (erratum 3017), and the
// bare key for Ed25519 (RFC 8463 §4).
func keyText(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", err
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	}
	return "", fmt.Errorf("%T is neither an RSA nor an Ed25519 key", public)
}
