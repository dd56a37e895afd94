package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/guard"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

// A Service with a Guard. A stranger whose block of numbers was asked for too
// often is asked for a proof, and gets a code with one.
func Example() {
	ctx := context.Background()
	mem, keys := memstore.New(memstore.Config{}), otp.NewKeyring()
	g, err := guard.New(guard.Config{
		Limiter:   mem,
		Index:     keys.Index,
		Countries: map[string]guard.Country{"GB": {}, "FR": {PerDay: 500}},
		Budget:    20_000, // US cents a day
		Price:     guard.Cents,
		StepUp:    true,
		Alert:     func(_ context.Context, a guard.Alert) { fmt.Println("alert:", a.Rule, a.Key, a.Action) },
	})
	if err != nil {
		panic(err)
	}
	carrier := channel.Func(func(context.Context, *channel.Message) (channel.Submission, error) {
		return channel.Submission{}, nil
	})
	svc, err := otp.New(otp.Config{Channel: carrier, Store: mem, Keys: keys, Guard: g,
		Wording: wording.Config{Brand: "MyBank"}})
	if err != nil {
		panic(err)
	}
	send := func(n int, proven bool) {
		_, err := svc.Send(ctx, otp.Request{Subject: fmt.Sprint("user ", n), Purpose: "login",
			To: channel.Recipient{Phone: fmt.Sprintf("+44791234%04d", n)},
			IP: netip.AddrFrom4([4]byte{192, 0, byte(n), 1}), Proven: proven})
		var refused *otp.Error
		switch {
		case errors.As(err, &refused):
			fmt.Println("number", n, refused.Reason)
		case err == nil:
			fmt.Println("number", n, "sent")
		}
	}
	for n := range 6 {
		send(n, false)
	}
	send(5, true) // the captcha is solved
	// Output:
	// number 0 sent
	// number 1 sent
	// number 2 sent
	// number 3 sent
	// number 4 sent
	// alert: block +44791234xxxx step up
	// number 5 step_up
	// number 5 sent
}
