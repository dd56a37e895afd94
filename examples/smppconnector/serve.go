package main

import (
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
	"time"

	"github.com/otpcourier/otpcourier/smpp/smppserver"
)

// options are the values of the command line.
type options struct {
	accounts, listen, cert, key string
	plaintext                   bool
	channel                     string
	provider, values            string
	smtp, mailTo                string
	metrics                     time.Duration
	hash                        bool
	roots                       *x509.CertPool // trusted by the channel; nil: the system's
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{}
	var ca string
	f := flag.NewFlagSet("smppconnector", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.accounts, "accounts", "", "JSON `file` of accounts; see README.md")
	f.BoolVar(&o.hash, "hash", false, "print the password_hash for the password on standard input, and end")
	f.StringVar(&o.listen, "listen", ":2776", "`address` to serve")
	f.StringVar(&o.cert, "cert", "", "PEM `file` of the server's certificate")
	f.StringVar(&o.key, "key", "", "PEM `file` of the certificate's key")
	f.BoolVar(&o.plaintext, "dangerously-plaintext", false,
		"serve without TLS, for tests: passwords and codes are readable")
	f.StringVar(&o.channel, "channel", "demo", "where codes go: demo, provider, email or phone")
	f.StringVar(&o.provider, "provider", "", "`name` of the provider, for -channel provider")
	f.StringVar(&o.values, "values", "", "JSON `file` of the provider's values: an object of strings")
	f.StringVar(&o.smtp, "smtp", "", "`URL` of the mail relay, for -channel email; SMTP_PASSWORD has the password")
	f.StringVar(&o.mailTo, "mail-to", "", "`address` of a person by their number: {number}@phones.example.com")
	f.StringVar(&ca, "ca", "", "PEM `file` of certificates that the channel trusts instead of the system's")
	f.DurationVar(&o.metrics, "metrics", time.Minute, "`interval` of the line of metrics")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag", f.Arg(0))
	case o.hash:
		return o, nil
	case o.accounts == "":
		return nil, errors.New("-accounts is needed")
	case !o.plaintext && (o.cert == "" || o.key == ""):
		return nil, errors.New("-cert and -key are needed")
	case o.metrics <= 0:
		return nil, errors.New("-metrics must be positive")
	}
	return o, o.trust(ca)
}

// trust reads the certificates that the channel trusts.
func (o *options) trust(file string) error {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	o.roots = x509.NewCertPool()
	if !o.roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("-ca: no certificate in %s", file)
	}
	return nil
}

// client makes requests to the channel's server; nil is the default.
func (o *options) client() *http.Client {
	if o.roots == nil {
		return nil
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: t}
}

// serve runs a connector until ctx ends.
func serve(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	if o.hash {
		return printHash(in, out)
	}
	all, err := readAccounts(o.accounts)
	if err != nil {
		return err
	}
	config := smppserver.Config{DangerouslyPlaintext: o.plaintext}
	if !o.plaintext {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return err
		}
		config.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	c, err := newConnector(all, config, out)
	if err != nil {
		return err
	}
	defer func() { _ = c.server.Close() }()
	closeChannel, err := c.openChannel(o.channel, o, env, out)
	if err != nil {
		return err
	}
	defer func() { _ = closeChannel() }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\n", l.Addr())
	served := make(chan error, 1)
	go func() { served <- c.server.Serve(l) }()
	return c.wait(ctx, served, o.metrics, out)
}

// wait writes the metrics until ctx ends, and then lets the sessions end.
func (c *connector) wait(ctx context.Context, served <-chan error, every time.Duration, out io.Writer) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(out, "metrics: sessions=%d %v\n", len(c.server.Sessions()), c.metrics)
		case err := <-served:
			return err
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err := c.server.Shutdown(ctx)
			<-served
			fmt.Fprintf(out, "metrics: sessions=%d %v\n", len(c.server.Sessions()), c.metrics)
			return err
		}
	}
}
