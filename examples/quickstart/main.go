// Quickstart sends codes over SMPP with failover to e-mail, and verifies them.
//
// Without arguments it starts its own servers, on the loopback interface: an
// SMSC that behaves like OTP Blue's, a carrier's SMSC, and a mailbox, all over
// TLS.
//
//	go run ./examples/quickstart
//
// With the addresses of real services it uses those, and asks for the code on
// the terminal:
//
//	go run ./examples/quickstart -to +14155552671 -email ann@example.com \
//		-smpp 'smpps://user:password@smsc.example.com:2776?sender=MyBank' \
//		-smtp 'smtp://user:password@mail.example.com:587?from=codes@mybank.example'
//
// An account with an HTTP provider will do, too: -provider names one of those that
// gateway/provider lists, whose values are in the environment.
//
//	export TWILIO_ACCOUNT=AC… TWILIO_PASSWORD=… TWILIO_FROM=+18005550199
//	go run ./examples/quickstart -to +14155552671 -provider twilio
//
// If a URL has no password, it comes from SMPP_PASSWORD or SMTP_PASSWORD. The
// keys for deriving codes come from OTP_KEYS. This makes such keys:
//
//	export OTP_KEYS="$(go run ./examples/quickstart keys)"
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
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
	switch {
	case len(args) == 0:
		return demo(ctx, env, out)
	case args[0] == "keys":
		return printKeys(out)
	}
	return real(ctx, args, env, in, &lines{w: out})
}

// printKeys prints a fresh keyring in the form for OTP_KEYS.
func printKeys(out io.Writer) error {
	text, err := otp.NewKeyring().MarshalText()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

// keyring reads the keys for deriving codes. They are secrets, and all
// processes of a service must have the same.
func keyring(env func(string) string) (otp.Keyring, error) {
	text := env("OTP_KEYS")
	if text == "" {
		fmt.Fprintln(os.Stderr, "OTP_KEYS is not set: this process makes its own keys, which end with it")
		return otp.NewKeyring(), nil
	}
	return otp.ParseKeyring(text)
}

// newService has all that is needed to embed the library: routes, a store, keys
// and the name to show. A program must stop its parts in the opposite order:
// its HTTP server, Work, the channels.
func newService(
	env func(string) string, routes []channel.Route,
	receipts *channel.Receipts, events func(context.Context, otp.Event),
) (svc *otp.Service, stop func(), err error) {
	keys, err := keyring(env)
	if err != nil {
		return nil, nil, err
	}
	courier, err := failover.New(failover.Config{Router: failover.List(routes...)})
	if err != nil {
		return nil, nil, err
	}
	svc, err = otp.New(otp.Config{
		Channel:  courier,
		Store:    memstore.New(memstore.Config{}),
		Keys:     keys,
		Wording:  wording.Config{Brand: "MyBank"},
		Receipts: receipts,
		Events:   events,
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { _ = svc.Work(ctx) }) // until stop
	return svc, func() { cancel(); working.Wait() }, nil
}

// channels are the channels of the routes, in the order in which they were
// opened.
type channels []interface{ Shutdown(context.Context) error }

// shutdown lets the channels deliver their last receipts, and ends them.
func (c channels) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, one := range slices.Backward(c) {
		_ = one.Shutdown(ctx) // if the time is over, the rest is aborted
	}
}

// printHops prints the routes of a code.
func printHops(out io.Writer, c *otp.Challenge) {
	for _, hop := range c.Hops {
		took := hop.Took.Round(time.Millisecond)
		if hop.Err == nil {
			fmt.Fprintf(out, "   %s: accepted after %v\n", hop.Route, took)
			continue
		}
		fmt.Fprintf(out, "   %s: %v %s after %v\n", hop.Route, hop.Class, hop.Code, took)
	}
}

// printVerify prints the result of a typed code. An error means that the result
// is unknown.
func printVerify(ctx context.Context, out io.Writer, svc *otp.Service, v otp.Verification) (verified bool, err error) {
	_, err = svc.Verify(ctx, v)
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
