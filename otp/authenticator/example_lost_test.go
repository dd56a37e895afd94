package authenticator_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/otp/oath"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A maker's seed file in the form of RFC 6030 is opened with its pre-shared key.
func ExampleReadPSKC() {
	key, err := hex.DecodeString("00112233445566778899aabbccddeeff") // comes apart from the file
	if err != nil {
		panic(err)
	}
	file, err := os.Open("testdata/key-aes128-cbc.pskcxml")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	keys, skipped, err := authenticator.ReadPSKC(file, authenticator.PSKC{Key: key})
	fmt.Println(len(keys), len(skipped), err)
	fmt.Println(keys[0])
	// Output:
	// 4 0 <nil>
	// authenticator.Key(totp OC0000000001)
}

// The phone is lost: a recovery code logs in once, and the token is revoked.
func ExampleService_Recover() {
	ctx := context.Background()
	svc, err := authenticator.New(authenticator.Config{Issuer: "MyBank", Keys: otp.NewKeyring(),
		Store: memstore.New(memstore.Config{})})
	if err != nil {
		panic(err)
	}
	codes, err := svc.NewRecoveryCodes(ctx, "user-42")
	if err != nil {
		panic(err)
	}
	left, err := svc.Recover(ctx, "user-42", codes[3])
	fmt.Println(left, err) // then Revoke, Enroll, and NewRecoveryCodes if few are left
	_, err = svc.Recover(ctx, "user-42", codes[3])
	fmt.Println(err)
	// Output:
	// 9 <nil>
	// otp: invalid or expired code
}

// The button of a hard token was pressed many times in a bag: two consecutive codes bring
// it back.
func ExampleService_Resync() {
	ctx, secret := context.Background(), []byte("12345678901234567890")
	svc, err := authenticator.New(authenticator.Config{Issuer: "MyBank", Keys: otp.NewKeyring(),
		Store: memstore.New(memstore.Config{})})
	if err != nil {
		panic(err)
	}
	e, err := svc.Enroll(ctx, authenticator.Request{Subject: "user-42", Confirmed: true,
		Key: &authenticator.Key{Secret: secret, Counter: true, Digits: 6, Serial: "2600000000001"}})
	if err != nil {
		panic(err)
	}
	press := func(counter uint64) string {
		code, _ := oath.HOTP{}.Generate(otp.Seed{Key: secret, Counter: counter})
		return code
	}
	_, err = svc.Verify(ctx, "user-42", press(300))
	fmt.Println(err)
	err = svc.Resync(ctx, "user-42", e.ID, press(301), press(302))
	fmt.Println(err)
	token, err := svc.Verify(ctx, "user-42", press(303))
	fmt.Println(token.Serial, err)
	// Output:
	// otp: invalid or expired code
	// <nil>
	// 2600000000001 <nil>
}

// Wrong codes of an app and wrong codes by SMS count together, and lock the person once.
func ExampleConfig_failures() {
	ctx, keys, shared := context.Background(), otp.NewKeyring(), memstore.New(memstore.Config{})
	svc, err := authenticator.New(authenticator.Config{Issuer: "MyBank", Keys: keys, Store: shared,
		Failures: shared, // otp.Config.Store; Application and Tenant are the same, too
		Policy:   authenticator.Policy{MaxFailures: 2, Lock: 10 * time.Minute}})
	if err != nil {
		panic(err)
	}
	app := authenticator.Key{Secret: []byte("12345678901234567890"), Digits: 6, Period: 30 * time.Second, App: true}
	_, err = svc.Enroll(ctx, authenticator.Request{Subject: "user-42", Confirmed: true, Key: &app})
	if err != nil {
		panic(err)
	}
	for range 3 {
		_, err := svc.Verify(ctx, "user-42", "000000")
		fmt.Println(otp.ReasonOf(err))
	}
	// Output:
	// wrong
	// wrong
	// locked
}
