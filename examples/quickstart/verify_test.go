package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otptest"
)

// What a person is told of a typed code.
func TestPrintVerify(t *testing.T) {
	t.Parallel()
	codes := otptest.New(t, otp.Config{})
	const phone = "+447912345678"
	c, err := codes.Send(t.Context(), otp.Request{Subject: "ann", Purpose: "login",
		To: channel.Recipient{Phone: phone}})
	if err != nil {
		t.Fatal(err)
	}
	right := codes.Inbox.Code(phone)
	wrong := "000000"
	if right == wrong {
		wrong = "111111"
	}
	for _, row := range []struct{ typed, want string }{
		{"hello", "refused, malformed"}, {wrong, "wrong, 4 attempts left"}, {right, "verified"},
		{right, "refused, closed"},
	} {
		var out strings.Builder
		v := otp.Verification{ID: c.ID, Subject: "ann", Purpose: "login", Code: row.typed}
		verified, err := printVerify(t.Context(), &out, codes.Service, v)
		if err != nil || verified != (row.want == "verified") || !strings.Contains(out.String(), row.want) {
			t.Errorf("%s: %v %v %s, want %s", row.typed, verified, err, out.String(), row.want)
		}
	}
	codes.Down(true)
	var out strings.Builder
	_, err = printVerify(t.Context(), &out, codes.Service, otp.Verification{ID: c.ID, Subject: "ann", Code: right})
	if !errors.Is(err, otp.ErrUnavailable) || out.Len() > 0 {
		t.Errorf("the store is down: %v %s", err, out.String())
	}
}
