// Quickstart sends codes over SMPP with failover to e-mail, and verifies them.
//
// Without arguments it brings its own servers, on the loopback interface: an
// SMSC that behaves as OTP Blue's, a carrier's, and a mailbox, all over TLS.
//
//	go run ./examples/quickstart
//
// With the addresses of real services it does the same with those, and asks
// for the code on the terminal:
//
//	go run ./examples/quickstart -to +14155552671 -email ann@example.com \
//		-smpp 'smpps://user:password@smsc.example.com:2776?sender=MyBank' \
//		-smtp 'smtp://user:password@mail.example.com:587?from=codes@mybank.example'
//
// A password that the URL leaves out is taken from SMPP_PASSWORD or
// SMTP_PASSWORD.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/channel/failover"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/wording"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return demo(ctx, out)
	}
	return real(ctx, args, env, in, &lines{w: out})
}

// newService is all it takes to embed the library: routes, a store, keys and
// the name to show.
func newService(
	routes []channel.Route, receipts *channel.Receipts, events func(context.Context, otp.Event),
) (*otp.Service, error) {
	courier, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		return nil, err
	}
	return otp.New(otp.Config{
		Channel:  courier,
		Store:    memstore.New(memstore.Config{}),
		Keys:     otp.NewKeyring(), // a real service loads its keys
		Wording:  wording.Config{Brand: "MyBank"},
		Receipts: receipts,
		Events:   events,
	})
}

// printHops tells by which routes a code went.
func printHops(out io.Writer, c *otp.Challenge) {
	for _, a := range c.Attempts {
		took := a.Took.Round(time.Millisecond)
		if a.Err == nil {
			fmt.Fprintf(out, "   %s: accepted after %v\n", a.Route, took)
			continue
		}
		fmt.Fprintf(out, "   %s: %v %s after %v\n", a.Route, a.Class, a.Code, took)
	}
}

// printVerify tells how a typed code fares. An error means that nobody knows.
func printVerify(ctx context.Context, out io.Writer, svc *otp.Service, v otp.Verification) (verified bool, err error) {
	err = svc.Verify(ctx, v)
	var refused *otp.Error
	switch {
	case err == nil:
		fmt.Fprintf(out, "   typed %s: verified\n", v.Code)
		return true, nil
	case errors.Is(err, otp.ErrUnavailable):
		return false, err
	case errors.As(err, &refused) && refused.Reason == otp.ReasonWrong:
		fmt.Fprintf(out, "   typed %s: wrong, %d attempts left\n", v.Code, refused.AttemptsLeft)
	case errors.As(err, &refused):
		fmt.Fprintf(out, "   typed %s: refused, %s\n", v.Code, refused.Reason)
	default:
		return false, err
	}
	return false, nil
}
