package otp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
)

// TestKeyringSubject: the tag is that of the events, of one application, tenant and
// subject, whatever the form of an address.
func TestKeyringSubject(t *testing.T) {
	t.Parallel()
	var event otp.Event
	keys := otp.NewKeyring()
	svc, _ := exampleService(func(c *otp.Config) {
		c.Keys, c.Application = keys, "shop"
		c.Events = func(_ context.Context, e otp.Event) { event = e }
	})
	_, err := svc.Send(t.Context(), otp.Request{Subject: "Ann@EXAMPLE.com", Purpose: "login",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		t.Fatal(err)
	}
	tag, bucket, err := keys.Subject("shop", "", " ann@example.com")
	if err != nil || tag != event.Subject || len(bucket) != 3 || strings.Contains(tag, "ann") {
		t.Errorf("%q, %q, %v; the event has %q", tag, bucket, err, event.Subject)
	}
	for _, other := range [][3]string{{"other", "", "ann@example.com"}, {"shop", "brand", "ann@example.com"},
		{"shop", "", "bob@example.com"}} {
		if again, _, err := keys.Subject(other[0], other[1], other[2]); err != nil || again == tag {
			t.Errorf("%q has the tag of another: %v", other, err)
		}
	}
}
