package smtptest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func Example() {
	srv := smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"})
	defer srv.Close()
	srv.Script(smtptest.Rule{
		Phase:     smtptest.AtRcpt,
		Recipient: "nobody@example.com",
		Reply:     smtptest.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"},
	})

	mail, err := smtp.New(smtp.Config{
		Addr:      srv.Addr(),
		TLSConfig: srv.ClientTLS(),
		Username:  "codes",
		Password:  "secret",
		From:      "MyBank <codes@mybank.example>",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()

	for i, to := range []string{"ann@example.com", "nobody@example.com"} {
		_, err := mail.Send(context.Background(), &channel.Message{
			ID:      fmt.Sprintf("c4n7.%d", i),
			To:      channel.Recipient{Email: to},
			Subject: "Your code",
			Body:    "582037 is your code.\n",
		})
		var refused *channel.Error
		if errors.As(err, &refused) {
			fmt.Println("refused:", refused.Class, refused.Code)
		}
	}
	for _, m := range srv.Mails() {
		fmt.Printf("%s to %s: %s", m.Header.Get("From"), m.To[0], m.Text)
	}
	// Output:
	// refused: invalid recipient 5.1.1
	// "MyBank" <codes@mybank.example> to ann@example.com: 582037 is your code.
}
