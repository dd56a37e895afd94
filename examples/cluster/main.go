// Cluster is one program that runs as several processes behind one Redis. Any
// of them sends a code, verifies it, handles its receipts, and continues the work of a dead process.
//
// Without arguments it shows this with its own redis-server, a carrier's SMSCs
// and two processes, and kills one process:
//
//	go run ./examples/cluster
//
// README.md describes how to run the parts by hand:
//
//	export OTP_KEYS="$(cluster keys)"      # what all processes share beside Redis
//	cluster smsc -listen 127.0.0.1:2775    # a carrier to try it with
//	cluster serve -listen 127.0.0.1:8081 -redis 127.0.0.1:6379 -smsc 127.0.0.1:2775
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/otpcourier/otpcourier/otp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	if len(args) == 0 {
		return demo(ctx, env, out)
	}
	switch args[0] {
	case "keys":
		text, err := otp.NewKeyring().MarshalText()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	case "smsc":
		return smsc(ctx, args[1:], out)
	case "serve":
		return serve(ctx, args[1:], env, out)
	}
	return fmt.Errorf("%q is none of keys, smsc and serve", args[0])
}
