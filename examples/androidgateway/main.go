// Androidgateway sends codes as SMS from your own Android phone, through
// sms-gate.app's SMSGate. If the phone cannot send, the code goes by e-mail.
//
// Without arguments it brings its own phone, server and mailbox, on the
// loopback interface:
//
//	go run ./examples/androidgateway
//
// With a number it uses a real account and asks for the code on the terminal:
//
//	SMSGATE_USERNAME=… SMSGATE_PASSWORD=… go run ./examples/androidgateway -to +14155552671
//
// The keys for deriving codes come from OTP_KEYS; this makes some:
//
//	export OTP_KEYS="$(go run ./examples/quickstart keys)"
//
// README.md describes how to set up a phone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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
		fmt.Fprintln(os.Stderr, "androidgateway:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return demo(ctx, env, out)
	}
	return real(ctx, args, env, in, &lines{w: out})
}

// lines serializes the writes of receipts and of the program.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
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

// newService joins the routes to a service. If a phone reports that it could
// not send a code, or stays silent, its Work sends the code by the next route.
// A program must call stop after the end of its HTTP server and before the end
// of the channels.
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

// shutdown lets a channel deliver its last receipts, and ends it.
func shutdown(c interface{ Shutdown(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = c.Shutdown(ctx) // if the time is over, the rest is aborted
}

// printHops prints the routes of a code.
func printHops(out io.Writer, hops []channel.Hop) {
	for _, hop := range hops {
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
	case errors.As(err, &refused) && refused.Reason == otp.ReasonWrong:
		fmt.Fprintf(out, "   typed %s: wrong, %d attempts left\n", v.Code, refused.AttemptsLeft)
		return false, nil
	}
	return false, err
}
