package otp_test

import (
	"context"
	"errors"
	"testing"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A person who is locked out gets the support of the brand that they know.
func TestLockedSubjectIsToldTheTenantsSupport(t *testing.T) {
	t.Parallel()
	var code string
	s, err := otp.New(otp.Config{
		Channel: channel.Func(func(_ context.Context, m *channel.Message) (channel.Submission, error) {
			code = m.Code
			return channel.Submission{State: channel.Sent}, nil
		}),
		Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(), Wording: wording.Config{Brand: "MyBank"},
		Support: "bank", Tenants: []otp.Tenant{{Name: "shop", Support: "shop"}, {Name: "heir"}},
		Policy: otp.Policy{MaxFailures: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	for tenant, want := range map[string]string{"": "bank", "shop": "shop", "heir": "bank"} {
		q := otp.Request{Tenant: tenant, Subject: "ann", To: channel.Recipient{Phone: "+447912345678"}}
		c, err := s.Send(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		typed := otp.Verification{Tenant: tenant, ID: c.ID, Subject: "ann", Code: another6(code)}
		_, first := s.Verify(t.Context(), typed)
		_, verify := s.Verify(t.Context(), typed)
		_, send := s.Send(t.Context(), q)
		if !errors.Is(first, otp.ErrInvalidCode) {
			t.Fatalf("%q: a wrong code: %v", tenant, first)
		}
		for call, err := range map[string]error{"Verify": verify, "Send": send} {
			var refused *otp.Error
			if !errors.As(err, &refused) || refused.Reason != otp.ReasonLocked || refused.Support != want {
				t.Errorf("%s for %q: %v with support %+v, want %q", call, tenant, err, refused, want)
			}
		}
	}
}
