package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smpp/smpptest"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// The people of the demo. Ann has iMessage, Bob does not, and Eve's phone is in
// a network that neither SMS route reaches today.
const (
	ann = "+447912345601"
	bob = "+447912345602"
	eve = "+447912345603"
)

// servers stand in for real services.
type servers struct {
	blue, carrier *smpptest.Server
	mailbox       *smtptest.Server
}

func startServers() *servers {
	s := &servers{
		blue: smpptest.NewTLSServer(smpptest.Config{SystemID: "mybank", Password: "secret",
			Handler: smpptest.OTPBlue(func(number string) bool { return number == ann })}),
		carrier: smpptest.NewTLSServer(smpptest.Config{SystemID: "mybank", Password: "secret"}),
		mailbox: smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"}),
	}
	s.blue.On(eve, smpptest.Reply{Status: smpp.StatusSystemError})
	s.carrier.On(eve, smpptest.Reply{Status: smpp.StatusSystemError})
	return s
}

func (s *servers) close() {
	s.blue.Close()
	s.carrier.Close()
	s.mailbox.Close()
}

// connect returns the routes to the servers, best first, and their channels.
func (s *servers) connect(receipts *channel.Receipts) (routes []channel.Route, opened channels, err error) {
	for _, smsc := range []struct {
		name   string
		server *smpptest.Server
	}{{"otp-blue", s.blue}, {"carrier", s.carrier}} {
		client, err := smpp.New(smpp.Config{
			Addr:     smsc.server.Addr,
			TLS:      smsc.server.ClientTLS(),
			SystemID: "mybank",
			Password: "secret",
			Sender:   "MyBank",
			Receipt:  receipts.For(smsc.name),
		})
		if err != nil {
			return nil, opened, err
		}
		opened = append(opened, client)
		routes = append(routes, channel.Route{Name: smsc.name, Channel: client, Address: channel.Phone,
			Retry: channel.Retry{Attempts: 2, Backoff: 50 * time.Millisecond}})
	}
	mail, err := smtp.New(smtp.Config{
		Addr:      s.mailbox.Addr(),
		TLSConfig: s.mailbox.ClientTLS(),
		Username:  "codes",
		Password:  "secret",
		From:      "MyBank <codes@mybank.example>",
	})
	if err != nil {
		return nil, opened, err
	}
	routes = append(routes, channel.Route{Name: "email", Channel: mail, Address: channel.Email})
	return routes, append(opened, mail), nil
}

func demo(ctx context.Context, env func(string) string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
	defer cancel()
	s := startServers()
	defer s.close()
	receipts := &channel.Receipts{}
	routes, opened, err := s.connect(receipts)
	defer opened.shutdown()
	if err != nil {
		return err
	}
	reports := make(chan otp.Event, 16)
	svc, stop, err := newService(env, routes, receipts, func(_ context.Context, e otp.Event) {
		if e.Kind == otp.EventReceipt {
			reports <- e
		}
	})
	if err != nil {
		return err
	}
	defer stop()
	for i, p := range []struct {
		name, phone string
		shown       func() string // the message on the person's screen
		receipt     bool
	}{
		{"Ann, who has iMessage", ann, func() string { return lastText(s.blue.Messages()) }, true},
		{"Bob, who has none", bob, func() string { return lastText(s.carrier.Messages()) }, true},
		{"Eve, whom no SMS route reaches", eve, func() string { return s.mailbox.Mails()[0].Text }, false},
	} {
		fmt.Fprintf(out, "%d. A code for %s\n", i+1, p.name)
		subject := fmt.Sprintf("user-%d", i+1)
		c, err := svc.Send(ctx, otp.Request{Subject: subject, Purpose: "login",
			To: channel.Recipient{Phone: p.phone, Email: subject + "@example.com"}})
		if err != nil {
			return err
		}
		printHops(out, c)
		if p.receipt {
			select {
			case e := <-reports:
				fmt.Fprintf(out, "   %s: receipt %v\n", e.Route, e.State)
			case <-ctx.Done():
				return fmt.Errorf("no receipt came: %w", ctx.Err())
			}
		}
		text := p.shown()
		fmt.Fprintf(out, "   ┌\n   │ %s\n   └\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n   │ "))
		v := otp.Verification{ID: c.ID, Subject: subject, Purpose: "login"}
		if err := type3(ctx, out, svc, v, code(text)); err != nil {
			return err
		}
	}
	return nil
}

// type3 types a wrong code, the right one, and the right one again.
func type3(ctx context.Context, out io.Writer, svc *otp.Service, v otp.Verification, right string) error {
	wrong := "000000"
	if right == wrong {
		wrong = "111111"
	}
	for _, v.Code = range []string{wrong, right, right} {
		if _, err := printVerify(ctx, out, svc, v); err != nil {
			return err
		}
	}
	return nil
}

func lastText(messages []smpptest.Message) string {
	return messages[len(messages)-1].Text
}

// code finds the code as a person would.
func code(text string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(word) == 6 {
			return word
		}
	}
	return ""
}
