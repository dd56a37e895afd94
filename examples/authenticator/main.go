// Authenticator is a website on which a person adds an authenticator app by its QR
// code, logs in with its codes, and keeps recovery codes. It is a program to copy
// from.
//
// With -listen it serves the page; sign in as ann with the password that it prints.
//
//	go run ./examples/authenticator -listen 127.0.0.1:8080
//
// With -demo, or without arguments, it plays both sides in the terminal, with the
// person's browser and app, and checks the results:
//
//	go run ./examples/authenticator -demo
//
// The pages need no script. README.md lists the changes for your own site.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/otp/authenticator"
	"github.com/otpcourier/otpcourier/store/memstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "authenticator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet("authenticator", flag.ContinueOnError)
	listen := flags.String("listen", "", "serve the page at this address, as 127.0.0.1:8080")
	asDemo := flags.Bool("demo", false, "play both sides in the terminal")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is not a flag", flags.Arg(0))
	case *asDemo && *listen != "":
		return errors.New("-demo and -listen exclude each other")
	case *listen == "":
		return demo(ctx, env, out)
	}
	return serve(ctx, *listen, env, out)
}

// newSite has all that is needed to embed the library: a name, keys, and a store. A
// real site keeps the values in its table of users, see store.Credentials.
func newSite(env func(string) string, password string) (*site, error) {
	keys := otp.NewKeyring()
	if text := env("OTP_KEYS"); text != "" {
		var err error
		if keys, err = otp.ParseKeyring(text); err != nil {
			return nil, err
		}
	}
	s := &site{password: password, sessions: sessions{byID: map[string]*session{}}}
	var err error
	s.auth, err = authenticator.New(authenticator.Config{
		Issuer: "Acme Bank",
		Keys:   keys,
		Store:  memstore.New(memstore.Config{}),
		Events: s.tell,
	})
	return s, err
}

// serve serves the page until ctx ends.
func serve(ctx context.Context, address string, env func(string) string, out io.Writer) error {
	password := rand.Text()[:12]
	s, err := newSite(env, password)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "http://%s/ — sign in as %s with the password %s\n", listener.Addr(), userName, password)
	fmt.Fprintln(out, "Everything is in memory, and ends with this process.")
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ending)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
