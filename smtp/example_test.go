package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

func Example() {
	relay := smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"})
	defer relay.Close()

	mail, err := smtp.New(smtp.Config{
		Addr:      relay.Addr(),
		TLSConfig: relay.ClientTLS(), // leave it out if the system's roots vouch for the relay
		Username:  "codes",
		Password:  "secret",
		From:      "MyBank <codes@mybank.example>",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	submission, err := mail.Send(ctx, &channel.Message{
		ID:       "c4n7.1",
		To:       channel.Recipient{Email: "ann@example.com"},
		Subject:  "Your MyBank code",
		Body:     "582037 is your MyBank code. It is valid for 5 minutes.\n",
		HTML:     "<p><b>582037</b> is your MyBank code. It is valid for 5 minutes.</p>",
		Language: "en",
		Expires:  time.Now().Add(5 * time.Minute),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(submission.State, len(submission.ProviderIDs))
	for _, m := range relay.Mails() {
		fmt.Println(m.Header.Get("Message-ID"), m.Subject)
		fmt.Print(m.Text)
	}
	// Output:
	// sent 1
	// <c4n7.1@mybank.example> Your MyBank code
	// 582037 is your MyBank code. It is valid for 5 minutes.
}

// The class of an error tells what to do.
func ExampleChannel_Send_errors() {
	relay := smtptest.NewServer(smtptest.Config{TLS: smtptest.ImplicitTLS})
	defer relay.Close()
	relay.Script(smtptest.Rule{
		Phase: smtptest.AtRcpt,
		Reply: smtptest.Reply{Code: 550, Enhanced: "5.1.1", Text: "<anm@example.com>: no such user"},
	})
	mail, err := smtp.New(smtp.Config{
		Addr:      relay.Addr(),
		TLS:       smtp.ImplicitTLS, // the default at port 465
		TLSConfig: relay.ClientTLS(),
		From:      "codes@mybank.example",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()

	_, err = mail.Send(context.Background(), &channel.Message{
		ID:      "c4n7.1",
		To:      channel.Recipient{Email: "anm@example.com"},
		Subject: "Your code",
		Body:    "582037 is your code.\n",
	})
	var refused *channel.Error
	if errors.As(err, &refused) && refused.Class == channel.InvalidRecipient {
		fmt.Println("ask for another address:", refused.Code)
	}
	fmt.Println(err)
	// Output:
	// ask for another address: 5.1.1
	// smtp: rcpt: invalid recipient (5.1.1): the server replied 550
}

// A second relay, with a login and a rate of its own, takes over while the first
// is down.
func ExampleConfig_fallbacks() {
	first := smtptest.NewServer(smtptest.Config{})
	second := smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"})
	defer second.Close()
	mail, err := smtp.New(smtp.Config{
		Addr:      first.Addr(),
		TLSConfig: first.ClientTLS(),
		From:      "codes@mybank.example",
		Fallbacks: []smtp.Relay{{
			Addr:      second.Addr(),
			TLSConfig: second.ClientTLS(),
			Username:  "codes",
			Password:  "secret",
			Rate:      smtp.Rate{PerSecond: 20},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Close() }()

	first.Close()
	_, err = mail.Send(context.Background(), &channel.Message{
		ID:      "c4n7.1",
		To:      channel.Recipient{Email: "ann@example.com"},
		Subject: "Your code",
		Body:    "582037 is your code.\n",
	})
	fmt.Println(err, len(first.Mails()), len(second.Mails()))
	// Output: <nil> 0 1
}

// A token source, for example from golang.org/x/oauth2, replaces a password.
func ExampleConfig_token() {
	relay := smtptest.NewServer(smtptest.Config{
		Username: "codes@mybank.example", Password: "ya29.token", Mechanisms: []string{"XOAUTH2"},
	})
	defer relay.Close()
	mail, err := smtp.New(smtp.Config{
		Addr:      relay.Addr(),
		TLSConfig: relay.ClientTLS(),
		Username:  "codes@mybank.example",
		Token: func(context.Context) (string, error) {
			return "ya29.token", nil // token, err := source.Token(); return token.AccessToken, err
		},
		From: "codes@mybank.example",
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
	fmt.Println(err, relay.Mails()[0].Mechanism)
	// Output: <nil> XOAUTH2
}
