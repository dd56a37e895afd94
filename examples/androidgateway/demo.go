package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
)

// The people of the demo. The phone has no service for Bob's number.
const (
	ann = "+447912345601"
	bob = "+447912345602"
	eve = "+447912345603"
)

// hook is the address for the phone's reports.
const hook = "https://otp.mybank.example/webhooks/sms"

// stage is the scene of the demo: a server with a phone, a mailbox, and the
// service in front of them.
type stage struct {
	phone   *gatewaytest.Phone
	mailbox *smtptest.Server
	svc     *otp.Service
	events  chan otp.Event
	closers []func()
}

func (s *stage) close() {
	for i := range s.closers {
		s.closers[len(s.closers)-1-i]()
	}
}

func (s *stage) later(f func()) { s.closers = append(s.closers, f) }

func newStage(ctx context.Context, env func(string) string) (s *stage, err error) {
	s = &stage{events: make(chan otp.Event, 64)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	receipts := &channel.Receipts{}

	server := gatewaytest.NewTLSServer(gatewaytest.Config{Username: "mybank", Password: "secret"})
	s.later(server.Close)
	sms, err := smsgate.New(smsgate.Config{
		URL: server.URL, Client: server.Client(), Username: "mybank", Password: "secret",
		SigningKeys:  []string{"key of the phone"},
		ActiveWithin: time.Hour,
		Receipt:      receipts.For("phone"),
	})
	if err != nil {
		return s, err
	}
	s.later(func() { shutdown(sms) })
	const pause = 100 * time.Millisecond // before each report, because the network takes its time
	s.phone = server.AddPhone(gatewaytest.PhoneConfig{
		Key: "key of the phone", Client: gatewaytest.HandlerClient(sms.WebhookHandler()),
		Plan: gatewaytest.Plan{Between: pause},
	})
	s.phone.On(bob, gatewaytest.Plan{Between: pause, Final: gatewaytest.Failed, Reason: "RESULT_ERROR_NO_SERVICE"})
	if err := sms.RegisterWebhooks(ctx, hook); err != nil {
		return s, err
	}

	s.mailbox = smtptest.NewServer(smtptest.Config{Username: "codes", Password: "secret"})
	s.later(s.mailbox.Close)
	mail, err := smtp.New(smtp.Config{
		Addr: s.mailbox.Addr(), TLSConfig: s.mailbox.ClientTLS(), Username: "codes", Password: "secret",
		From: "MyBank <codes@mybank.example>",
	})
	if err != nil {
		return s, err
	}
	s.later(func() { shutdown(mail) })

	svc, stop, err := newService(env, []channel.Route{
		{Name: "phone", Channel: sms, Address: channel.Phone, Await: 30 * time.Second},
		{Name: "email", Channel: mail, Address: channel.Email},
	}, receipts, func(_ context.Context, e otp.Event) {
		if e.Kind == otp.EventReceipt || e.Kind == otp.EventSent {
			s.events <- e
		}
	})
	if err != nil {
		return s, err
	}
	s.later(stop)
	s.svc = svc
	return s, nil
}

// watch prints the events of a code until a route has the state.
func (s *stage) watch(ctx context.Context, out io.Writer, route string, until channel.State) error {
	for {
		select {
		case e := <-s.events:
			if e.Kind == otp.EventSent {
				printHops(out, e.Hops)
			} else {
				fmt.Fprintf(out, "   %s: receipt %v %s\n", e.Route, e.State, e.Code)
			}
			if e.Route == route && e.State == until {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("there are no more events of the code: %w", ctx.Err())
		}
	}
}

func (s *stage) lastText() string {
	texts := s.phone.Texts()
	return texts[len(texts)-1].Body
}

func (s *stage) lastMail() string {
	mails := s.mailbox.Mails()
	return mails[len(mails)-1].Text
}

func demo(ctx context.Context, env func(string) string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
	defer cancel()
	s, err := newStage(ctx, env)
	if err != nil {
		return err
	}
	defer s.close()
	for i, scene := range []struct {
		title, number string
		before        func()
		route         string
		until         channel.State
		shown         func() string
	}{
		{"Ann: the phone sends her code", ann, func() {}, "phone", channel.Delivered, s.lastText},
		{"Bob: the phone has no service", bob, func() {}, "email", channel.Sent, s.lastMail},
		{"Eve: the phone was last seen two hours ago", eve,
			func() { s.phone.SetLastSeen(time.Now().Add(-2 * time.Hour)) },
			"email", channel.Sent, s.lastMail},
	} {
		fmt.Fprintf(out, "%d. %s\n", i+1, scene.title)
		scene.before()
		subject := fmt.Sprintf("user-%d", i+1)
		c, err := s.svc.Send(ctx, otp.Request{Subject: subject, Purpose: "login",
			To: channel.Recipient{Phone: scene.number, Email: subject + "@example.com"}})
		if err != nil {
			return err
		}
		if err := s.watch(ctx, out, scene.route, scene.until); err != nil {
			return err
		}
		text, _, _ := strings.Cut(scene.shown(), "\n")
		fmt.Fprintf(out, "   ┌\n   │ %s\n   └\n", strings.TrimSpace(text))
		typed := otp.Verification{ID: c.ID, Subject: subject, Purpose: "login", Code: code(text)}
		if _, err := printVerify(ctx, out, s.svc, typed); err != nil {
			return err
		}
	}
	return nil
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
