package maildns

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"iter"
	"net"
	"sync"
	"testing"
)

// A zone is a Resolver that knows these names and no others.
type zone map[string][]string

var _ Resolver = zone(nil)

func (z zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if texts, found := z[name]; found {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func newSetup(t testing.TB) Setup {
	t.Helper()
	return Setup{
		From:       "mybank.example",
		ReturnPath: "bounces.mybank.example",
		Senders:    []string{"include:_spf.relay.example", "ip4:192.0.2.1"},
		DKIM:       testSigner(),
		Reports:    "DMARC reports <dmarc@mybank.example>",
	}
}

// published is what a zone holds once Records are in it.
func published(t testing.TB, d Setup) zone {
	t.Helper()
	records, err := d.Records()
	if err != nil {
		t.Fatal(err)
	}
	z := zone{"_spf.relay.example": {"v=spf1 ip4:198.51.100.0/24 -all"}}
	for _, r := range records {
		z[r.Name] = append(z[r.Name], r.Text)
	}
	return z
}

// A signer is a Signer of these keys.
type signer struct {
	domain string
	keys   []signerKey
}

type signerKey struct {
	selector string
	public   crypto.PublicKey
}

func (s signer) Domain() string { return s.domain }

func (s signer) PublicKeys() iter.Seq2[string, crypto.PublicKey] {
	return func(yield func(string, crypto.PublicKey) bool) {
		for _, k := range s.keys {
			if !yield(k.selector, k.public) {
				return
			}
		}
	}
}

// testSigner is made once: an RSA key takes a while.
var testSigner = sync.OnceValue(func() signer {
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	short, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return signer{"mybank.example", []signerKey{{"r2026", long.Public()}, {"e2026", short}}}
})
