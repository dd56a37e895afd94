package smtp_test

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// A real key is made by ed25519.GenerateKey, and read from a file or a vault.
var exampleKey = ed25519.NewKeyFromSeed([]byte("not random enough for a real key"))

// Signs each mail. A new key replaces it by Rotate, once it is in the DNS.
func ExampleNewDKIM() {
	relay := smtptest.NewServer(smtptest.Config{})
	defer relay.Close()

	signer, err := smtp.NewDKIM("mybank.example",
		smtp.DKIMKey{Selector: "202603-ed", Private: exampleKey},
		// add an RSA key, which then signs: Gmail and others ignore Ed25519
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	mail, err := smtp.New(smtp.Config{
		Addr:      relay.Addr(),
		TLSConfig: relay.ClientTLS(),
		From:      "MyBank <codes@mybank.example>",
		DKIM:      signer,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()
	_, err = mail.Send(context.Background(), &channel.Message{
		ID:      "c4n7.1",
		To:      channel.Recipient{Email: "ann@example.com"},
		Subject: "Your code",
		Body:    "582037 is your code.\n",
	})
	fmt.Println(err, len(relay.Mails()[0].Header["Dkim-Signature"]))
	// Output:
	// <nil> 1
}
