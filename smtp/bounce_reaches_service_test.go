package smtp_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/smtp"
	"github.com/otpcourier/otpcourier/smtp/smtptest"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A mail that the relay takes and that bounces later goes out again as SMS,
// with the same code.
func TestBounceReachesService(t *testing.T) {
	t.Parallel()
	relay := smtptest.NewServer(smtptest.Config{})
	defer relay.Close()
	verp, err := smtp.NewVERP("bounce+*@mybank.example", []byte("32 random octets from the vault."))
	if err != nil {
		t.Fatal(err)
	}
	mail, err := smtp.New(smtp.Config{Addr: relay.Addr(), TLSConfig: relay.ClientTLS(), From: "codes@mybank.example",
		VERP: verp})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mail.Close() }()
	texts := make(chan channel.Message, 4)
	routes, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "email", Channel: mail, Address: channel.Email, Await: time.Minute},
		channel.Route{Name: "sms", Address: channel.Phone,
			Channel: channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
				texts <- *m
				return channel.Submission{State: channel.Sent}, nil
			})},
	)})
	if err != nil {
		t.Fatal(err)
	}
	var receipts channel.Receipts
	service, err := otp.New(otp.Config{
		Channel: routes, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank"}, Receipts: &receipts,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	worked := make(chan error, 1)
	go func() { worked <- service.Work(ctx) }()
	defer func() {
		stop()
		<-worked
	}()

	challenge, err := service.Send(ctx, otp.Request{
		Subject: "user-42", Purpose: "login",
		To: channel.Recipient{Phone: "+447912345678", Email: "anm@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := relay.Mails()
	if len(sent) != 1 || len(texts) != 0 {
		t.Fatalf("%d mails, %d texts before the bounce", len(sent), len(texts))
	}
	feedback, err := smtp.ParseFeedback(strings.NewReader(fmt.Sprintf(bounce, sent[0].From)), verp)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(feedback.MessageID, challenge.ID+".") {
		t.Errorf("the bounce is about %q, not %q", feedback.MessageID, challenge.ID)
	}
	if err := feedback.Deliver(ctx, receipts.For("email")); err != nil {
		t.Fatal(err)
	}
	select {
	case text := <-texts:
		if text.Code == "" || !strings.Contains(sent[0].Text, text.Code) {
			t.Error("the text has another code than the mail")
		}
		if text.Invalid != channel.Email {
			t.Errorf("known to be wrong: %v", text.Invalid)
		}
	case <-ctx.Done():
		t.Fatal("no text after the bounce")
	}
}
