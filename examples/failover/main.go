// Failover sends codes by three routes: a channel of one's own that shows them in an
// app, SMS over SMPP, and e-mail. If a route refuses a message, or its receipt says
// that the message failed, or no receipt comes, the next route follows with the same
// code. The program prints a trace of every hop.
//
//	go run ./examples/failover
//
// It brings a push provider, an SMSC and a mailbox of its own, on the loopback
// interface.
package main

import (
	"context"
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
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("%q: the program has no arguments", args[0])
	}
	return demo(ctx, out)
}

// await is how long a receipt is awaited before the next route follows. It is short
// for the demo: allow an SMS 20 to 30 s.
const await = 2 * time.Second

// routes are the three routes, best first. The first two have receipts; the last has
// none to wait for.
func routes(app, sms, mail channel.Channel) []channel.Route {
	return []channel.Route{
		{Name: "app", Channel: app, Address: channel.Push, Await: await},
		{Name: "sms", Channel: sms, Address: channel.Phone, Await: await,
			Retry: channel.Retry{Attempts: 2, Backoff: 20 * time.Millisecond}},
		{Name: "email", Channel: mail, Address: channel.Email},
	}
}

// newService joins the routes, and starts the worker that sends by the next route.
func newService(all []channel.Route, receipts *channel.Receipts, events func(context.Context, otp.Event)) (
	svc *otp.Service, stop func(), err error) {
	joined, err := failover.New(failover.Config{Router: failover.List(all...)})
	if err != nil {
		return nil, nil, err
	}
	svc, err = otp.New(otp.Config{
		Channel:  joined,
		Store:    memstore.New(memstore.Config{}),
		Keys:     otp.NewKeyring(), // of this process: see examples/quickstart for keys that stay
		Wording:  wording.Config{Brand: "MyBank"},
		Receipts: receipts,
		Events:   events,
	})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() { _ = svc.Work(ctx) })
	return svc, func() { cancel(); working.Wait() }, nil
}
