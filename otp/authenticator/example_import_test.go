package authenticator_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A box of hard tokens comes with a table of their seeds. A person types the
// serial number of their token and its code.
func ExampleReadCSV() {
	file := "serial number,secret key,time interval\n" +
		"2600000000001,FWHJ3G7FD3DQH2HHF36ASSFRKAUIAQIB,60\n"
	keys, _, err := authenticator.ReadCSV(strings.NewReader(file))
	fmt.Println(keys, err) // keep them, sealed, until their tokens are handed out
	svc, err := authenticator.New(authenticator.Config{Issuer: "MyBank", Keys: otp.NewKeyring(),
		Store: memstore.New(memstore.Config{})})
	fmt.Println(err)
	ctx := context.Background()
	_, err = svc.Enroll(ctx, authenticator.Request{Subject: "user-42", Name: "Ann's fob", Key: &keys[0]})
	fmt.Println(err) // then Confirm, with two codes if one fails

	_, _, err = authenticator.ReadCSV(strings.NewReader("2600000000001, 1.2E+38, totp"))
	fmt.Println(err)
	// Output:
	// [authenticator.Key(totp 2600000000001)] <nil>
	// <nil>
	// <nil>
	// otp: invalid request: CSV line 1: the seed was changed by a spreadsheet
}

// A program with otpauth URIs takes its users over without new QR codes.
func ExampleParseURI() {
	ctx := context.Background()
	svc, err := authenticator.New(authenticator.Config{Issuer: "MyBank", Keys: otp.NewKeyring(),
		Store: memstore.New(memstore.Config{})})
	fmt.Println(err)
	k, err := authenticator.ParseURI("otpauth://totp/MyBank:ann?secret=FWHJ3G7FD3DQH2HHF36ASSFRKAUIAQIB&issuer=MyBank")
	fmt.Println(k, err)
	_, err = svc.Enroll(ctx, authenticator.Request{Subject: "user-42", Key: &k, Confirmed: true})
	fmt.Println(err)
	st, err := svc.Status(ctx, "user-42")
	fmt.Println(st.Enrolled(), err)
	// Output:
	// <nil>
	// authenticator.Key(totp) <nil>
	// <nil>
	// true <nil>
}
