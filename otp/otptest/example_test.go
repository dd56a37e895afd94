package otptest_test

import (
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/otptest"
)

// A test of a program asks for a code and types it. The tests of this package have more
// recipes: expired, locked, undelivered, unavailable and asynchronous.
func ExampleNew() {
	TestLogin := func(t *testing.T) {
		codes := otptest.New(t, otp.Config{})
		// the program under test does this with codes.Service:
		c, err := codes.Send(t.Context(), otp.Request{Subject: "ann", To: channel.Recipient{Phone: "+447912345678"}})
		if err != nil {
			t.Fatal(err)
		}
		typed := codes.Inbox.Code("+447912345678")
		if _, err := codes.Verify(t.Context(), otp.Verification{ID: c.ID, Subject: "ann", Code: typed}); err != nil {
			t.Fatal(err)
		}
	}
	_ = TestLogin
}
