package smsgate_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
)

// A code goes to a phone, and what becomes of it comes back by webhook.
func ExampleChannel() {
	server := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "K2V6TX", Password: "secret"})
	defer server.Close()

	told := make(chan channel.State, 2)
	sms, err := smsgate.New(smsgate.Config{
		URL:         server.URL,      // leave it out for sms-gate.app's cloud
		Client:      server.Client(), // leave it out for a server that the system's roots vouch for
		Username:    "K2V6TX",
		Password:    "secret",
		SigningKeys: []string{"key of the phone"},
		Receipt: func(_ context.Context, r channel.Receipt) error { // receipts.For("phone") with a Service
			told <- r.State
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sms.Close() }()
	// http.Handle("/webhooks/sms", sms.WebhookHandler()); here the phone finds it without a network.
	server.AddPhone(gatewaytest.PhoneConfig{
		Key: "key of the phone", Client: gatewaytest.HandlerClient(sms.WebhookHandler()),
	})

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := sms.RegisterWebhooks(ctx, "https://otp.example.com/webhooks/sms"); err != nil {
		fmt.Println(err)
		return
	}
	submission, err := sms.Send(ctx, &channel.Message{
		ID:      "c4n7.1",
		To:      channel.Recipient{Phone: "+447400123456"},
		Text:    "582037 is your MyBank code.",
		Expires: time.Now().Add(5 * time.Minute),
	})
	fmt.Println(submission.State, submission.ProviderIDs, err)
	fmt.Println(<-told, <-told)
	// Output:
	// sent [c4n7.1] <nil>
	// sent delivered
}

// What to do after an error is told by its class.
func ExampleChannel_Send_errors() {
	server := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "K2V6TX", Password: "secret", QueueLimit: 1})
	defer server.Close()
	server.AddPhone(gatewaytest.PhoneConfig{}).SetOffline(true)
	sms, err := smsgate.New(smsgate.Config{
		URL: server.URL, Client: server.Client(), Username: "K2V6TX", Password: "secret",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sms.Close() }()
	for _, id := range []string{"c4n7.1", "c4n8.1"} {
		_, err := sms.Send(context.Background(), &channel.Message{
			ID: id, To: channel.Recipient{Phone: "+447400123456"}, Text: "582037 is your MyBank code.",
		})
		var refused *channel.Error
		fmt.Println(err, errors.As(err, &refused) && refused.Class == channel.Throttled)
	}
	// Output:
	// <nil> false
	// smsgate: send: throttled (503): the phone's queue is full true
}
