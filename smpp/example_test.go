package smpp_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A code over SMPP, with its delivery receipt.
func Example() {
	smsc := smpptest.NewTLSServer(smpptest.Config{SystemID: "mybank", Password: "secret"})
	defer smsc.Close()

	receipts := make(chan channel.Receipt, 1)
	client, err := smpp.New(smpp.Config{
		Addr:     smsc.Addr,
		TLS:      smsc.ClientTLS(), // not needed for an SMSC whose certificate the system trusts
		SystemID: "mybank", Password: "secret",
		Sender: "MyBank",
		Receipt: func(_ context.Context, r channel.Receipt) error {
			receipts <- r
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer client.Shutdown(ctx)

	sent, err := client.Send(ctx, &channel.Message{
		ID:      "c1.1",
		To:      channel.Recipient{Phone: "+447911123456"},
		Text:    "482910 is your MyBank code. It is valid for 5 minutes.",
		Expires: time.Now().Add(5 * time.Minute),
	})
	if err != nil {
		log.Fatal(err)
	}
	receipt := <-receipts
	fmt.Println(sent.State, sent.ProviderIDs)
	fmt.Println(receipt.State, receipt.ProviderID, receipt.Code)
	// Output:
	// sent [m1]
	// delivered m1 DELIVRD err:000
}

// A refusal has a class for the program, and a status for people.
func ExampleStatus() {
	smsc := smpptest.NewTLSServer(smpptest.Config{
		Handler: smpptest.OTPBlue(func(number string) bool { return false }), // nobody has iMessage
	})
	defer smsc.Close()
	client, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.ClientTLS(), Sender: "MyBank"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Send(context.Background(), &channel.Message{
		To: channel.Recipient{Phone: "+14155550101"}, Text: "482910 is your MyBank code.",
	})
	fmt.Println(err)
	fmt.Println(channel.ClassOf(err) == channel.Unreachable, errors.Is(err, smpp.StatusSubmitFailed))
	// Output:
	// smpp: submit_sm: unreachable (0x45): ESME_RSUBMITFAIL
	// true true
}
