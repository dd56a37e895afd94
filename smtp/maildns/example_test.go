package maildns_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"

	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/maildns"
)

var _ maildns.Signer = (*smtp.DKIM)(nil)

// A real key is made by ed25519.GenerateKey, and read from a file or a vault.
var exampleKey = ed25519.NewKeyFromSeed([]byte("not random enough for a real key"))

// Prints the records to publish, as lines for a zone file.
func ExampleSetup_Records() {
	signer, err := smtp.NewDKIM("mybank.example", smtp.DKIMKey{Selector: "202603-ed", Private: exampleKey})
	if err != nil {
		fmt.Println(err)
		return
	}
	records, err := maildns.Setup{
		From:    "mybank.example",
		Senders: []string{"include:_spf.relay.example"},
		DKIM:    signer,
		Reports: "dmarc@mybank.example",
	}.Records()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range records {
		fmt.Println(r)
	}
	// Output:
	// mybank.example. IN TXT "v=spf1 include:_spf.relay.example ~all"
	// 202603-ed._domainkey.mybank.example. IN TXT "v=DKIM1; k=ed25519; p=0Zj5JJm7fi8FiL/AQ4SQLFudwG7irNiO1IYQnt3kocA="
	// _dmarc.mybank.example. IN TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc@mybank.example"
}

// names stands in for the DNS; a program gives Check a net.Resolver.
type names map[string]string

func (n names) LookupTXT(_ context.Context, name string) ([]string, error) {
	if text, found := n[name]; found {
		return []string{text}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// Lists the missing and wrong records.
func ExampleSetup_Check() {
	signer, err := smtp.NewDKIM("mybank.example", smtp.DKIMKey{Selector: "202603-ed", Private: exampleKey})
	if err != nil {
		fmt.Println(err)
		return
	}
	problems, err := maildns.Setup{
		From:    "mybank.example",
		Senders: []string{"ip4:192.0.2.25"},
		DKIM:    signer,
	}.Check(context.Background(), names{
		"mybank.example":        "v=spf1 ip4:192.0.2.0/24 -all",
		"_dmarc.mybank.example": "v=DMARC1; p=none",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// DKIM at 202603-ed._domainkey.mybank.example: missing
	// DMARC at _dmarc.mybank.example: weak: p=none: others may send in our name
}
