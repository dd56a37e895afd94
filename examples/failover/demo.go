package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// A person of the demo, with the fate of a message to them by each route.
type person struct {
	name   string
	device string // the token of the app; empty: no app
	app    plan
	phone  string
	sms    []smpptest.Reply
	last   string // the route by which the code arrives at last
	awaits bool   // a receipt of that route
}

var people = []person{
	{name: "Ann, who has the app", device: "device-ann", app: plan{status: "delivered"},
		phone: "+447912345601", last: "app", awaits: true},
	{name: "Bob, who has removed the app", device: "device-bob", app: plan{status: "failed", reason: "UNREGISTERED"},
		phone: "+447912345602", last: "sms", awaits: true},
	{name: "Cem, whose app is silent and whose phone is off", device: "device-cem", phone: "+447912345603",
		sms: []smpptest.Reply{{Receipt: smpptest.Receipt{Stat: "UNDELIV", Err: "027"}}}, last: "email"},
	{name: "Dee, who has no app, while the carrier is out of order", phone: "+447912345604",
		sms: []smpptest.Reply{{Status: smpp.StatusSystemError}}, last: "email"},
	{name: "Eli, whose new device the provider does not know", device: "device-eli", app: plan{refuse: 404},
		phone: "+447912345605", last: "sms", awaits: true},
}

// servers are what real services stand behind.
type servers struct {
	provider *provider
	carrier  *smpptest.Server
	mailbox  *smtptest.Server
}

func startServers() *servers {
	s := &servers{
		provider: startProvider(),
		carrier:  smpptest.NewTLSServer(smpptest.Config{SystemID: "mybank", Password: "secret"}),
		mailbox:  smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"}),
	}
	for _, p := range people {
		s.provider.on(p.device, p.app)
		s.carrier.On(p.phone, p.sms...)
	}
	return s
}

func (s *servers) close() {
	s.provider.close()
	s.carrier.Close()
	s.mailbox.Close()
}

func demo(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
	defer cancel()
	s := startServers()
	defer s.close()
	var receipts channel.Receipts
	app := &push{url: s.provider.url(), token: s.provider.token, key: s.provider.key, client: s.provider.client(),
		receipt: receipts.For("app")}
	s.provider.hook(app)
	sms, err := smpp.New(smpp.Config{Addr: s.carrier.Addr, TLS: s.carrier.ClientTLS(), SystemID: "mybank",
		Password: "secret", Sender: "MyBank", Receipt: receipts.For("sms")})
	if err != nil {
		return err
	}
	defer func() { _ = sms.Close() }()
	mail, err := smtp.New(smtp.Config{Addr: s.mailbox.Addr(), TLSConfig: s.mailbox.ClientTLS(), Username: "codes",
		Password: "secret", From: "MyBank <codes@mybank.example>"})
	if err != nil {
		return err
	}
	defer func() { _ = mail.Close() }()
	hops := newTrace()
	svc, stop, err := newService(routes(app, sms, mail), &receipts, hops.add)
	if err != nil {
		return err
	}
	defer stop()
	for i, p := range people {
		fmt.Fprintf(out, "%d. %s\n", i+1, p.name)
		if err := s.follow(ctx, out, svc, hops, p); err != nil {
			return err
		}
	}
	return nil
}

// follow sends a code to a person, waits until it has arrived by the last route,
// prints the trace, and types the code.
func (s *servers) follow(ctx context.Context, out io.Writer, svc *otp.Service, hops *trace, p person) error {
	hops.clear()
	subject := p.phone
	c, err := svc.Send(ctx, otp.Request{Subject: subject, Purpose: "login",
		To: channel.Recipient{Push: p.device, Phone: p.phone, Email: "user" + p.phone[1:] + "@example.com"}})
	if err != nil {
		return err
	}
	if err := hops.wait(ctx, otp.EventSent, p.last, channel.Sent); err != nil {
		return err
	}
	if p.awaits {
		if err := hops.wait(ctx, otp.EventReceipt, p.last, channel.Delivered); err != nil {
			return err
		}
	}
	hops.print(out)
	if _, err := svc.Verify(ctx, otp.Verification{ID: c.ID, Subject: subject, Purpose: "login",
		Code: s.shown(p)}); err != nil {
		return err
	}
	fmt.Fprintf(out, "   verified by the code of %s\n", p.last)
	return nil
}

// digits are those of a code.
var digits = regexp.MustCompile(`\b[0-9]{6}\b`)

// shown is the code that a person sees in the latest message.
func (s *servers) shown(p person) string {
	text := ""
	switch p.last {
	case "app":
		text = s.provider.latest(p.device)
	case "sms":
		all := s.carrier.Messages()
		text = all[len(all)-1].Text
	case "email":
		all := s.mailbox.Mails()
		text = all[len(all)-1].Text
	}
	return digits.FindString(text)
}
