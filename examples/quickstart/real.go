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
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/otpcourier/otpcourier/channel"
	"github.com/otpcourier/otpcourier/gateway/provider"
	"github.com/otpcourier/otpcourier/otp"
	"github.com/otpcourier/otpcourier/smpp"
	"github.com/otpcourier/otpcourier/smtp"
)

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

// options are the values of the command line.
type options struct {
	to    channel.Recipient
	smpp  []string // URLs, in the order of their routes
	http  []string // names of HTTP providers, which follow
	smtp  string
	roots *x509.CertPool
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{}
	var ca string
	f := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.to.Phone, "to", "", "phone `number`, with its +")
	f.StringVar(&o.to.Email, "email", "", "e-mail `address`, for when no SMS route works")
	f.Func("smpp", "`URL` of an SMSC, smpps://user:password@host:2776?sender=MyBank; more than one are tried in order",
		func(s string) error {
			o.smpp = append(o.smpp, s)
			return nil
		})
	f.Func("provider",
		"`name` of an HTTP provider, twilio say, whose values are in variables such as TWILIO_ACCOUNT; repeatable",
		func(s string) error {
			o.http = append(o.http, s)
			return nil
		})
	f.StringVar(&o.smtp, "smtp", "",
		"`URL` of a mail relay, smtp://user:password@host:587?from=codes@mybank.example, or smtps: for port 465")
	f.StringVar(&ca, "ca", "", "PEM `file` of certificates to trust instead of the system's")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag", f.Arg(0))
	case len(o.smpp) == 0 && len(o.http) == 0 && o.smtp == "":
		return nil, errors.New("-smpp, -provider or -smtp is needed")
	case o.to == channel.Recipient{}:
		return nil, errors.New("-to or -email is needed")
	}
	if ca == "" {
		return o, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	o.roots = x509.NewCertPool()
	if !o.roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", ca)
	}
	return o, nil
}

// endpoint reads a service's URL. Its errors do not repeat the URL, which may
// have a password.
func endpoint(
	text string, env func(string) string, variable string, schemes ...string,
) (u *url.URL, password string, err error) {
	if u, err = url.Parse(text); err != nil {
		return nil, "", errors.New("it is not a URL")
	}
	password, given := u.User.Password()
	if !given {
		password = env(variable)
	}
	for _, s := range schemes {
		if u.Scheme == s && u.Port() != "" {
			return u, password, nil
		}
	}
	return nil, "", fmt.Errorf("the URL needs a port and one of the schemes %q", schemes)
}

// routes opens the services of the command line, and returns their channels, too.
func (o *options) routes(
	env func(string) string, receipts *channel.Receipts,
) (routes []channel.Route, opened channels, err error) {
	for i, text := range o.smpp {
		u, password, err := endpoint(text, env, "SMPP_PASSWORD", "smpps")
		if err != nil {
			return nil, opened, fmt.Errorf("-smpp: %w", err)
		}
		name := fmt.Sprintf("smsc-%d", i+1)
		client, err := smpp.New(smpp.Config{
			Addr: u.Host, TLS: &tls.Config{RootCAs: o.roots},
			SystemID: u.User.Username(), Password: password,
			Sender: u.Query().Get("sender"), Receipt: receipts.For(name),
		})
		if err != nil {
			return nil, opened, fmt.Errorf("-smpp: %w", err)
		}
		opened = append(opened, client)
		routes = append(routes, channel.Route{Name: name, Channel: client, Address: channel.Phone})
	}
	for _, name := range o.http {
		route, ch, err := o.provider(name, env, receipts)
		if err != nil {
			return nil, opened, fmt.Errorf("-provider %s: %w", name, err)
		}
		routes, opened = append(routes, route), append(opened, ch)
	}
	if o.smtp == "" {
		return routes, opened, nil
	}
	u, password, err := endpoint(o.smtp, env, "SMTP_PASSWORD", "smtp", "smtps")
	if err != nil {
		return nil, opened, fmt.Errorf("-smtp: %w", err)
	}
	mode := smtp.StartTLS
	if u.Scheme == "smtps" {
		mode = smtp.ImplicitTLS
	}
	mail, err := smtp.New(smtp.Config{
		Addr: u.Host, TLS: mode, TLSConfig: &tls.Config{RootCAs: o.roots},
		Username: u.User.Username(), Password: password, From: u.Query().Get("from"),
	})
	if err != nil {
		return nil, opened, fmt.Errorf("-smtp: %w", err)
	}
	routes = append(routes, channel.Route{Name: "email", Channel: mail, Address: channel.Email})
	return routes, append(opened, mail), nil
}

// provider opens an HTTP provider, whose values are environment variables: account
// of twilio is TWILIO_ACCOUNT.
func (o *options) provider(
	name string, env func(string) string, receipts *channel.Receipts,
) (channel.Route, *provider.Channel, error) {
	profile, err := provider.BuiltIn(name)
	if err != nil {
		return channel.Route{}, nil, err
	}
	values := map[string]string{}
	for _, value := range profile.Values() {
		variable := strings.ToUpper(strings.ReplaceAll(name+"_"+value, "-", "_"))
		if text := env(variable); text != "" {
			values[value] = text
		}
	}
	c := provider.Config{Profile: profile, Values: values, Receipt: receipts.For(name)}
	if o.roots != nil {
		c.Client = &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: o.roots, MinVersion: tls.VersionTLS12},
		}}
	}
	ch, err := provider.New(c)
	return channel.Route{Name: name, Channel: ch, Address: profile.Address()}, ch, err
}

// real sends one code to a real person and verifies the typed code.
func real(ctx context.Context, args []string, env func(string) string, in io.Reader, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	receipts := &channel.Receipts{}
	routes, opened, err := o.routes(env, receipts)
	defer opened.shutdown()
	if err != nil {
		return err
	}
	svc, stop, err := newService(env, routes, receipts, func(_ context.Context, e otp.Event) {
		if e.Kind == otp.EventReceipt {
			fmt.Fprintf(out, "   %s: receipt %v %s\n", e.Route, e.State, e.Code)
		}
	})
	if err != nil {
		return err
	}
	defer stop()
	c, err := svc.Send(ctx, otp.Request{Subject: "you", Purpose: "login", To: o.to})
	if c != nil {
		fmt.Fprintf(out, "A code for %v\n", c.To)
		printHops(out, c)
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
		v := otp.Verification{ID: c.ID, Subject: "you", Purpose: "login", Code: typed.Text()}
		if verified, err := printVerify(ctx, out, svc, v); verified || err != nil {
			return err
		}
	}
	return errors.New("not verified")
}
