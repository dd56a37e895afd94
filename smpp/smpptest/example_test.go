package smpptest_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

func ExampleServer() {
	smsc := smpptest.NewTLSServer(smpptest.Config{})
	defer smsc.Close()
	smsc.On("+447911123456",
		smpptest.Reply{Status: smpp.StatusThrottled},
		smpptest.Reply{Receipt: smpptest.Receipt{None: true}})

	client, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.ClientTLS(), Sender: "MyBank"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	m := &channel.Message{To: channel.Recipient{Phone: "+447911123456"}, Text: "482910 is your MyBank code."}
	for range 2 {
		_, err := client.Send(ctx, m)
		fmt.Println(err)
	}
	messages, err := smsc.Wait(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s to %s: %s\n", messages[0].From, messages[0].To, messages[0].Text)
	// Output:
	// smpp: submit_sm: throttled (0x58): ESME_RTHROTTLED
	// <nil>
	// MyBank to +447911123456: 482910 is your MyBank code.
}

func ExampleOTPBlue() {
	iPhones := map[string]bool{"+14155550100": true}
	smsc := smpptest.NewTLSServer(smpptest.Config{
		Handler: smpptest.OTPBlue(func(number string) bool { return iPhones[number] }),
	})
	defer smsc.Close()

	client, err := smpp.New(smpp.Config{Addr: smsc.Addr, TLS: smsc.ClientTLS(), Sender: "MyBank"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for _, number := range []string{"+14155550100", "+14155550101"} {
		_, err := client.Send(context.Background(), &channel.Message{
			To: channel.Recipient{Phone: number}, Text: "482910 is your MyBank code.",
		})
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// smpp: submit_sm: unreachable (0x45): ESME_RSUBMITFAIL
}
