package otp_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// Two brands share a Service: see BRANDS.md. A code of one is nothing to the other.
func ExampleTenant() {
	shared, ownCarrier := &inbox{}, &inbox{}

	shop := otp.Tenant{Name: "shop", Wording: wording.Config{Brand: "Shop"}, Policy: otp.Policy{Life: 10 * time.Minute}}
	bank := otp.Tenant{Name: "bank", Wording: wording.Config{Brand: "Bank"}, Channel: ownCarrier,
		Purposes: map[string]otp.Policy{"payment": {MaxAttempts: 3}}}
	svc, err := otp.New(otp.Config{Channel: shared, Store: memstore.New(memstore.Config{}), Keys: otp.NewKeyring(),
		Wording: wording.Config{Brand: "Platform"}, Tenants: []otp.Tenant{shop, bank}})
	if err != nil {
		panic(err)
	}

	ctx, to := context.Background(), channel.Recipient{Phone: "+447912345678"}
	c, err := svc.Send(ctx, otp.Request{Tenant: "shop", Subject: "ann", To: to})
	fmt.Println(strings.Replace(shared.last.Text, shared.last.Code, "CODE", 1), err)
	_, err = svc.Send(ctx, otp.Request{Tenant: "bank", Subject: "ann", To: to})
	fmt.Println(ownCarrier.last.Sender, err)

	code := shared.last.Code
	_, err = svc.Verify(ctx, otp.Verification{Tenant: "bank", ID: c.ID, Subject: "ann", Code: code})
	fmt.Println(err)
	_, err = svc.Verify(ctx, otp.Verification{Tenant: "shop", ID: c.ID, Subject: "ann", Code: code})
	fmt.Println(err)
	// Output:
	// CODE is your Shop code. It expires in 10 minutes. Do not share it. <nil>
	// Bank <nil>
	// otp: invalid or expired code
	// <nil>
}
