package smppserver_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// A front for customers with SMPP clients. Any channel may be behind it: a
// failover, an Android gateway, another SMSC.
func ExampleServer() {
	routes := channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
		if m.To.Phone == "+447911123457" {
			return channel.Submission{}, &channel.Error{Class: channel.Unreachable}
		}
		fmt.Printf("%s to %s: %s\n", m.Sender, m.To.Phone, m.Text)
		return channel.Submission{State: channel.Delivered}, nil
	})
	server, err := smppserver.New(smppserver.Config{
		DangerouslyPlaintext: true, // for the example: otherwise TLS with your certificate
		Authenticate: func(_ context.Context, b smppserver.BindRequest) smpp.Status {
			if b.SystemID != "shop" || subtle.ConstantTimeCompare([]byte(b.Password), []byte("secret")) == 0 {
				return smpp.StatusInvalidPassword
			}
			return smpp.StatusOK
		},
		Handler:  smppserver.ChannelHandler(routes),
		Assemble: true,
		TPS:      func(string) int { return 50 },
	})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	// The customer's side.
	client, err := smpp.New(smpp.Config{
		Addr: listener.Addr().String(), DangerouslyPlaintext: true,
		SystemID: "shop", Password: "secret", Sender: "Shop",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, number := range []string{"+447911123456", "+447911123457"} {
		_, err = client.Send(ctx, &channel.Message{To: channel.Recipient{Phone: number}, Text: "482910 is your code."})
		fmt.Println(err)
	}
	_ = client.Shutdown(ctx)

	fmt.Println(server.Shutdown(ctx), <-served)
	// Output:
	// Shop to +447911123456: 482910 is your code.
	// <nil>
	// smpp: submit_sm: unreachable (0x45): ESME_RSUBMITFAIL
	// <nil> smppserver: server is closed
}

// A phone answers, and the customer receives its message.
func ExampleServer_DeliverMessage() {
	server, err := smppserver.New(smppserver.Config{
		DangerouslyPlaintext: true, // for the example: otherwise TLS with your certificate
		Authenticate:         func(context.Context, smppserver.BindRequest) smpp.Status { return smpp.StatusOK },
		Handler:              func(context.Context, *smppserver.Submit) (string, error) { return "", nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	got := make(chan smpp.Inbound)
	client, err := smpp.New(smpp.Config{
		Addr: "front:2775", DangerouslyPlaintext: true, SystemID: "shop", Password: "secret",
		Dial: func(context.Context, string, string) (net.Conn, error) {
			customer, ours := net.Pipe()
			return customer, server.ServeConn(ours)
		},
		Inbound: func(_ context.Context, m smpp.Inbound) error { got <- m; return nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	// If the customer is not bound, the message waits for the next bind.
	err = server.DeliverMessage("shop", smppserver.MobileMessage{From: "+447911123456", To: "12345", Text: "STOP"})
	if err != nil {
		log.Fatal(err)
	}
	m := <-got
	fmt.Println(m.To, m.Text)
	// Output:
	// 12345 STOP
}
