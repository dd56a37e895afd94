package smpp_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/sms"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
)

// A carrier's questionnaire, item by item.
func Example_carrier() {
	smsc := smpptest.NewTLSServer(smpptest.Config{SystemID: "mybank", Password: "secret"})
	defer smsc.Close()

	client, err := smpp.New(smpp.Config{
		// Connection: one host, TLS, two transceivers.
		Addr: smsc.Addr, TLS: smsc.ClientTLS(), Binds: 2,
		// Bind.
		SystemID: "mybank", Password: "secret", SystemType: "OTP",
		Classes: map[smpp.Status]channel.Class{0x40C: channel.Temporary}, // too many binds
		// Session: closed after 60 s of silence, a window of 20, 100 messages a
		// second.
		EnquireLink: 25 * time.Second, Window: 20, TPS: 100,
		// Messages: the default alphabet is Latin-1, destinations begin with "+".
		Codings:    []smpp.Coding{{DataCoding: 0, Encoding: sms.Latin1}, {DataCoding: 8, Encoding: sms.UCS2}},
		DestFormat: smpp.DestPlus, Validity: smpp.ValidityAbsolute, Sender: "MyBank",
		ShortCodeNumbering: &smpp.Numbering{TON: 6, NPI: 0},
		// Receipts.
		SubmitIDs: smpp.IDHex, ReceiptIDs: smpp.IDDecimal,
		ReceiptStates: map[string]smpp.MessageState{"HANDSET_OK": smpp.MessageDelivered},
		RetryStatus:   smpp.StatusThrottled,
		// Test.
		Trace: func(p smpp.PDU) {
			if p.Command == "submit_sm" {
				fmt.Println(p.Command, "with", strings.TrimSpace(p.Fields[6].Name+" "+p.Fields[6].Value))
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.Send(context.Background(), &channel.Message{
		ID: "c1.1", To: channel.Recipient{Phone: "+447911123456"}, Text: "482910 is your code.",
	})
	fmt.Println(err, client.State().Total.Submitted)
	// Output:
	// submit_sm with destination_addr +44******3456
	// <nil> 1
}
