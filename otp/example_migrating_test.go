package otp_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// session is what a website keeps of a person who logs in.
type session struct{ user, phone, challenge string }

func askForCode(ctx context.Context, svc *otp.Service, s *session, ip netip.Addr) error {
	c, err := svc.Send(ctx, otp.Request{Subject: s.user, Purpose: "login", IP: ip,
		To: channel.Recipient{Phone: s.phone}}) // of the account, not of the form
	if c != nil {
		s.challenge = c.ID
	}
	return err
}

func checkCode(ctx context.Context, svc *otp.Service, s *session, typed string) error {
	_, err := svc.Verify(ctx, otp.Verification{ID: s.challenge, Subject: s.user, Purpose: "login", Code: typed})
	return err
}

// The two handlers of a login, instead of a table of codes: see MIGRATING.md.
func Example_instead_of_a_table() {
	svc, inbox := exampleService(nil)
	ctx, s := context.Background(), &session{user: "user-42", phone: "+447912345678"}
	fmt.Println(askForCode(ctx, svc, s, netip.MustParseAddr("203.0.113.7")))
	fmt.Println(checkCode(ctx, svc, s, "12"))
	fmt.Println(checkCode(ctx, svc, s, inbox.last.Code))
	// Output:
	// <nil>
	// otp: invalid or expired code
	// <nil>
}

func takeOver(ctx context.Context, apps *authenticator.Service, user, uri string) error {
	key, err := authenticator.ParseURI(uri)
	if err != nil {
		return err
	}
	_, err = apps.Enroll(ctx, authenticator.Request{Subject: user, Key: &key, Confirmed: true})
	return err
}

// A secret that pquerna/otp made becomes a token: see MIGRATING.md.
func Example_secrets_of_pquerna() {
	apps, err := authenticator.New(authenticator.Config{Issuer: "MyBank", Keys: otp.NewKeyring(),
		Store: memstore.New(memstore.Config{})})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(takeOver(ctx, apps, "user-42",
		"otpauth://totp/MyBank:ann?secret=FWHJ3G7FD3DQH2HHF36ASSFRKAUIAQIB&issuer=MyBank"))
	fmt.Println(takeOver(ctx, apps, "user-43", "otpauth://totp/MyBank:bob?secret=FWHJ3G7FD3DQH2HH&issuer=MyBank"))
	// Output:
	// <nil>
	// otp: invalid request: URI: a secret of 80 bits is too short: RFC 4226 asks for 128
}
