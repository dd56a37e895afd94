package authenticator_test

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A person adds an app, logs in with it, and later with a recovery code.
func Example() {
	ctx := context.Background()
	svc, err := authenticator.New(authenticator.Config{
		Issuer: "MyBank", Keys: otp.NewKeyring(), Store: memstore.New(memstore.Config{}),
	})
	fmt.Println(err)

	e, err := svc.Enroll(ctx, authenticator.Request{Subject: "user-42", Account: "ann@example.com",
		Name: "Ann's phone"})
	fmt.Println("secret in", len(strings.Fields(e.Secret)), "groups of four,", err) // below the QR code: e.SVG(…)
	_, err = svc.Confirm(ctx, "user-42", app(e, 0))
	fmt.Println("confirmed:", err)
	codes, err := svc.NewRecoveryCodes(ctx, "user-42") // shown once
	fmt.Println(len(codes), "recovery codes,", err)

	typed := app(e, 1)
	token, err := svc.Verify(ctx, "user-42", typed)
	fmt.Println("verified by", token.Name, err)
	_, err = svc.Verify(ctx, "user-42", typed)
	fmt.Println("again:", errors.Is(err, otp.ErrInvalidCode), otp.ReasonOf(err))
	left, err := svc.Recover(ctx, "user-42", codes[0])
	fmt.Println(left, "recovery codes left,", err)
	// Output:
	// <nil>
	// secret in 8 groups of four, <nil>
	// confirmed: <nil>
	// 10 recovery codes, <nil>
	// verified by Ann's phone <nil>
	// again: true closed
	// 9 recovery codes left, <nil>
}

// app is the app on Ann's phone: it returns the code that it shows some steps
// from now.
func app(e *authenticator.Enrolment, steps int) string {
	secret, _ := base32.StdEncoding.DecodeString(strings.ReplaceAll(e.Secret, " ", ""))
	at := time.Now().Add(time.Duration(steps) * 30 * time.Second)
	code, _ := oath.TOTP{}.Generate(otp.Seed{Key: secret, Time: at})
	return code
}
