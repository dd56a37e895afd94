package otp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// Keys are made once, kept as text with the other secrets, and rotated by a new key in
// front of the old one.
func ExampleParseKeyring() {
	made, err := otp.NewKeyring().MarshalText() // once; this text is a secret
	if err != nil {
		panic(err)
	}
	keys, err := otp.ParseKeyring(string(made)) // at each start: os.Getenv("OTP_KEYS")
	if err != nil {
		panic(err)
	}
	fmt.Println(keys)

	keys.Keys["k2"] = make([]byte, 32)
	_, _ = rand.Read(keys.Keys["k2"])
	keys.Current = "k2" // once every process has k2; k1 goes when its codes have expired
	rotated, err := keys.MarshalText()
	fmt.Println(bytes.Count(rotated, []byte("=")), "parts:", strings.Contains(string(rotated), ",k2="), err)
	// Output:
	// otp.Keyring(current "k1")
	// 3 parts: true <nil>
}

// A payment's code lives shorter than a login's, and has fewer attempts.
func ExamplePolicy() {
	svc, _ := exampleService(func(c *otp.Config) {
		c.Policy.Life = 10 * time.Minute
		c.Purposes = map[string]otp.Policy{"payment": {Life: 3 * time.Minute, MaxAttempts: 3}}
	})
	for _, purpose := range []string{"login", "payment"} {
		c, err := svc.Send(context.Background(), otp.Request{Subject: "user-42", Purpose: purpose,
			To: channel.Recipient{Phone: "+447912345678"}})
		fmt.Println(purpose, c.Expires.Sub(c.Created), c.AttemptsLeft, err)
	}
	// Output:
	// login 10m0s 5 <nil>
	// payment 3m0s 3 <nil>
}

// New refuses a Config that breaks a clause of a standard, and names the clause.
func ExampleProfile() {
	_, err := otp.New(otp.Config{Channel: &inbox{}, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "MyBank"}, Events: func(context.Context, otp.Event) {},
		Profiles: []otp.Profile{otp.PCI}, Policy: otp.Policy{Lock: 10 * time.Minute}})
	fmt.Println(err)
	// Output: otp: PCI DSS 4.0.1 8.3.4: Config.Policy.Lock, 30 minutes at least
}

// A brand joins while the program runs.
func ExampleService_SetTenant() {
	svc, inbox := exampleService(nil)
	if err := svc.SetTenant(otp.Tenant{Name: "shop", Wording: wording.Config{Brand: "Shop"}}); err != nil {
		panic(err)
	}
	_, err := svc.Send(context.Background(), otp.Request{Tenant: "shop", Subject: "ann",
		To: channel.Recipient{Phone: "+447912345678"}})
	fmt.Println(inbox.last.Sender, err)

	svc.RemoveTenant("shop")
	_, err = svc.Send(context.Background(), otp.Request{Tenant: "shop", Subject: "ann",
		To: channel.Recipient{Phone: "+447912345678"}})
	fmt.Println(err)
	// Output:
	// Shop <nil>
	// otp: invalid request: Tenant: there is none of that name
}

// An operator looks for the events of a person, whose subject no event shows.
func ExampleKeyring_Subject() {
	keys, tag := otp.NewKeyring(), ""
	svc, _ := exampleService(func(c *otp.Config) {
		c.Keys, c.Application = keys, "bank"
		c.Events = func(_ context.Context, e otp.Event) { tag = e.Subject }
	})
	_, err := svc.Send(context.Background(), otp.Request{Subject: "user-42",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	wanted, _, err := keys.Subject("bank", "", "user-42")
	fmt.Println(tag == wanted, err)
	// Output: true <nil>
}

// dashed makes codes of six digits with a dash, "482-910", which are easy to read out.
type dashed struct{}

func (dashed) Generate(s otp.Seed) (string, error) {
	code, err := otp.Random{}.Generate(s)
	if err != nil {
		return "", err
	}
	return code[:3] + "-" + code[3:], nil
}

func (dashed) Normalize(typed string) (string, bool) {
	code, ok := otp.Random{}.Normalize(typed)
	if !ok {
		return "", false
	}
	return code[:3] + "-" + code[3:], true
}

// A program may have a Generator of its own. If its codes have other characters than
// letters and digits, it must be a Normalizer, too.
func ExampleGenerator() {
	svc, inbox := exampleService(func(c *otp.Config) { c.Generator = dashed{} })
	c, err := svc.Send(context.Background(), otp.Request{Subject: "user-42",
		To: channel.Recipient{Phone: "+447912345678"}})
	if err != nil {
		panic(err)
	}
	code := inbox.last.Code
	fmt.Println(len(code), code[3:4])
	typed := strings.Replace(code, "-", " ", 1)
	_, err = svc.Verify(context.Background(), otp.Verification{ID: c.ID, Subject: "user-42", Code: typed})
	fmt.Println(err)
	// Output:
	// 7 -
	// <nil>
}
