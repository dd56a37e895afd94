package smsgate_test

import (
	"context"
	"testing"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/gateway/gatewaytest"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A message that the server takes and that the phone cannot send goes out again
// by e-mail, with the same code.
func TestFailureReachesService(t *testing.T) {
	t.Parallel()
	var receipts channel.Receipts
	s, _ := newGateServer(t, gatewaytest.Config{})
	g := newGate(t, s, smsgate.Config{
		Devices: []smsgate.Device{{ID: "fairphone", SigningKeys: []string{"signing key"}}},
		Receipt: receipts.For("phone"), PollInterval: -1,
	})
	s.AddPhone(gatewaytest.PhoneConfig{
		ID: "fairphone", Key: "signing key", Client: gatewaytest.HandlerClient(g.WebhookHandler()),
		Plan: gatewaytest.Plan{Final: gatewaytest.Failed}, Repeat: 10 * time.Millisecond,
	})
	if err := g.RegisterWebhooks(t.Context(), hookURL); err != nil {
		t.Fatal(err)
	}
	mails := make(chan channel.Message, 4)
	routes, err := failover.New(failover.Config{Router: failover.List(
		channel.Route{Name: "phone", Channel: g, Address: channel.Phone, Await: time.Minute},
		channel.Route{
			Name: "email", Address: channel.Email,
			Channel: channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
				mails <- *m
				return channel.Submission{State: channel.Sent}, nil
			}),
		},
	)})
	if err != nil {
		t.Fatal(err)
	}
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
		Subject: "user-42", Purpose: "login", To: channel.Recipient{Phone: bob, Email: "ann@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case mail := <-mails:
		typed := otp.Verification{ID: challenge.ID, Subject: "user-42", Purpose: "login", Code: mail.Code}
		if _, err := service.Verify(ctx, typed); err != nil {
			t.Errorf("the code in the mail: %v", err)
		}
		if m := s.Messages(); len(m) != 1 || mail.Code == "" || !contains([]byte(m[0].Text), mail.Code) {
			t.Error("the mail has another code than the SMS")
		}
	case <-ctx.Done():
		t.Fatal("no mail after the phone has failed")
	}
}
