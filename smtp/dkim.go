package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/publicsuffix"

	"github.com/otpcourier/otpcourier/smtp/internal/addrspec"
)

// minRSA is the least length of a signer's key, in bits (RFC 8301 §3.2).
const minRSA = 2048

// maxDKIMKeys bounds the signatures of one mail. Verifiers check only a few.
const maxDKIMKeys = 4

var errUnsigned = errors.New("the mail could not be signed")

// A DKIMKey signs mail. Logs and prints of it show no key.
type DKIMKey struct {
	// Selector names the key in the DNS, at Selector._domainkey.DOMAIN. Each new
	// key must have a new one, for example "202603-rsa". Required.
	Selector string

	// Private is an RSA key of at least 2048 bits or an Ed25519 key, or a signer
	// with such a key elsewhere. It must be safe for concurrent use, and must
	// return soon: signing has no context. Required.
	Private crypto.Signer
}

// String names the selector.
func (k DKIMKey) String() string { return "dkim key " + k.Selector }

// GoString keeps the key out of %#v.
func (k DKIMKey) GoString() string { return "smtp.DKIMKey{" + k.Selector + "}" }

// LogValue keeps the key out of logs.
func (k DKIMKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON is String: it keeps the key out of logs.
func (k DKIMKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// isUsable reports whether receivers accept signatures by the key.
func (k DKIMKey) isUsable() bool {
	if k.Private == nil {
		return false
	}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA
	case ed25519.PublicKey:
		return true
	}
	return false
}

// A DKIM signs mail for a domain (RFC 6376). The signature is in relaxed form,
// which survives changes of white space.
//
// A mail gets one signature, by the first RSA key, or by the first key if none is
// RSA. Every receiver verifies RSA, while Gmail and others ignore Ed25519 (RFC
// 8463), and some relays refuse a mail with two signatures. A signature by
// RSA-2048 takes one to two milliseconds, so a processor can sign some hundred
// mails a second. Ed25519 takes a twentieth of that. With Config.AllDKIMKeys each
// key signs, at the cost of all. If the relay signs for the domain, leave
// Config.DKIM out: that costs nothing.
//
// On the way to the reader, nobody can change a signed header, or add another
// (§8.15). Signed are From, To, Cc, Reply-To, Subject, MIME-Version,
// Content-Type, Content-Transfer-Encoding and Content-Disposition.
// Auto-Submitted, Content-Language and Feedback-ID are signed if a mail has them,
// and Message-ID and Date with Config.SignMessageID. Other headers can be added:
// a relay may have to name a Sender.
//
// A mail is signed directly before a relay gets it, and not if the relay is left
// alone or its Rate is used up. The next relay gets the same signature.
//
// A DKIM is safe for concurrent use.
type DKIM struct {
	domain string
	keys   atomic.Pointer[[]DKIMKey]
}

// NewDKIM returns a DKIM for domain. It must be the domain of Config.From, or a
// parent or a subdomain of it, so that DMARC finds them aligned.
func NewDKIM(domain string, keys ...DKIMKey) (*DKIM, error) {
	domain, err := addrspec.Domain(domain)
	if err != nil {
		return nil, errors.New("smtp: the DKIM domain is not a domain name")
	}
	suffix, icann := publicsuffix.PublicSuffix(domain)
	if suffix == domain && (icann || !strings.Contains(domain, ".")) {
		return nil, errors.New("smtp: the DKIM domain is a public suffix, under which others register domains")
	}
	d := &DKIM{domain: domain}
	if err := d.Rotate(keys...); err != nil {
		return nil, err
	}
	return d, nil
}

// made reports whether NewDKIM made d.
func (d *DKIM) made() bool { return d.keys.Load() != nil }

// Rotate replaces the keys, with the rules of NewDKIM. Publish a new key earlier,
// and leave the old key in the DNS for some days: mail is verified on arrival.
func (d *DKIM) Rotate(keys ...DKIMKey) error {
	if len(keys) == 0 || len(keys) > maxDKIMKeys {
		return fmt.Errorf("smtp: DKIM needs 1 to %d keys", maxDKIMKeys)
	}
	seen := map[string]bool{}
	for _, k := range keys {
		selector := strings.ToLower(k.Selector)
		if _, err := addrspec.Domain(selector); err != nil || !addrspec.IsASCII(selector) {
			return errors.New("smtp: DKIMKey.Selector is not a part of a domain name")
		}
		if seen[selector] {
			return fmt.Errorf("smtp: DKIMKey.Selector %q occurs twice", k.Selector)
		}
		if !k.isUsable() {
			return fmt.Errorf(
				"smtp: DKIMKey.Private of %q is neither an RSA key of at least %d bits nor an Ed25519 key",
				k.Selector, minRSA)
		}
		seen[selector] = true
	}
	own := append([]DKIMKey(nil), keys...)
	d.keys.Store(&own)
	return nil
}

// String shows no key.
func (d *DKIM) String() string { return "dkim " + d.domain }

// GoString shows no key.
func (d *DKIM) GoString() string { return "smtp.DKIM{" + d.domain + "}" }

// oversigned are the headers of our mail. The signature names each twice, so that
// no other of the name can be added. Not every mail has the headers of the second
// line.
var oversigned = [...]string{
	"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
	"Auto-Submitted", "Content-Language", "Content-Transfer-Encoding", "Feedback-ID", "Reply-To",
}

// signedIfAbsent are headers that change the mail for its reader. If a mail lacks
// one, the signature names it, so that it cannot be added. Some of our mails have
// the first and the last.
var signedIfAbsent = [...]string{"Reply-To", "Cc", "Content-Disposition", "Content-Transfer-Encoding"}

// signedHeaders lists the headers that the signature names (RFC 6376 §5.4). A
// relay may add others. It may replace Date and Message-ID unless withID is set.
func signedHeaders(mail []byte, withID bool) []string {
	end := bytes.Index(mail, []byte("\r\n\r\n"))
	header := append([]byte("\r\n"), mail[:max(end, 0)]...)
	keys := make([]string, 0, 2*len(oversigned)+len(signedIfAbsent))
	has := func(name string) bool { return bytes.Contains(header, []byte("\r\n"+name+": ")) }
	for _, name := range oversigned {
		if has(name) && (withID || name != "Date" && name != "Message-ID") {
			keys = append(keys, name, name)
		}
	}
	for _, name := range signedIfAbsent {
		if !has(name) {
			keys = append(keys, name)
		}
	}
	return keys
}

// Domain returns the domain of the signatures, in lower-case ASCII. It is "" if
// [NewDKIM] did not make d.
func (d *DKIM) Domain() string {
	if d == nil {
		return ""
	}
	return d.domain
}

// PublicKeys yields the selector and the public half of each key, for package
// smtp/maildns: an *[rsa.PublicKey] or an [ed25519.PublicKey].
func (d *DKIM) PublicKeys() iter.Seq2[string, crypto.PublicKey] {
	return func(yield func(string, crypto.PublicKey) bool) {
		if d == nil || !d.made() {
			return
		}
		for _, k := range *d.keys.Load() {
			if !yield(k.Selector, k.Private.Public()) {
				return
			}
		}
	}
}

// A coverage says which keys sign a mail, and which headers they sign.
type coverage struct {
	allKeys bool // every key signs, and not only one
	withID  bool // Message-ID and Date are signed
}

// signingKeys returns the keys that sign a mail. It is one, the first RSA key if
// there is one, unless all is set.
func (d *DKIM) signingKeys(all bool) []DKIMKey {
	keys := *d.keys.Load()
	if all {
		return keys
	}
	i := slices.IndexFunc(keys, func(k DKIMKey) bool {
		_, isRSA := k.Private.Public().(*rsa.PublicKey)
		return isRSA
	})
	i = max(i, 0)
	return keys[i : i+1]
}

// sign returns the signatures to put before mail.
func (d *DKIM) sign(mail []byte, c coverage) ([]byte, error) {
	headers := signedHeaders(mail, c.withID)
	keys := d.signingKeys(c.allKeys)
	signatures := make([]byte, 0, 1024*len(keys))
	for _, k := range keys {
		signature, err := d.signature(mail, headers, k)
		if err != nil {
			return nil, fmt.Errorf("%w: selector %s: %w", errUnsigned, k.Selector, err)
		}
		signatures = append(signatures, signature...)
	}
	return signatures, nil
}

func (d *DKIM) signature(mail []byte, headers []string, k DKIMKey) (string, error) {
	s, err := dkim.NewSigner(&dkim.SignOptions{
		Domain:                 d.domain,
		Selector:               k.Selector,
		Signer:                 k.Private,
		HeaderKeys:             headers,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization:   dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		return "", err
	}
	_, writeErr := s.Write(mail)
	if err := s.Close(); err != nil { // also ends the signer's goroutine
		return "", err
	}
	if writeErr != nil {
		return "", writeErr
	}
	return s.Signature(), nil
}
