// Cluster is one program that runs as several processes behind one Redis or
// PostgreSQL. Any of them sends a code, verifies it, handles its receipts, and
// continues the work of a dead process.
//
// Without arguments it shows this with its own redis-server, a carrier's SMSCs
// and two processes, and kills one process:
//
//	go run ./examples/cluster
//	go run ./examples/cluster postgres     # with a PostgreSQL of its own
//
// README.md describes how to run the parts by hand:
//
//	export OTP_KEYS="$(cluster keys)"      # what all processes share beside Redis
//	cluster smsc -listen 127.0.0.1:2775    # a carrier to try it with
//	cluster serve -listen 127.0.0.1:8081 -redis 127.0.0.1:6379 -smsc 127.0.0.1:2775
//	cluster serve -postgres postgres://app@127.0.0.1/app -smsc 127.0.0.1:2775
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

const usage = `cluster             with redis-server: two processes behind one Redis, one of which is killed
cluster postgres    the same behind PostgreSQL
cluster keys        print new keys, for OTP_KEYS
cluster smsc -h     the flags of a carrier to try it with
cluster serve -h    the flags of one process
`

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	if len(args) == 0 {
		return demo(ctx, env, out, startRedis)
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		_, err := fmt.Fprint(out, usage)
		return err
	case "postgres":
		return demo(ctx, env, out, startPostgres)
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
	return fmt.Errorf("%q is none of keys, postgres, smsc and serve; see -h", args[0])
}
