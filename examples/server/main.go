// Server is a one-time password service with an HTTP API, as a program to copy:
// applications with API keys, limits, health, and a graceful end, in memory or
// behind Redis or PostgreSQL.
//
// Without arguments it shows itself: it serves on the loopback interface, talks to
// itself over HTTP, and ends.
//
//	go run .
//
// This serves until it is stopped, with the same two applications. It prints messages,
// and links to the hosted page and to the dashboard, which has traffic to show:
//
//	go run . -serve -demo
//
// With a configuration file it serves. config.example.json has every field, and
// openapi.yaml describes the API:
//
//	export OTP_KEYS="$(go run . keys)"       # the secrets that codes are derived from
//	go run . key shop1                       # an API key, and its entry in the file
//	go run . password ann viewer             # an operator of the dashboard, by a password that it reads
//	go run . migrate -config config.json     # in PostgreSQL, if the server's user may make no tables
//	go run . health -config config.json      # fails unless a server of the file lives on this machine
//	go run . -serve -config config.json
//
// OTP_LISTEN, OTP_ADMIN and OTP_STORE take the place of the fields of the file. OTEL_EXPORTER_OTLP_ENDPOINT names a
// collector of traces.
// SIGHUP reads the API keys, the secrets of webhooks and the operators of the file anew, SIGTERM ends the
// program once the requests and messages under way have ended.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel"

	"github.com/otpcourier/otpcourier/otp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	switch {
	case len(args) == 0:
		return demo(ctx, out)
	case args[0] == "keys":
		text, err := otp.NewKeyring().MarshalText()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	case args[0] == "key":
		return printKey(args[1:], out)
	case args[0] == "password":
		return printPassword(args[1:], os.Stdin, out)
	case args[0] == "migrate":
		return migrate(ctx, args[1:], env, out)
	case args[0] == "health":
		return health(ctx, args[1:], env, out)
	}
	return serveFile(ctx, args, env, out)
}

// serveFile serves what a configuration file says, until ctx ends.
func serveFile(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(out)
	serve := f.Bool("serve", false, "serve, until SIGTERM")
	path := f.String("config", "config.json", "configuration `file`")
	try := f.Bool("demo", false, "in place of a file, the applications of the demo")
	if err := f.Parse(args); err != nil {
		return err
	}
	if !*serve || f.NArg() > 0 {
		return errors.New("the arguments are none, keys, key NAME, password NAME ROLE, migrate, health, or -serve " +
			"with -config FILE or -demo")
	}
	if *try {
		return serveDemo(ctx, env, out)
	}
	c, err := readConfig(*path, env)
	if err != nil {
		return err
	}
	keys, err := keyring(c, env)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry failed", "error", err) }))
	s, err := newServer(ctx, c, keys, openRoute(env, log), log)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				s.reload(*path, env)
			}
		}
	}()
	fmt.Fprintf(out, "API on %s, health on %s\n", s.url(), s.adminURL())
	return s.run(ctx)
}

// configOf reads the file that the flag -config of an argument names.
func configOf(argument string, args []string, env func(string) string, out io.Writer) (*config, error) {
	f := flag.NewFlagSet(argument, flag.ContinueOnError)
	f.SetOutput(out)
	path := f.String("config", "config.json", "configuration `file`")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	return readConfig(*path, env)
}

// migrate makes the tables of a file's store, or brings them to this release.
func migrate(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	c, err := configOf("migrate", args, env, out)
	if err != nil {
		return err
	}
	s, err := openState(ctx, c, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		return err
	}
	s.close()
	_, err = fmt.Fprintln(out, "the store is ready")
	return err
}

// keyring reads the secrets that codes are derived from. Processes that share a
// store have the same.
func keyring(c *config, env func(string) string) (otp.Keyring, error) {
	text := env("OTP_KEYS")
	switch {
	case text == "" && c.Store != "":
		return otp.Keyring{}, errors.New("OTP_KEYS is required with a store: make it with the argument keys")
	case text == "":
		return otp.NewKeyring(), nil
	}
	keys, err := otp.ParseKeyring(text)
	if err != nil {
		return keys, fmt.Errorf("OTP_KEYS: %w", err)
	}
	return keys, nil
}
