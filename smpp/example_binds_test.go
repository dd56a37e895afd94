package smpp_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// OTP Blue delivers to iMessage and is tried first. A carrier takes the numbers
// without iMessage.
func Example_otpBlue() {
	blueSMSC := smpptest.NewTLSServer(smpptest.Config{
		Handler: smpptest.OTPBlue(func(number string) bool { return number == "+14155550100" }),
	})
	defer blueSMSC.Close()
	carrierSMSC := smpptest.NewTLSServer(smpptest.Config{})
	defer carrierSMSC.Close()

	blue, err := smpp.New(smpp.Config{
		Addr: blueSMSC.Addr, TLS: blueSMSC.ClientTLS(), SystemID: "mybank", Password: "secret",
		Sender: "MyBank", // the bold subject line
		TPS:    50,       // as agreed with OTP Blue
		Long:   smpp.LongPayload,
		// Numbers are validated earlier, so "invalid" can only mean a country
		// that OTP Blue does not serve.
		Classes: map[smpp.Status]channel.Class{smpp.StatusInvalidDestination: channel.Unreachable},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer blue.Close()
	carrier, err := smpp.New(smpp.Config{
		Addr: carrierSMSC.Addr, TLS: carrierSMSC.ClientTLS(), SystemID: "mybank", Password: "secret",
		Sender:  "MyBank",
		Senders: map[string]string{"+1": "12025550123"}, // the USA allow no alphanumeric senders
	})
	if err != nil {
		log.Fatal(err)
	}
	defer carrier.Close()

	routes, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "imessage", Channel: blue, Address: channel.Phone, Retry: channel.Retry{Attempts: 2}},
		channel.Route{Name: "carrier", Channel: carrier, Address: channel.Phone, Retry: channel.Retry{Attempts: 2}},
	)})
	if err != nil {
		log.Fatal(err)
	}
	for _, number := range []string{"+14155550100", "+14155550101"} {
		sent, err := routes.Send(context.Background(), &channel.Message{
			ID: "c1.1", To: channel.Recipient{Phone: number}, Text: "482910 is your MyBank code.",
			Expires: time.Now().Add(5 * time.Minute),
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(sent.Route)
		for _, hop := range sent.Hops {
			if hop.Err != nil {
				fmt.Println("-", hop.Route, hop.Class, hop.Code)
			}
		}
	}
	// Output:
	// imessage
	// carrier
	// - imessage unreachable 0x45
}

// Four binds to two hosts of one SMSC, with one limit for all of them.
func Example_binds() {
	a, b := smpptest.NewServer(smpptest.Config{}), smpptest.NewServer(smpptest.Config{})
	defer a.Close()
	defer b.Close()

	bound := make(chan string, 4)
	client, err := smpp.New(smpp.Config{
		Addr: a.Addr, Addrs: []string{b.Addr}, Binds: 4,
		DangerouslyPlaintext: true, // these two are on the same machine
		TPS:                  1000, Window: 50,
		Credentials: func(context.Context) (systemID, password string, err error) {
			return "mybank", "secret", nil // a secret store would return them
		},
		Event: func(e smpp.Event) { bound <- e.Kind.String() },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for range 4 {
		fmt.Println(<-bound)
	}
	for range 8 {
		if _, err := client.Send(context.Background(), &channel.Message{
			To: channel.Recipient{Phone: "+447911123456"}, Text: "482910 is your code.",
		}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(a.Submits()), len(b.Submits()), len(client.State().Sessions), client.State().Rate)
	// Output:
	// bound
	// bound
	// bound
	// bound
	// 4 4 4 1000
}

// A receipt finds its message by id, over any bind. If the program cannot store
// a receipt, the SMSC sends it again.
func Example_receipts() {
	smsc := smpptest.NewTLSServer(smpptest.Config{Redeliver: time.Millisecond})
	defer smsc.Close()
	smsc.On("+447911123456", smpptest.Reply{ID: "1A2B",
		Receipt: smpptest.Receipt{Stat: "UNDELIV", Err: "001", ID: "0000006699"}})

	tries := 0
	got := make(chan channel.Receipt, 1)
	client, err := smpp.New(smpp.Config{
		Addr: smsc.Addr, TLS: smsc.ClientTLS(),
		SubmitIDs: smpp.IDHex, ReceiptIDs: smpp.IDDecimal, // this SMSC's formats
		Receipt: func(_ context.Context, r channel.Receipt) error {
			if tries++; tries == 1 {
				return fmt.Errorf("database is down")
			}
			got <- r
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	sent, err := client.Send(context.Background(), &channel.Message{
		To: channel.Recipient{Phone: "+447911123456"}, Text: "482910 is your code.",
	})
	if err != nil {
		log.Fatal(err)
	}
	r := <-got
	fmt.Println(r.ProviderID == sent.ProviderIDs[0], r.State, r.Class, r.Code, tries)
	// Output:
	// true failed unreachable UNDELIV err:001 2
}
