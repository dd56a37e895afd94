package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// bounce arrives in the mailbox of the return paths, by LMTP, IMAP or a
// provider's webhook.
const bounce = `Date: Sun, 1 Mar 2026 12:00:03 +0100
From: MAILER-DAEMON@mx.example.net
To: <%s>
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; anm@example.com
Action: failed
Status: 5.1.1

--b--
`

// A bounce leads to its message, and a forged bounce does not.
func ExampleParseFeedback() {
	relay := smtptest.NewServer(smtptest.Config{})
	defer relay.Close()

	verp, err := smtp.NewVERP("bounce+*@mybank.example", []byte("32 random octets from the vault."))
	if err != nil {
		fmt.Println(err)
		return
	}
	mail, err := smtp.New(smtp.Config{
		Addr:      relay.Addr(),
		TLSConfig: relay.ClientTLS(),
		From:      "codes@mybank.example",
		VERP:      verp,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()

	// An otp.Service attaches its HandleReceipt, if its Config has the
	// Receipts.
	var receipts channel.Receipts
	receipts.Attach(func(_ context.Context, r channel.Receipt) error {
		fmt.Println(r.Route, r.MessageID, r.State, r.Class, r.Code)
		return nil
	})
	onReceipt := receipts.For("email")

	ctx := context.Background()
	if _, err := mail.Send(ctx, &channel.Message{
		ID:      "c4n7.1",
		To:      channel.Recipient{Email: "anm@example.com"},
		Subject: "Your code",
		Body:    "582037 is your code.\n",
	}); err != nil {
		fmt.Println(err)
		return
	}
	returnPath := relay.Mails()[0].From
	for _, to := range []string{returnPath, strings.Replace(returnPath, "c4n7.1", "c4n8.1", 1)} {
		feedback, err := smtp.ParseFeedback(strings.NewReader(fmt.Sprintf(bounce, to)), verp)
		switch {
		case errors.Is(err, smtp.ErrForgedToken):
			fmt.Println("forged")
		case err != nil:
			fmt.Println(err)
		case feedback.Kind == smtp.Complaint:
			fmt.Println("stop mail to who complains of", feedback.ComplaintType)
		default:
			if err := feedback.Deliver(ctx, onReceipt); err != nil {
				fmt.Println("keep the mail and try again:", err)
			}
		}
	}
	// Output:
	// email c4n7.1 failed invalid recipient 5.1.1
	// forged
}
