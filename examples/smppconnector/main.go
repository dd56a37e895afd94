// Smppconnector is the connector of OTP Blue's integration guide for SMS
// aggregators, as a program to copy: aggregators bind to it over SMPP, and the
// codes in their messages go to a channel.
//
// Without arguments it starts a connector on the loopback interface, plays an
// aggregator against it, and checks the answers against the guide:
//
//	go run ./examples/smppconnector
//
// With -accounts it serves:
//
//	go run ./examples/smppconnector -accounts accounts.json -cert cert.pem -key key.pem
//
// README.md describes the file of accounts, the channels, and how to bind
// Kannel and node-smpp.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "smppconnector:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return demo(ctx, out)
	}
	return serve(ctx, args, env, in, out)
}
