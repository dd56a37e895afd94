package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/smsgate"
	"github.com/otpcourier/otpcourier/otp"
)

// options are the values of the command line and the environment.
type options struct {
	to, hook, listen string
	sms              smsgate.Config
}

func parse(args []string, env func(string) string, out io.Writer) (*options, error) {
	o := &options{}
	var ca, device string
	f := flag.NewFlagSet("androidgateway", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.to, "to", "", "phone `number`, with its +")
	f.StringVar(&o.sms.URL, "url", env("SMSGATE_URL"), "base `URL` of the API; default: sms-gate.app's cloud")
	f.StringVar(&device, "device", env("SMSGATE_DEVICE"), "`id` of the phone to send with; default: any of the account")
	f.IntVar(&o.sms.SIM, "sim", 0,
		"SIM `slot` to send with, 1 to 3; default: the setting of the phone; "+
			"without -device, that of the recipient's country first")
	f.BoolVar(&o.sms.JWT, "jwt", false, "exchange the password for tokens")
	f.StringVar(&o.hook, "webhook", "",
		"public https `URL` at which the phone finds -listen; default: the server is asked for states")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8085",
		"`address` of the webhook, behind a reverse proxy that speaks TLS")
	f.StringVar(&ca, "ca", "", "PEM `file` of certificates to trust instead of the system's")
	f.BoolVar(&o.sms.DangerouslyPlaintext, "dangerously-plaintext", false,
		"allow an http URL, for a phone on a network of one's own")
	f.Usage = func() {
		fmt.Fprintln(out,
			"SMSGATE_USERNAME, SMSGATE_PASSWORD, SMSGATE_SIGNING_KEY and SMSGATE_PASSPHRASE "+
				"are taken from the environment,")
		fmt.Fprintln(out, "and SMSGATE_URL and SMSGATE_DEVICE where -url and -device are not given.")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.sms.Username, o.sms.Password = env("SMSGATE_USERNAME"), env("SMSGATE_PASSWORD")
	o.sms.Passphrase = env("SMSGATE_PASSPHRASE")
	if key := env("SMSGATE_SIGNING_KEY"); key != "" {
		o.sms.SigningKeys = []string{key}
	}
	if device != "" {
		o.sms.Devices = []smsgate.Device{{ID: device}}
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag", f.Arg(0))
	case o.to == "":
		return nil, errors.New("-to is needed")
	case o.hook != "" && len(o.sms.SigningKeys) == 0:
		return nil, errors.New("SMSGATE_SIGNING_KEY is needed for -webhook: the app shows it under webhooks")
	}
	return o, o.trust(ca)
}

// trust makes a client that trusts the certificates in a file.
func (o *options) trust(file string) error {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("no certificate in %s", file)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	o.sms.Client = &http.Client{Transport: t}
	return nil
}

// real sends one code to a real person and verifies the typed code.
func real(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	o, err := parse(args, env, out)
	if err != nil {
		return err
	}
	receipts := &channel.Receipts{}
	o.sms.Receipt = receipts.For("phone")
	sms, err := smsgate.New(o.sms)
	if err != nil {
		return err
	}
	defer shutdown(sms)
	routes := []channel.Route{{Name: "phone", Channel: sms, Address: channel.Phone}}
	svc, stop, err := newService(env, routes, receipts,
		func(_ context.Context, e otp.Event) {
			if e.Kind == otp.EventReceipt {
				fmt.Fprintf(out, "   %s: receipt %v %s\n", e.Route, e.State, e.Code)
			}
		})
	if err != nil {
		return err
	}
	defer stop()
	if o.hook != "" {
		remove, err := o.serve(ctx, sms)
		if err != nil {
			return err
		}
		defer remove()
	}
	c, err := svc.Send(ctx, otp.Request{Subject: "you", Purpose: "login", To: channel.Recipient{Phone: o.to}})
	if c != nil {
		fmt.Fprintf(out, "A code for %v\n", c.To)
		printHops(out, c.Hops)
	}
	if err != nil {
		return err
	}
	typed := bufio.NewScanner(in)
	for left := c.AttemptsLeft; left > 0 && time.Now().Before(c.Expires); left-- {
		fmt.Fprint(out, "Type the code: ")
		if !typed.Scan() {
			return errors.New("no code was typed")
		}
		v := otp.Verification{ID: c.ID, Subject: "you", Purpose: "login", Code: strings.TrimSpace(typed.Text())}
		if verified, err := printVerify(ctx, out, svc, v); verified || err != nil {
			return err
		}
	}
	return errors.New("not verified")
}

// serve accepts webhooks until remove is called.
func (o *options) serve(ctx context.Context, sms *smsgate.Channel) (remove func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: sms.WebhookHandler(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // remove ends it
	}()
	remove = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = sms.RemoveWebhooks(ctx, o.hook)
		_ = server.Shutdown(ctx)
		<-done
	}
	if err := sms.RegisterWebhooks(ctx, o.hook); err != nil {
		remove()
		return nil, err
	}
	return remove, nil
}
