// Guard replays traffic of people and attacks against two Services, without and
// with otp/guard, and prints the messages that each attack caused.
//
//	go run ./examples/guard
//	go run ./examples/guard -seed 7 -shadow
//
// Nothing leaves the process: the channel counts messages, and passes the codes
// to the people who type them. A Service lives in real time, so a day's requests
// come within a second. The rules count over a day, and see no difference.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("guard", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "of the traffic")
	shadow := flags.Bool("shadow", false, "the guard alerts and refuses nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not a flag", flags.Arg(0))
	}
	var rows []row
	for _, name := range []string{"server", "proxies", "rotating", "expensive", "hidden", "converts30"} {
		r, err := attacked(ctx, name, *seed, *shadow)
		if err != nil {
			return err
		}
		rows = append(rows, r)
	}
	table(out, rows)
	chart(out, rows)
	fmt.Fprintln(out, "\nWhat the operator saw of the attack by proxies:")
	for _, line := range rows[1].alerts {
		fmt.Fprintln(out, "  "+line)
	}
	return nil
}
