package otp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// The whole of an embedding: two channels, their failover, and the Service.
// README.md shows this code.
func Example_embedding() {
	ctx, typed := context.Background(), "482910"
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	loadKeys := otp.NewKeyring // a real program reads them from where its secrets are

	// README begins
	var receipts channel.Receipts
	carrier, err := smpp.New(smpp.Config{Addr: "smsc.example.com:2776", SystemID: "mybank",
		Password: os.Getenv("SMPP_PASSWORD"), Sender: "MyBank", Receipt: receipts.For("carrier")})
	check(err)
	defer carrier.Close()
	mail, err := smtp.New(smtp.Config{Addr: "mail.example.com:587", Username: "codes",
		Password: os.Getenv("SMTP_PASSWORD"), From: "MyBank <codes@mybank.example>"})
	check(err)
	defer mail.Close()
	routes, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "carrier", Channel: carrier, Address: channel.Phone},
		channel.Route{Name: "email", Channel: mail, Address: channel.Email},
	)})
	check(err)
	svc, err := otp.New(otp.Config{Channel: routes, Store: memstore.New(memstore.Config{}), Keys: loadKeys(),
		Wording: wording.Config{Brand: "MyBank"}, Receipts: &receipts})
	check(err)

	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", Purpose: "login",
		To: channel.Recipient{Phone: "+447912345678", Email: "ann@example.com"}})
	check(err) // an *otp.Error says what to tell the person
	_, err = svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: "user-42", Purpose: "login", Code: typed})
	if errors.Is(err, otp.ErrInvalidCode) {
		fmt.Println("wrong or expired")
	}
	// README ends
}

// inbox is a channel that shows what it was given.
type inbox struct {
	last *channel.Message
	came chan struct{} // nil, or told of each message
}

func (i *inbox) Send(_ context.Context, m *channel.Message) (channel.Submission, error) {
	i.last = m
	select {
	case i.came <- struct{}{}:
	default:
	}
	return channel.Submission{State: channel.Sent}, nil
}

func exampleService(change func(*otp.Config)) (*otp.Service, *inbox) {
	in := &inbox{came: make(chan struct{}, 1)}
	c := otp.Config{Channel: in, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank"}}
	if change != nil {
		change(&c)
	}
	svc, err := otp.New(c)
	if err != nil {
		panic(err)
	}
	return svc, in
}

// A code passes once, for its subject and purpose, and a wrong one costs an
// attempt.
func ExampleService_Verify() {
	svc, inbox := exampleService(nil)
	ctx := context.Background()
	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", Purpose: "login",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	try := func(purpose, code string) {
		_, err := svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: "user-42", Purpose: purpose, Code: code})
		var e *otp.Error
		if errors.As(err, &e) {
			fmt.Println(e, "—", e.Reason, e.AttemptsLeft)
			return
		}
		fmt.Println("verified")
	}
	code := inbox.last.Code
	try("payment", code)
	try("login", "12")
	try("login", code[:3]+" "+code[3:])
	try("login", code)
	// Output:
	// otp: invalid or expired code — wrong 4
	// otp: invalid or expired code — malformed 0
	// verified
	// otp: invalid or expired code — closed 0
}

// A person who waits for a message may ask for another, after a pause that the
// page shows, and by another route. Status tells what the page should offer.
func ExampleService_Resend() {
	svc, _ := exampleService(func(c *otp.Config) { c.Support = "+44 20 7946 0000" })
	c, err := svc.Send(context.Background(), otp.Request{Subject: "user-42",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Next, "for", c.ResendAt.Sub(c.Created), "- sends left:", c.SendsLeft)
	_, err = svc.Resend(context.Background(), otp.ResendRequest{ID: c.ID, Subject: "user-42", Route: "email"})
	var e *otp.Error
	if errors.As(err, &e) && e.Reason == otp.ReasonTooSoon {
		fmt.Println("ask again in", e.RetryAfter.Round(time.Second))
	}
	// Output:
	// wait for 40s - sends left: 2
	// ask again in 40s
}

// A payment's code is bound to its amount and payee: for others it is another
// code.
func ExampleRequest_binding() {
	svc, inbox := exampleService(nil)
	ctx := context.Background()
	c, err := svc.Send(ctx, otp.Request{Subject: "user-42", Purpose: "payment",
		Binding: []byte("25.00 EUR|DE89370400440532013000"),
		Details: "25.00 EUR to Bob", To: channel.Recipient{Email: "ann@example.com"}})
	if err != nil {
		panic(err)
	}
	v := otp.Verification{ID: c.ID, Subject: "user-42", Purpose: "payment", Code: inbox.last.Code}
	v.Binding = []byte("2500.00 EUR|DE89370400440532013000")
	_, err = svc.Verify(ctx, v)
	fmt.Println(err)
	v.Binding = []byte("25.00 EUR|DE89370400440532013000")
	proven, err := svc.Verify(ctx, v)
	fmt.Println(proven.Outcome, proven.To, err)
	// Output:
	// otp: invalid or expired code
	// verified a***@example.com <nil>
}

// Letters without look-alikes, read in either case.
func ExampleRandom() {
	g := otp.Random{Length: 8, Alphabet: "BCDFGHJKMPQRTVWXY2346789"}
	code, err := g.Generate(otp.Seed{Key: []byte("the Service's, 32 octets for each")})
	if err != nil {
		panic(err)
	}
	fmt.Println(len(code))
	fmt.Println(g.Normalize("bcdf-ghjk"))
	// Output:
	// 8
	// BCDFGHJK true
}

// The audit trail, as lines of a log: no code and no whole address is in it.
func ExampleEvent() {
	shorter := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key { // for the page; challenge and subject differ from run to run
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, "purpose", "challenge", "subject":
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: shorter}))
	svc, _ := exampleService(func(c *otp.Config) {
		c.Events = func(_ context.Context, e otp.Event) { log.Info("otp", "event", e) }
	})
	_, err := svc.Send(context.Background(), otp.Request{Subject: "user-42", Purpose: "login", RequestID: "req-7",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	// Output:
	// event.kind=generated event.request=req-7 event.to=+44******5678 event.region=GB
	// event.kind=sent event.request=req-7 event.to=+44******5678 event.region=GB event.step=1 event.state=sent
}
