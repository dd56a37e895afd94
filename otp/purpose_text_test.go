package otp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A message is worded for the purpose of its request, and its link names the
// challenge that Send returned.
func TestTextOfPurpose(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	s, err := otp.New(otp.Config{Channel: in, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank", Link: "https://mybank.example/?id={{.ChallengeID}}"}})
	if err != nil {
		t.Fatal(err)
	}
	for purpose, want := range map[string]string{
		wording.Payment: " is your MyBank payment code.", wording.Reset: " is your MyBank password reset code.",
		"login": " is your MyBank code.", "": " is your MyBank code.",
	} {
		c, err := s.Send(context.Background(), otp.Request{Subject: "user-" + purpose, Purpose: purpose,
			To: channel.Recipient{Email: "ann" + purpose + "@example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		if m := in.last; !strings.Contains(m.Text, want) || !strings.Contains(m.Body, want) ||
			!strings.Contains(m.Body, "\nhttps://mybank.example/?id="+c.ID+"\n") {
			t.Errorf("%s: %q, %q", purpose, m.Text, m.Body)
		}
	}
}
